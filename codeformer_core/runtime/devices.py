"""Which device computes, and in which number type."""

import torch

from ..errors import SettingError


def best_device() -> torch.device:
    """The fastest kind of device that is here."""
    return torch.device(_kinds_here()[0])


def check_device(name: str | torch.device) -> torch.device:
    """The device of a name; "auto" takes the fastest.

    Raises:
        SettingError: it cannot be used here; the message names those that can.
    """
    if name == "auto":
        return best_device()
    try:
        device = torch.empty(0, device=name).device
    except Exception as error:  # each kind of device raises something else, some of it very long
        raise _not_here(name) from error
    if device.type == "meta":  # it computes nothing
        raise _not_here(name)
    return device


def _not_here(name: str | torch.device) -> SettingError:
    here = [
        f"{kind}:{index}" if kind in ("cuda", "xpu") else kind
        for kind in _kinds_here()
        for index in range(getattr(torch, kind).device_count())
    ]
    return SettingError(f"there is no device {str(name)!r} here, only: auto, {', '.join(here)}")


def _kinds_here() -> list[str]:
    """Kinds of device that compute here, the fastest first."""
    here = {
        "cuda": torch.cuda.is_available(),
        "xpu": torch.xpu.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    return [kind for kind, is_here in here.items() if is_here]


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
