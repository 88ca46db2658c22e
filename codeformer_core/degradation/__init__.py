"""The degradation model: how a clean face becomes a bad photo.

I_l = {[(I_h conv k_sigma) down_r + n_delta] JPEG_q} up_r (paper, section 4.1): blur, shrink, add
noise, compress, enlarge back. Colour changes and brush strokes, for the colorization and the
inpainting variant, come last. A `DegradationRange` says what may happen, a `Degradation` what does.

`degrade` works picture by picture on the CPU with OpenCV and is what a user's picture gets: exact,
by explicit parameters and a seed. `degrade_batch` does the same to a whole batch on any device with
a handful of operations on tensors and is what training sees. Blur, resizing, colour and strokes
agree closely, JPEG to about a level, noise in its statistics.
"""

from .batch import degrade_batch
from .drawing import DegradationMix, Degradations, Limits
from .parameters import STAGE_THREE_MILD, STAGE_TWO, Degradation, DegradationRange
from .picture import degrade
from .randomness import BatchRandom

__all__ = [
    "STAGE_THREE_MILD",
    "STAGE_TWO",
    "BatchRandom",
    "Degradation",
    "DegradationMix",
    "DegradationRange",
    "Degradations",
    "Limits",
    "degrade",
    "degrade_batch",
]
