"""Faces a second on a GPU beside the official code and the floor set by matrix products.

    python benchmarks/gpu.py --official ~/CodeFormer --seconds 90 --out gpu.json

Part by part, what matters most first: the official code with one face (spandrel_extra_arches
without a checkout); ours with the same random weights, by number type and batch; the built-in
model; whole pictures that stay on the device, from given faces through crop and network to the
paste, with a parser too; CUDA graphs; what else could be chosen for the network; torch.compile. The
table so far is written after each part. What lacks a package, fails, or comes after the time given
is named in it. Without a GPU it runs on the CPU, which shows that it runs and measures little.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache, partial
from pathlib import Path

import official
import side_by_side
import torch
from scenes import placed_faces, sides
from side_by_side import Row
from torch import Tensor, nn

from codeformer_core.errors import CheckpointError
from codeformer_core.faces import FaceParser, Faces
from codeformer_core.models import load_codeformer, network_from_state
from codeformer_core.networks import (
    CodeFormer,
    CodeFormerConfig,
    VQGANConfig,
    prepare_for_inference,
)
from codeformer_core.pipeline import restore_image
from codeformer_core.training import load_config
from codeformer_core.training.toml import CONFIGS

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
OPERATIONS_A_FACE = 810e9
"""Of the published network at 512 px, a multiplication and an addition counted as two."""
FIDELITY = 0.5
OFFICIAL = "official code"
TYPES = {
    "float32": torch.float32,
    "TF32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
FASTEST = "bfloat16"
SMALL = CodeFormerConfig(
    VQGANConfig(64, 32, (1, 2), 1, (16,), 64, 32, 2), width=64, layers=2, fusion_sizes=(16, 32)
)
FACE_SIDE = 560.0

Way = Callable[[], object]


class TimeIsUpError(BaseException):
    """The time given is over; not an `Exception`, so that nothing in between takes it for one."""


@torch.no_grad()
def main(arguments: argparse.Namespace) -> int:
    """Measure; returns 1 if a part failed."""
    rows: list[Row] = []
    failed = False
    if arguments.seconds:
        signal.signal(signal.SIGALRM, _time_is_up)
        signal.setitimer(signal.ITIMER_REAL, arguments.seconds)
    try:
        for part in PARTS:
            failed |= not _add(part, arguments, rows)
            _report(rows, arguments)
        signal.alarm(0)
    except TimeIsUpError:
        rows.append(_left_out("the rest", f"{arguments.seconds:g} s were over"))
        _report(rows, arguments)
        sys.stdout.flush()
        os._exit(failed)  # the compiler's processes would keep an ordinary end waiting
    return int(failed)


def _time_is_up(*_: object) -> None:
    raise TimeIsUpError


def _add(part: Part, arguments: argparse.Namespace, rows: list[Row]) -> bool:
    """Add a part's rows; False if it failed."""
    name = part.__name__.strip("_").replace("_", " ")
    try:
        rows.extend(part(arguments))  # one by one, so that those before an error stay
    except ImportError as error:
        rows.append(_left_out(name, str(error)))
    except Exception as error:
        traceback.print_exc()
        rows.append(_left_out(name, f"{type(error).__name__}: {error}".splitlines()[0]))
        return False
    return True


def _left_out(what: str, why: str) -> Row:
    return {"what": what, "left out": why}


def _report(rows: list[Row], arguments: argparse.Namespace) -> None:
    """Tell the table so far, beside the fastest way of the official code where that ran."""
    speeds = [row.get("faces a second", 0.0) for row in rows]
    theirs = [each for each, row in zip(speeds, rows, strict=True) if row["what"] == OFFICIAL]
    fastest = max(theirs, default=0.0)
    told = [
        {**row, "times official": speed / fastest} if speed and fastest else row
        for speed, row in zip(speeds, rows, strict=True)
    ]
    name = f"CodeFormer on the device (official: {official.origin(arguments.official)})"
    side_by_side.report(name, told, arguments.out)


# ------------------------------------------------------------------------------------------- parts


def _official_code(arguments: argparse.Namespace) -> Iterator[Row]:
    """One face; TF32 is close to what a user gets, as torch allows it in convolutions."""
    way = partial(official.restore, _theirs(arguments.official), _crops(1, official.SIZE), FIDELITY)
    yield _row(OFFICIAL, "float32", 1, way, arguments)
    if not arguments.quick:
        yield _row(OFFICIAL, "TF32", 1, way, arguments)
        yield _row(OFFICIAL, "bfloat16", 1, _in_autocast(way), arguments)


