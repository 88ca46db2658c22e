"""Faces a second on a GPU, by number type and batch, beside the floor set by its matrix products.

    python benchmarks/gpu.py

Without a GPU it runs on the CPU, which shows that it runs and measures little.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import side_by_side
import torch
from torch import Tensor

from codeformer_core.networks import (
    CodeFormer,
    CodeFormerConfig,
    VQGANConfig,
    prepare_for_inference,
)

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
OPERATIONS_A_FACE = 810e9
"""Of the published network at 512 px, a multiplication and an addition counted as two."""
TYPES = {
    "float32": (torch.float32, False),
    "TF32": (torch.float32, True),
    "bfloat16": (torch.bfloat16, False),
    "float16": (torch.float16, False),
}
"""Number type, and whether float32 may be multiplied with fewer bits."""
SMALL = CodeFormerConfig(
    VQGANConfig(64, 32, (1, 2), 1, (16,), 64, 32, 2), width=64, layers=2, fusion_sizes=(16, 32)
)


def main(arguments: argparse.Namespace) -> None:
    """Measure and report."""
    config = SMALL if arguments.quick else CodeFormerConfig()
    batches = (1, 2) if arguments.quick else (1, 8, 32)
    networks: dict[str, CodeFormer] = {}
    for name, (dtype, _) in TYPES.items():
        torch.manual_seed(0)
        network = CodeFormer(config).eval().requires_grad_(False)
        networks[name] = prepare_for_inference(network).to(DEVICE, dtype)
    rows = [_row(name, networks[name], batch, arguments) for batch in batches for name in networks]
    slowest = rows[0]["faces a second"]
    rows = [{**row, "times float32, one face": row["faces a second"] / slowest} for row in rows]
    side_by_side.report("CodeFormer on the device", rows, arguments.out)


@torch.inference_mode()
def _row(
    name: str, network: CodeFormer, batch: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    dtype, reduced = TYPES[name]
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = reduced
    crops = torch.rand(batch, 3, network.size, network.size, device=DEVICE, dtype=dtype) * 2 - 1
    side = 256 if arguments.quick else 8192
    matrix = torch.rand(side, side, device=DEVICE, dtype=dtype)
    took = side_by_side.compare(
        {
            "product": partial(torch.mm, matrix, matrix),
            "restore": partial(_restore, network, crops),
        },
        arguments.repeats,
    )
    peak = 2 * side**3 / took["product"]
    row: dict[str, Any] = {
        "type": name,
        "batch": batch,
        "faces a second": batch / took["restore"],
        "ms a face": 1000 * took["restore"] / batch,
    }
    if not arguments.quick:
        row["times the floor"] = took["restore"] / batch / (OPERATIONS_A_FACE / peak)
    if DEVICE == "cuda":
        row["peak, MiB"] = torch.cuda.max_memory_allocated() / 2**20
        torch.cuda.reset_peak_memory_stats()
    return row


def _restore(network: CodeFormer, crops: Tensor) -> Tensor:
    return network(crops, 0.5)


if __name__ == "__main__":
    main(side_by_side.parser(__doc__).parse_args())
