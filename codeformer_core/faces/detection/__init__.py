"""Face detectors, all with one result type."""

from .base import DEFAULT_CONFIDENCE, DEFAULT_MIN_SIZE, FaceDetector
from .retinaface import RetinaFaceDetector, build_retinaface
from .yunet import YuNetDetector

__all__ = [
    "DEFAULT_CONFIDENCE",
    "DEFAULT_MIN_SIZE",
    "FaceDetector",
    "RetinaFaceDetector",
    "YuNetDetector",
    "build_retinaface",
]