def _ours(arguments: argparse.Namespace) -> Iterator[Row]:
    networks = {name: _network(name, arguments) for name in TYPES}
    for batch, (name, network) in itertools.product(_batches(arguments), networks.items()):
        yield _row("ours", name, batch, _restoring(network, batch), arguments)


def _builtin_model(arguments: argparse.Namespace) -> Iterator[Row]:
    """With its own weights where they are; they may have been emptied for the journey."""
    try:
        network, what = load_codeformer("builtin"), "built-in model"
    except CheckpointError:
        trained = load_config(CONFIGS / "builtin_256" / "stage3.toml").model
        network = prepare_for_inference(_random(SMALL if arguments.quick else trained))
        what = "built-in model's sizes"
    for name in ("float32", FASTEST):
        network = network.to(DEVICE, TYPES[name])
        for batch in _batches(arguments)[::2]:
            way = _restoring(network, batch)
            yield _row(f"{what}, {network.size} px", name, batch, way, arguments, operations=None)


def _pictures(arguments: argparse.Namespace, parser: FaceParser | None = None) -> Iterator[Row]:
    """Pictures of 8 MP with more and more faces."""
    megapixels, counts = (0.5, (1,)) if arguments.quick else (8, (1, 8, 32))
    network = _network(FASTEST, arguments)
    height, width = sides(megapixels)
    picture = torch.rand(height, width, 3, device=DEVICE)
    what = f"{megapixels} MP picture" + (f", {type(parser.network).__name__}" if parser else "")
    for count in counts:
        faces = placed_faces(height, width, count, FACE_SIDE)
        way = partial(_restore_picture, picture, network, faces, parser)
        yield _row(what, FASTEST, count, way, arguments)


def _pictures_with_parser(arguments: argparse.Namespace) -> Iterator[Row]:
    """ParseNet with random weights."""
    from facexlib.parsing import ParseNet

    network = ParseNet(in_size=512, out_size=512, parsing_ch=19).eval().requires_grad_(False)
    network = network.to(DEVICE, TYPES[FASTEST], memory_format=torch.channels_last)
    yield from _pictures(arguments, FaceParser(network, "parsenet"))


def _recorded(arguments: argparse.Namespace) -> Iterator[Row]:
    """As CUDA graphs, which take the host's launches out."""
    if DEVICE != "cuda":
        return
    network = _network(FASTEST, arguments)
    for batch in _batches(arguments):
        way = _record(_steps(network, batch))
        yield _row("ours, CUDA graph", FASTEST, batch, way, arguments)


def _alternatives(arguments: argparse.Namespace) -> Iterator[Row]:
    """What `prepare_for_inference` and cuDNN's own choice are worth."""
    prepared, plain = _network(FASTEST, arguments), _plain(FASTEST, arguments)
    ways: dict[str, tuple[CodeFormer, bool]] = {
        "cuDNN tries all": (prepared, True),
        "not prepared": (plain, False),
        "upsampling not folded": (deepcopy(plain).to(memory_format=torch.channels_last), False),
    }
    batches = _batches(arguments)[::2]
    for (name, (network, tries)), batch in itertools.product(ways.items(), batches):
        torch.backends.cudnn.benchmark = tries
        yield _row(f"ours, {name}", FASTEST, batch, _restoring(network, batch), arguments)
    torch.backends.cudnn.benchmark = False


def _compiled(arguments: argparse.Namespace) -> Iterator[Row]:
    network = _network(FASTEST, arguments)
    settings = {"mode": "reduce-overhead"} if DEVICE == "cuda" else {"backend": "eager"}
    for batch in _batches(arguments)[::2]:
        torch.compiler.reset()
        compiled = torch.compile(_steps(network, batch), dynamic=False, fullgraph=True, **settings)
        yield _row("ours, compiled", FASTEST, batch, partial(_replay, compiled), arguments)


Part = Callable[[argparse.Namespace], Iterator[Row]]
PARTS: tuple[Part, ...] = (
    _official_code,
    _ours,
    _builtin_model,
    _pictures,
    _pictures_with_parser,
    _recorded,
    _alternatives,
    _compiled,
)


# -------------------------------------------------------------------------------- what they share


