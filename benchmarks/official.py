"""The published network as others run it, with random weights: its own sources, or spandrel's."""

from __future__ import annotations

import importlib
import logging
import sys
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

SIZE = 512
FUSION_SIZES = ["32", "64", "128", "256"]


def network(checkout: Path | None) -> nn.Module:
    """Build it, with the same weights in every process.

    Args:
        checkout: of github.com/sczhou/CodeFormer; without one spandrel_extra_arches stands in.

    Returns:
        The network on the CPU, in eval mode, without gradients.
    """
    torch.manual_seed(0)
    built = spandrel() if checkout is None else _from_sources(checkout)
    nn.init.normal_(built.get_parameter("position_emb"))
    return built.eval().requires_grad_(False)


def origin(checkout: Path | None) -> str:
    """Say whose code `network` takes."""
    return "spandrel_extra_arches in its place" if checkout is None else "its own sources"


def spandrel() -> nn.Module:
    """Build the independent implementation of spandrel_extra_arches."""
    module = importlib.import_module("spandrel_extra_arches.architectures.CodeFormer")
    return module.CodeFormer(connect_list=FUSION_SIZES)


def restore(network: nn.Module, crops: Tensor, fidelity: float) -> Tensor:
    """Restore (N, 3, 512, 512) crops in -1..1 with either."""
    # Spandrel's network always matches colours and calls the fidelity by another name.
    own = type(network).__module__.startswith("basicsr")
    settings = {"w": fidelity, "adain": True} if own else {"weight": fidelity}
    return network(crops, **settings)[0]


def _from_sources(checkout: Path) -> nn.Module:
    _bypass_package_inits(checkout)
    module = importlib.import_module("basicsr.archs.codeformer_arch")
    return module.CodeFormer(dim_embd=512, codebook_size=1024, connect_list=FUSION_SIZES)


def _bypass_package_inits(checkout: Path) -> None:
    """Let `basicsr` be imported module by module: its package imports want training tools."""
    for name in ("basicsr", "basicsr.archs", "basicsr.utils"):
        package = ModuleType(name)
        package.__path__ = [str(checkout / name.replace(".", "/"))]
        sys.modules[name] = package
    sys.modules["basicsr.utils"].__dict__["get_root_logger"] = logging.getLogger
