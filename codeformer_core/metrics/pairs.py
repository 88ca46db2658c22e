"""What every metric asks of the two pictures it compares."""

from torch import Tensor

from ..errors import SettingError


def as_pair(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Bring two pictures or batches to (B, H, W, C) float64.

    Raises:
        SettingError: they differ in shape, or are neither (H, W, C) nor (B, H, W, C).
    """
    if first.shape != second.shape:
        raise SettingError(
            f"pictures to compare must have one shape, got {tuple(first.shape)} and "
            f"{tuple(second.shape)}; resize one of them first"
        )
    if first.ndim not in (3, 4):
        raise SettingError(f"expected (H, W, 3) or (B, H, W, 3), got {tuple(first.shape)}")
    if first.ndim == 3:
        first, second = first[None], second[None]
    return first.double(), second.double()