def _row(
    what: str,
    name: str,
    faces: int,
    way: Way,
    arguments: argparse.Namespace,
    operations: float | None = OPERATIONS_A_FACE,
) -> Row:
    """Time what restores so many faces, in turns with a product of matrices in bfloat16."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = name == "TF32"
    memory = _activations(way) if DEVICE == "cuda" else 0.0
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
    if operations and not arguments.quick:
        peak = 2 * side**3 / took["product"]
        row["times the floor"] = took["restore"] / faces / (operations / peak)
    if memory:  # none where a graph holds it
        row["activations, MiB"] = memory / 2**20
    if faces == 1 and not arguments.quick:
        row |= _difference(way(), arguments)
    return row


def _activations(way: Way) -> float:
    """Bytes that a run takes at its peak; the run before it warms up."""
    way()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    way()
    torch.cuda.synchronize()
    return float(torch.cuda.max_memory_allocated() - before)


def _difference(result: object, arguments: argparse.Namespace) -> Row:
    """How far from the official float32 result one face is, where it is the same face."""
    if not isinstance(result, Tensor) or result.shape[-1] != official.SIZE:
        return {}
    try:
        wanted = _wanted(arguments.official)
    except ImportError:
        return {}
    return {"mean difference": float((result.float() - wanted).abs().mean())}


def _batches(arguments: argparse.Namespace) -> tuple[int, ...]:
    return (1, 2) if arguments.quick else (1, 4, 16)


def _crops(count: int, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    torch.manual_seed(0)
    return torch.rand(count, 3, size, size, device=DEVICE).to(dtype) * 2 - 1


@cache
def _theirs(checkout: Path | None) -> nn.Module:
    return official.network(checkout).to(DEVICE)


@cache
def _wanted(checkout: Path | None) -> Tensor:
    """The official result for one face; its own row in full float32 is the first to ask."""
    return official.restore(_theirs(checkout), _crops(1, official.SIZE), FIDELITY)


def _plain(name: str, arguments: argparse.Namespace) -> CodeFormer:
    """Ours as it is trained, with the official network's weights where that is there."""
    if arguments.quick:
        return _random(SMALL).to(DEVICE, TYPES[name])
    try:
        state = _theirs(arguments.official).state_dict()
    except ImportError:
        return _random(CodeFormerConfig()).to(DEVICE, TYPES[name])
    network = network_from_state(state, device=DEVICE, dtype=TYPES[name])
    assert isinstance(network, CodeFormer)
    return network


def _network(name: str, arguments: argparse.Namespace) -> CodeFormer:
    return prepare_for_inference(_plain(name, arguments))


def _random(config: CodeFormerConfig) -> CodeFormer:
    torch.manual_seed(0)
    return CodeFormer(config).eval().requires_grad_(False)


def _restoring(network: CodeFormer, batch: int) -> Way:
    return partial(network, _crops(batch, network.size, network.dtype), FIDELITY)


def _in_autocast(way: Way) -> Way:
    def run() -> object:
        with torch.autocast(DEVICE, TYPES[FASTEST]):
            return way()

    return run


def _restore_picture(
    picture: Tensor, network: CodeFormer, faces: Faces, parser: FaceParser | None
) -> None:
    result = restore_image(picture, network, faces=faces, parser=parser, fidelity=FIDELITY)
    assert result.image.device == result.mask.device == picture.device


def _steps(network: CodeFormer, batch: int) -> Callable[[], Tensor]:
    """The network's work alone, without what the host looks at, which no graph can hold."""
    crops = _crops(batch, network.size, network.dtype)
    weight = crops.new_full((1, 1, 1, 1), FIDELITY)
    return lambda: network.generate(network.encode(crops), weight)


def _record(steps: Callable[[], Tensor]) -> Way:
    """What replays these steps as one CUDA graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # no kernel may be loaded for the first time while it records
        for _ in range(3):
            steps()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = steps()
    return partial(_play, graph, result, steps)


def _play(graph: torch.cuda.CUDAGraph, result: Tensor, _steps: object) -> Tensor:
    """Replay a graph, whose inputs live as long as its steps do."""
    graph.replay()
    return result


def _replay(compiled: Callable[[], Tensor]) -> Tensor:
    """Run what was compiled; the result of the run before may be overwritten."""
    torch.compiler.cudagraph_mark_step_begin()
    return compiled()


if __name__ == "__main__":
    options = side_by_side.parser(__doc__)
    options.add_argument("--official", type=Path, metavar="DIR", help="checkout of its repository")
    options.add_argument(
        "--seconds", type=float, metavar="N", help="end after so many, with what was measured"
    )
    sys.exit(main(options.parse_args()))
