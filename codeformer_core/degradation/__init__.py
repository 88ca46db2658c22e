"""The degradation model: how a clean face becomes a bad photo.

I_l = {[(I_h conv k_sigma) down_r + n_delta] JPEG_q} up_r (paper, section 4.1): blur, shrink, add
noise, compress, enlarge back. Colour changes and brush strokes, for the colorization and the
inpainting variant, come last. A `DegradationRange` says what may happen, a `Degradation` what does.

`degrade` works picture by picture on the CPU with OpenCV; `degrade_batch` does the same to a whole
batch on any device with torch alone. Blur, resizing, colour and strokes agree to rounding, JPEG to
about a level, noise in its statistics.
"""

from .batch import degrade_batch
from .kernels import gaussian_kernel, motion_kernel
from .parameters import STAGE_THREE_MILD, STAGE_TWO, Degradation, DegradationRange
from .picture import degrade, degrade_pixels

__all__ = [
    "STAGE_THREE_MILD",
    "STAGE_TWO",
    "Degradation",
    "DegradationRange",
    "degrade",
    "degrade_batch",
    "degrade_pixels",
    "gaussian_kernel",
    "motion_kernel",
]
