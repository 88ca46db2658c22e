"""How close two pictures are: as signals, to the eye, as faces and as people."""

from .backbones import BACKBONES
from .codebook import codebook_usage
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
    "FrechetDistance",
    "IdentityNetwork",
    "PerceptualDistance",
    "codebook_usage",
    "nme",
    "psnr",
    "ssim",
]
