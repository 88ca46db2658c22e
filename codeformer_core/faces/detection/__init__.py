"""Face detectors, all with one result type."""

from .base import DEFAULT_CONFIDENCE, DEFAULT_MIN_SIZE, FaceDetector
from .dlib_detector import DlibDetector
from .retinaface import RetinaFaceDetector, build_retinaface

__all__ = [
    "DEFAULT_CONFIDENCE",
    "DEFAULT_MIN_SIZE",
    "DlibDetector",
    "FaceDetector",
    "RetinaFaceDetector",
    "build_retinaface",
]
