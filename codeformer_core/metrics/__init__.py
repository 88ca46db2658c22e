"""How close two pictures are: as signals, to the eye, as faces and as people."""

from .backbones import BACKBONES
from .codebook import codebook_usage
from .distances import Distance, distances
from .frechet import FrechetDistance
from .identity import IdentityNetwork
from .learned import LPIPS
from .nme import nme
from .perceptual import EVALUATION_BACKBONE, TRAINING_BACKBONE, PerceptualDistance
from .psnr import psnr
from .ssim import ssim

__all__ = [
    "BACKBONES",
    "EVALUATION_BACKBONE",
    "LPIPS",
    "TRAINING_BACKBONE",
    "Distance",
    "FrechetDistance",
    "IdentityNetwork",
    "PerceptualDistance",
    "codebook_usage",
    "distances",
    "nme",
    "psnr",
    "ssim",
]
