"""How close two pictures are: as signals (PSNR, SSIM) and as people (identity distance)."""

from .identity import IdentityNetwork
from .psnr import psnr
from .ssim import ssim

__all__ = ["IdentityNetwork", "psnr", "ssim"]
