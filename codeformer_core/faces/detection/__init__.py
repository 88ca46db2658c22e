"""Face detectors, all with one result type."""

from .base import DEFAULT_CONFIDENCE, DEFAULT_MIN_SIZE, FaceDetector
from .retinaface import RetinaFaceDetector, build_retinaface
from .yolov5_face import YoloFaceDetector
from .yunet import YuNetDetector

__all__ = [
    "DEFAULT_CONFIDENCE",
    "DEFAULT_MIN_SIZE",
    "FaceDetector",
    "RetinaFaceDetector",
    "YoloFaceDetector",
    "YuNetDetector",
    "build_retinaface",
]
