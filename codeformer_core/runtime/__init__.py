"""Where networks run: device, number type, items at once, progress and Cancel."""

from .devices import best_device, check_device, fastest_dtype
from .runtime import Progress, Runtime

__all__ = ["Progress", "Runtime", "best_device", "check_device", "fastest_dtype"]
