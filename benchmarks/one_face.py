"""One 512 px face through the network: ours beside others with the same random weights.

    python benchmarks/one_face.py --official ~/CodeFormer

`--official` is a checkout of github.com/sczhou/CodeFormer, run from its own sources; without it the
independent implementation of spandrel_extra_arches stands in. OpenVINO and ONNX Runtime take part
where they are installed. Each way lives in a process of its own, so that their threads and memory
do not meet; they run in turns.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import side_by_side
import torch
import torch.multiprocessing as processes
from torch import Tensor, nn

from codeformer_core.checkpoints import load_codeformer, network_from_state
from codeformer_core.networks import CodeFormer, FaceCodes, fastest_dtype, prepare_for_inference

Way = Callable[[], Tensor]
FUSION_SIZES = ("32", "64", "128", "256")
FIDELITY = 0.5
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def main(arguments: argparse.Namespace) -> None:
    """Measure and report."""
    named = [OURS, OFFICIAL] if arguments.quick else WAYS
    there = [name for name in named if all(map(find_spec, NEEDED.get(name, ())))]
    workers = {name: _Worker(name, arguments.official) for name in there}
    rows = _one_face(workers, arguments.repeats)
    side_by_side.report("One face of 512 px", rows, arguments.out)
    for worker in workers.values():
        worker.end()
    if arguments.quick:
        return
    theirs, crops = _official(arguments.official), _crops()
    fast = _ours(theirs, fastest_dtype(DEVICE))
    with torch.inference_mode():
        halves = side_by_side.compare(_halves(fast, fast.encode(crops), crops), arguments.repeats)
        del halves["ratio"]
        rows = [
            {"step": name, "seconds": seconds, "share": seconds / halves["full restore"]}
            for name, seconds in halves.items()
        ]
        side_by_side.report("A new fidelity of an encoded face", rows)
        side_by_side.report("bfloat16 against float32", [_quality(theirs, crops)])


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


def _halves(network: CodeFormer, codes: FaceCodes, crops: Tensor) -> dict[str, Way]:
    return {
        "full restore": partial(network, crops, FIDELITY),
        "decoder only": partial(network.decode, codes, FIDELITY),
        "decoder only, fidelity 0": partial(network.decode, codes, 0.0),
    }


def _quality(theirs: nn.Module, crops: Tensor) -> dict[str, float]:
    """How much bfloat16 changes: the share of equal codes, and PSNR of the pictures in dB."""
    types = (torch.float32, torch.bfloat16)
    large = [_ours(theirs, dtype) for dtype in types]
    first, second = (network.encode(crops).codes for network in large)
    faces = nn.functional.interpolate(crops.cpu(), (16, 16), mode="area")
    faces = nn.functional.interpolate(faces, (128, 128), mode="bicubic").clamp(-1, 1)
    return {
        "equal codes, 512 layout": float((first == second).float().mean()),
        "PSNR, 512 layout": _psnr(*(network(crops, FIDELITY) for network in large)),
        "PSNR, built-in": _psnr(
            *(load_codeformer("builtin", dtype=dtype)(faces, FIDELITY) for dtype in types)
        ),
    }


def _psnr(wanted: Tensor, got: Tensor) -> float:
    spread = float(wanted.max() - wanted.min())
    return float(10 * torch.log10(spread**2 / (wanted - got).square().mean()))


# -------------------------------------------------------------------------------------------- ways


def _crops() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(1, 3, 512, 512, generator=generator) * 2 - 1).to(DEVICE)


def _official(checkout: Path | None) -> nn.Module:
    """The published network with random weights, the same in every process."""
    torch.manual_seed(0)
    if checkout is None:
        module = importlib.import_module("spandrel_extra_arches.architectures.CodeFormer")
        network = module.CodeFormer(connect_list=list(FUSION_SIZES))
    else:
        _bypass_package_inits(checkout)
        module = importlib.import_module("basicsr.archs.codeformer_arch")
        network = module.CodeFormer(
            dim_embd=512, codebook_size=1024, connect_list=list(FUSION_SIZES)
        )
    nn.init.normal_(network.position_emb)
    return network.to(DEVICE).eval().requires_grad_(False)


def _bypass_package_inits(checkout: Path) -> None:
    """Let `basicsr` be imported module by module: its package imports want training tools."""
    for name in ("basicsr", "basicsr.archs", "basicsr.utils"):
        package = ModuleType(name)
        package.__path__ = [str(checkout / name.replace(".", "/"))]
        sys.modules[name] = package
    sys.modules["basicsr.utils"].__dict__["get_root_logger"] = logging.getLogger


def _ours(theirs: nn.Module, dtype: torch.dtype) -> CodeFormer:
    network = network_from_state(theirs.state_dict(), device=DEVICE, dtype=dtype)
    assert isinstance(network, CodeFormer)
    return prepare_for_inference(network)


def _our_way(theirs: nn.Module, crops: Tensor, dtype: torch.dtype | None) -> Way:
    return partial(_ours(theirs, dtype or fastest_dtype(DEVICE)), crops, FIDELITY)


def _official_way(theirs: nn.Module, crops: Tensor, autocast: bool) -> Way:
    # Spandrel's network always matches colours and calls the fidelity by another name.
    settings = {"w": FIDELITY, "adain": True} if "basicsr" in sys.modules else {"weight": FIDELITY}

    def run() -> Tensor:
        with torch.autocast(DEVICE, torch.bfloat16, enabled=autocast):
            return theirs(crops, **settings)[0]

    return run


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
    "official, bfloat16 autocast": partial(_official_way, autocast=True),
    OFFICIAL: partial(_official_way, autocast=False),
}
NEEDED = {
    "OpenVINO, bfloat16": ["openvino"],
    "OpenVINO, float32": ["openvino"],
    "ONNX Runtime, float32": ["onnx", "onnxruntime"],
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
    main(options.parse_args())
