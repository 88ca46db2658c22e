"""Faces a second on a GPU beside the official code and the floor set by matrix products.

    python benchmarks/gpu.py --official ~/CodeFormer

Lines: the official code with one face (spandrel_extra_arches without a checkout); ours by number
type and batch; ours as CUDA graphs and compiled; whole pictures that stay on the device, from given
faces through crop, network and parser to the paste. The weights are random. Without a GPU it runs
on the CPU, which shows that it runs and measures little.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import official
import side_by_side
import torch
from scenes import placed_faces, sides
from side_by_side import Row
from torch import Tensor

from codeformer_core.faces import FaceParser, Faces
from codeformer_core.networks import (
    CodeFormer,
    CodeFormerConfig,
    VQGANConfig,
    prepare_for_inference,
)
from codeformer_core.pipeline import restore_image

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
OPERATIONS_A_FACE = 810e9
"""Of the published network at 512 px, a multiplication and an addition counted as two."""
FIDELITY = 0.5
TYPES = {
    "float32": (torch.float32, False),
    "TF32": (torch.float32, True),
    "bfloat16": (torch.bfloat16, False),
    "float16": (torch.float16, False),
}
"""Number type, and whether float32 may be multiplied with fewer bits."""
FASTEST = "bfloat16"
COMPILED = {
    "CUDA graphs": {"backend": "cudagraphs"},
    "compiled, CUDA graphs": {"mode": "reduce-overhead"},
}
"""Arguments of torch.compile."""
TRACED = {"traced": {"backend": "eager"}}
"""What of it a CPU can do."""
SMALL = CodeFormerConfig(
    VQGANConfig(64, 32, (1, 2), 1, (16,), 64, 32, 2), width=64, layers=2, fusion_sizes=(16, 32)
)
FACE_SIDE = 560.0


def main(arguments: argparse.Namespace) -> None:
    """Measure; the table is told anew after each part, so that a part that fails costs no other."""
    rows: list[Row] = []
    for part in (_official_code, _batches, _pictures, _compiled):
        rows += part(arguments)
        slowest = rows[0]["faces a second"]
        told = [{**row, "times official": row["faces a second"] / slowest} for row in rows]
        name = f"CodeFormer on the device (official: {official.origin(arguments.official)})"
        side_by_side.report(name, told, arguments.out)


# ------------------------------------------------------------------------------------------- parts


@torch.inference_mode()
def _official_code(arguments: argparse.Namespace) -> list[Row]:
    """One face; TF32 is close to what a user gets, as torch allows it in convolutions."""
    network = official.network(arguments.official).to(DEVICE)
    way = partial(official.restore, network, _crops(1, official.SIZE, torch.float32), FIDELITY)
    names = ("float32",) if arguments.quick else ("float32", "TF32")
    return [_row("official code", name, 1, way, arguments) for name in names]


@torch.inference_mode()
def _batches(arguments: argparse.Namespace) -> list[Row]:
    rows: list[Row] = []
    networks = {name: _network(name, arguments) for name in TYPES}
    batches = (1, 2) if arguments.quick else (1, 8, 32)
    for batch, (name, network) in itertools.product(batches, networks.items()):
        way = partial(network, _crops(batch, network.size, network.dtype), FIDELITY)
        rows.append(_row("ours", name, batch, way, arguments))
    return rows


@torch.inference_mode()
def _pictures(arguments: argparse.Namespace) -> list[Row]:
    """Pictures of 8 MP with more and more faces, without a parser and with one."""
    megapixels, counts = (0.5, (1,)) if arguments.quick else (8, (1, 8, 32))
    network = _network(FASTEST, arguments)
    height, width = sides(megapixels)
    picture = torch.rand(height, width, 3, device=DEVICE)
    rows: list[Row] = []
    for (suffix, parser), count in itertools.product(_parsers().items(), counts):
        faces = placed_faces(height, width, count, FACE_SIDE)
        way = partial(_restore_picture, picture, network, faces, parser)
        rows.append(_row(f"{megapixels} MP picture{suffix}", FASTEST, count, way, arguments))
    return rows


@torch.inference_mode()
def _compiled(arguments: argparse.Namespace) -> list[Row]:
    rows: list[Row] = []
    network = _network(FASTEST, arguments)
    ways = COMPILED if DEVICE == "cuda" else TRACED
    batches = (1,) if arguments.quick else (1, 8)
    for (name, settings), batch in itertools.product(ways.items(), batches):
        torch.compiler.reset()
        compiled = torch.compile(network, dynamic=False, **settings)
        way = partial(_replay, compiled, _crops(batch, network.size, network.dtype))
        rows.append(_row(f"ours, {name}", FASTEST, batch, way, arguments))
    return rows


# -------------------------------------------------------------------------------- what they share


def _row(
    what: str,
    name: str,
    faces: int,
    way: Callable[[], object],
    arguments: argparse.Namespace,
) -> Row:
    """Time what restores so many faces, in turns with a product of matrices in bfloat16."""
    reduced = TYPES[name][1]
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = reduced
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()
    side = 256 if arguments.quick else 8192
    matrix = torch.rand(side, side, device=DEVICE, dtype=torch.bfloat16)
    product = partial(torch.mm, matrix, matrix)
    took = side_by_side.compare({"product": product, "restore": way}, arguments.repeats)
    row: Row = {
        "what": what,
        "type": name,
        "faces": faces,
        "faces a second": faces / took["restore"],
        "ms a face": 1000 * took["restore"] / faces,
    }
    if not arguments.quick:
        peak = 2 * side**3 / took["product"]
        row["times the floor"] = took["restore"] / faces / (OPERATIONS_A_FACE / peak)
    if DEVICE == "cuda":
        row["peak, MiB"] = torch.cuda.max_memory_allocated() / 2**20
    return row


def _network(name: str, arguments: argparse.Namespace) -> CodeFormer:
    torch.manual_seed(0)
    config = SMALL if arguments.quick else CodeFormerConfig()
    network = CodeFormer(config).eval().requires_grad_(False)
    return prepare_for_inference(network).to(DEVICE, TYPES[name][0])


def _crops(count: int, size: int, dtype: torch.dtype) -> Tensor:
    return torch.rand(count, 3, size, size, device=DEVICE, dtype=dtype) * 2 - 1


def _parsers() -> dict[str, FaceParser | None]:
    """No parser, and ParseNet with random weights where facexlib is installed, by what to add."""
    parsers: dict[str, FaceParser | None] = {"": None}
    if find_spec("facexlib"):
        from facexlib.parsing import ParseNet

        network = ParseNet(in_size=512, out_size=512, parsing_ch=19).eval().requires_grad_(False)
        parsers[", ParseNet"] = FaceParser(network.to(DEVICE, TYPES[FASTEST][0]), "parsenet")
    return parsers


def _restore_picture(
    picture: Tensor, network: CodeFormer, faces: Faces, parser: FaceParser | None
) -> None:
    result = restore_image(picture, network, faces=faces, parser=parser, fidelity=FIDELITY)
    assert result.image.device == result.mask.device == picture.device


def _replay(compiled: Callable[..., Tensor], crops: Tensor) -> Tensor:
    """Run what was compiled; the result of the run before may be overwritten."""
    torch.compiler.cudagraph_mark_step_begin()
    return compiled(crops, FIDELITY)


if __name__ == "__main__":
    options = side_by_side.parser(__doc__)
    options.add_argument("--official", type=Path, metavar="DIR", help="checkout of its repository")
    main(options.parse_args())
