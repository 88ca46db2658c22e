"""One 512 px face through the network: ours beside others with the same random weights.

    python benchmarks/one_face.py --official ~/CodeFormer
    python benchmarks/one_face.py --only-quality --photos FOLDER

`--official` is a checkout of github.com/sczhou/CodeFormer, run from its own sources; without it the
independent implementation of spandrel_extra_arches stands in. That one, OpenVINO and ONNX Runtime
also take part by themselves where they are installed. Each way lives in a process of its own, so
that their threads and memory do not meet; they run in turns. The second line measures no time: only
what bfloat16 changes, with the built-in model on degraded faces of the pictures in FOLDER (without
it, of the astronaut).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import official
import scenes
import side_by_side
import torch
import torch.multiprocessing as processes
from torch import Tensor, nn

from codeformer_core.images import to_network
from codeformer_core.models import load_codeformer, network_from_state
from codeformer_core.networks import CodeFormer, FaceCodes, prepare_for_inference
from codeformer_core.runtime import fastest_dtype

Way = Callable[[], Tensor]
FIDELITY = 0.5
FIDELITIES = (0.0, 0.5, 1.0)
VARIANTS = 16
"""Degraded faces on which the built-in model is compared with itself."""
TYPES = (torch.float32, torch.bfloat16)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def main(arguments: argparse.Namespace) -> None:
    """Measure and report."""
    if arguments.only_quality:
        _report_quality(arguments, arguments.out)
        return
    named = [OURS, OFFICIAL] if arguments.quick else WAYS
    there = [name for name in named if all(map(find_spec, NEEDED.get(name, ())))]
    workers = {name: _Worker(name, arguments.official) for name in there}
    rows = _one_face(workers, arguments.repeats)
    name = f"One face of 512 px (official: {official.origin(arguments.official)})"
    side_by_side.report(name, rows, arguments.out)
    for worker in workers.values():
        worker.end()
    if not arguments.quick:
        rows = _new_fidelity(_official(arguments.official), arguments.repeats)
        side_by_side.report("A new fidelity of an encoded face", rows)
        _report_quality(arguments)


def _one_face(ways: dict[str, Any], repeats: int) -> list[dict[str, Any]]:
    """A row for each way: median seconds, and how far from the official result it is."""
    seconds = side_by_side.compare(ways, repeats)
    wanted = ways[OFFICIAL]()
    return [
        {
            "way": name,
            "seconds": seconds[name],
            "times faster": seconds[OFFICIAL] / seconds[name],
            "mean difference": float((way().float() - wanted).abs().mean()),
        }
        for name, way in ways.items()
    ]


@torch.inference_mode()
def _new_fidelity(theirs: nn.Module, repeats: int) -> list[side_by_side.Row]:
    """What decoding alone takes, beside the whole."""
    network, crops = _ours(theirs, fastest_dtype(DEVICE)), _crops()
    halves = side_by_side.compare(_halves(network, network.encode(crops), crops), repeats)
    del halves["ratio"]
    return [
        {"step": name, "seconds": seconds, "share": seconds / halves["full restore"]}
        for name, seconds in halves.items()
    ]


def _halves(network: CodeFormer, codes: FaceCodes, crops: Tensor) -> dict[str, Way]:
    return {
        "full restore": partial(network, crops, FIDELITY),
        "decoder only": partial(network.decode, codes, FIDELITY),
        "decoder only, fidelity 0": partial(network.decode, codes, 0.0),
    }


@torch.inference_mode()
def _report_quality(arguments: argparse.Namespace, path: Path | None = None) -> None:
    """How much bfloat16 changes, with the built-in model and with random weights of 512 px."""
    built_in = [load_codeformer("builtin", device=DEVICE, dtype=dtype) for dtype in TYPES]
    faces = scenes.cut_faces(arguments.photos, built_in[0].size, VARIANTS)
    crops = to_network(scenes.degraded_variants(faces, VARIANTS)).to(DEVICE)
    name = f"built-in, degraded, faces: {len(faces)}"
    rows = _agreement(name, built_in, crops, FIDELITIES)
    if not arguments.quick:
        theirs = _official(arguments.official)
        large = [_ours(theirs, dtype) for dtype in TYPES]
        rows += _agreement("512 layout, random weights", large, _crops(), (FIDELITY,))
    side_by_side.report("bfloat16 against float32", rows, path)


def _agreement(
    name: str, networks: list[CodeFormer], crops: Tensor, fidelities: tuple[float, ...]
) -> list[side_by_side.Row]:
    """The share of equal codes of two networks, and the PSNR of their pictures in dB."""
    codes = [network.encode(crops) for network in networks]
    shared = {
        "network": name,
        "crops": len(crops),
        "equal codes": float((codes[0].codes == codes[1].codes).float().mean()),
    }
    rows: list[side_by_side.Row] = []
    for fidelity in fidelities:
        wanted, got = (
            network.decode(each, fidelity).float()
            for network, each in zip(networks, codes, strict=True)
        )
        rows.append({**shared, "fidelity": fidelity, "PSNR, dB": _psnr(wanted, got)})
    return rows


def _psnr(wanted: Tensor, got: Tensor) -> float:
    spread = float(wanted.max() - wanted.min())
    return float(10 * torch.log10(spread**2 / (wanted - got).square().mean()))


# -------------------------------------------------------------------------------------------- ways


def _crops() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(1, 3, 512, 512, generator=generator) * 2 - 1).to(DEVICE)


def _official(checkout: Path | None) -> nn.Module:
    return official.network(checkout).to(DEVICE)


def _ours(theirs: nn.Module, dtype: torch.dtype) -> CodeFormer:
    network = network_from_state(theirs.state_dict(), device=DEVICE, dtype=dtype)
    assert isinstance(network, CodeFormer)
    return prepare_for_inference(network)


def _our_way(theirs: nn.Module, crops: Tensor, dtype: torch.dtype | None) -> Way:
    return partial(_ours(theirs, dtype or fastest_dtype(DEVICE)), crops, FIDELITY)


def _official_way(theirs: nn.Module, crops: Tensor, autocast: bool) -> Way:
    def run() -> Tensor:
        with torch.autocast(DEVICE, torch.bfloat16, enabled=autocast):
            return official.restore(theirs, crops, FIDELITY)

    return run


def _spandrel_way(theirs: nn.Module, crops: Tensor) -> Way:
    network = official.spandrel()
    network.load_state_dict(theirs.state_dict())
    network.to(DEVICE).eval()
    return partial(official.restore, network, crops, FIDELITY)


def _openvino_way(theirs: nn.Module, crops: Tensor, precision: str) -> Way:
    import openvino

    module = _AtOneFidelity(_ours(theirs, torch.float32))
    model = openvino.convert_model(module, example_input=crops)
    compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision})
    return lambda: torch.from_numpy(compiled(crops.numpy())[0])


def _onnx_way(theirs: nn.Module, crops: Tensor) -> Way:
    import onnxruntime

    module = _AtOneFidelity(_ours(theirs, torch.float32))
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "codeformer.onnx")
        torch.onnx.export(module, (crops,), path, input_names=["crops"], dynamo=False)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda: torch.from_numpy(session.run(None, {"crops": crops.numpy()})[0])


class _AtOneFidelity(nn.Module):
    def __init__(self, network: CodeFormer) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> Tensor:
        return self.network(crops, FIDELITY)


OURS, OFFICIAL = "ours, default", "official, float32"
WAYS: dict[str, Callable[[nn.Module, Tensor], Way]] = {
    OURS: partial(_our_way, dtype=None),
    "ours, float32": partial(_our_way, dtype=torch.float32),
    "OpenVINO, bfloat16": partial(_openvino_way, precision="bf16"),
    "OpenVINO, float32": partial(_openvino_way, precision="f32"),
    "ONNX Runtime, float32": _onnx_way,
    "spandrel, float32": _spandrel_way,
    "official, bfloat16 autocast": partial(_official_way, autocast=True),
    OFFICIAL: partial(_official_way, autocast=False),
}
NEEDED = {
    "OpenVINO, bfloat16": ["openvino"],
    "OpenVINO, float32": ["openvino"],
    "ONNX Runtime, float32": ["onnx", "onnxruntime"],
    "spandrel, float32": ["spandrel_extra_arches"],
}
"""Packages without which a way does not take part."""


class _Worker:
    """A way in a process of its own."""

    def __init__(self, name: str, checkout: Path | None) -> None:
        context = processes.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(name, checkout, there), daemon=True)
        self._process.start()
        self._here.recv()  # it is ready

    def __call__(self) -> Tensor:
        self._here.send(True)
        return torch.from_numpy(self._here.recv())

    def end(self) -> None:
        self._here.send(False)
        self._process.join()


@torch.no_grad()
def _serve(name: str, checkout: Path | None, connection: Any) -> None:
    way = WAYS[name](_official(checkout), _crops())
    connection.send(True)
    while connection.recv():
        connection.send(way().float().cpu().numpy())


if __name__ == "__main__":
    options = side_by_side.parser(__doc__)
    options.add_argument("--official", type=Path, metavar="DIR", help="checkout of its repository")
    options.add_argument("--photos", type=Path, metavar="DIR", help="pictures with faces")
    options.add_argument(
        "--only-quality", action="store_true", help="measure no time, only what bfloat16 changes"
    )
    main(options.parse_args())
