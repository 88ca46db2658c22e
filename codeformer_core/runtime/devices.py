"""Which device computes, and in which number type."""

import torch

from ..errors import SettingError


def best_device() -> torch.device:
    """The fastest kind of device that is here."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def check_device(name: str | torch.device) -> torch.device:
    """The device of a name; "auto" takes the fastest.

    Raises:
        SettingError: it cannot be used here.
    """
    if name == "auto":
        return best_device()
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise SettingError(f"device {str(name)!r} cannot be used here ({error})") from error


def fastest_dtype(device: torch.device | str) -> torch.dtype:
    """bfloat16 where a device multiplies it faster than float32, else float32.

    float16 is never chosen: feature maps of CodeFormer can leave its range.
    """
    device = torch.device(device)
    if device.type == "cuda":
        fast = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        fast = device.type == "cpu" and _cpu_multiplies_bf16()
    return torch.bfloat16 if fast else torch.float32


def _cpu_multiplies_bf16() -> bool:
    """Whether the CPU has instructions for it; emulated, it is slower than float32."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
