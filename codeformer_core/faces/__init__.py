"""Find faces, align them to the five-point template, cut them out and paste them back."""

from .alignment import TEMPLATE, fit_similarity, landmarks_of, place
from .colour import match_colour, match_gray
from .crop import BORDER_COLOUR, crop_face, crop_faces
from .detection import (
    DEFAULT_CONFIDENCE,
    DEFAULT_MIN_SIZE,
    FaceDetector,
    RetinaFaceDetector,
    YoloFaceDetector,
    YuNetDetector,
    build_retinaface,
)
from .drawing import draw_faces
from .masks import DEFAULT_FEATHER, geometry_mask, square_mask
from .parsing import FaceParser, build_parser
from .paste import Canvas, PasteOptions, paste_faces
from .selection import Selection, select_places
from .types import TEMPLATE_SIZE, Box, Face, Faces, Landmarks, Placement

__all__ = [
    "BORDER_COLOUR",
    "DEFAULT_CONFIDENCE",
    "DEFAULT_FEATHER",
    "DEFAULT_MIN_SIZE",
    "TEMPLATE",
    "TEMPLATE_SIZE",
    "Box",
    "Canvas",
    "Face",
    "FaceDetector",
    "FaceParser",
    "Faces",
    "Landmarks",
    "PasteOptions",
    "Placement",
    "RetinaFaceDetector",
    "Selection",
    "YoloFaceDetector",
    "YuNetDetector",
    "build_parser",
    "build_retinaface",
    "crop_face",
    "crop_faces",
    "draw_faces",
    "fit_similarity",
    "geometry_mask",
    "landmarks_of",
    "match_colour",
    "match_gray",
    "paste_faces",
    "place",
    "select_places",
    "square_mask",
]
