"""Face restorers as ONNX graphs: told by their inputs, run as they are, refused in plain words."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from codeformer_core.errors import CheckpointError, MissingModelError
from codeformer_core.faces import YuNetDetector
from codeformer_core.models import convert, describe, load_detector, load_restorer
from codeformer_core.models.onnx_restorer import OnnxRestorer, providers_for
from codeformer_core.models.restorer import settings_of
from codeformer_core.pipeline import restore_crops, restore_image

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
helper = onnx.helper

WriteGraph = Callable[..., Path]


def _crops(count: int, side: int = 256) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


def _own_output(path: Path, crop: Tensor, weight: Any = None) -> Tensor:
    """What the graph gives by itself."""
    feed = {"input": crop.numpy(), **({} if weight is None else {"weight": weight})}
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["output"], feed)[0])


@pytest.mark.parametrize("opset", [11, 17, 21])
def test_a_graph_restores_as_it_does_by_itself(
    opset: int, write_graph: WriteGraph, tmp_path: Path
) -> None:
    restorer = load_restorer(write_graph(tmp_path / "a.onnx", opset=opset))
    crops = _crops(2)
    restored = restorer(crops)
    assert restorer.size == 256
    for crop, face in zip(crops.split(1), restored.split(1), strict=True):
        torch.testing.assert_close(face, _own_output(tmp_path / "a.onnx", crop), atol=1e-3, rtol=0)
    assert "a is an ONNX graph without a weight: fidelity has no effect" in str(restorer.notice)
    assert restorer(crops[:0]).shape == (0, 3, 256, 256)


@pytest.mark.parametrize("shape", [[], [1], [1, 1], ["n"]])
def test_the_weight_is_the_fidelity_of_each_face(
    shape: list[Any], write_graph: WriteGraph, tmp_path: Path
) -> None:
    path = write_graph(tmp_path / "w.onnx", weight=shape)
    restorer, crops = load_restorer(path), _crops(2)
    restored = restorer(crops, [0.25, 1.0])
    weight = np.full([1] * len(shape), 0.25)
    torch.testing.assert_close(restored[:1], _own_output(path, crops[:1], weight))
    plain = restorer(crops, 0.0)
    torch.testing.assert_close(
        restored - plain, torch.tensor([0.25, 1]).view(2, 1, 1, 1) + 0 * plain
    )
    assert restorer.notice is None


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((1, 3, 1024, 1024), 1024),
        (("n", 3, "h", "w"), 512),
        ((1, 256, 256, 3), 256),
        (("n", "h", "w", 3), 512),
    ],
)
def test_sizes_and_layouts_are_read_from_the_inputs(
    shape: tuple[Any, ...], size: int, write_graph: WriteGraph, tmp_path: Path
) -> None:
    path = write_graph(tmp_path / "odd.onnx", shape)
    restorer, crops = load_restorer(path), _crops(1, size)
    assert restorer.size == size
    last = shape[-1] == 3
    own = _own_output(path, crops.movedim(1, 3).contiguous() if last else crops)
    torch.testing.assert_close(restorer(crops), own.movedim(3, 1) if last else own)


def test_what_a_graph_computes_is_told_by_its_settings(
    write_graph: WriteGraph, tmp_path: Path
) -> None:
    graphs = [write_graph(tmp_path / f"{opset}.onnx", opset=opset) for opset in (11, 17)]
    graphs.append(Path(shutil.copy(graphs[0], tmp_path / "copy.onnx")))
    first, other, copy = (settings_of(load_restorer(path)) for path in graphs)
    assert first == copy != other


def test_half_precision_keeps_the_type_of_the_crops(
    write_graph: WriteGraph, tmp_path: Path
) -> None:
    path = write_graph(tmp_path / "half.onnx", dtype="FLOAT16")
    crops = _crops(1)
    restored = load_restorer(path)(crops)
    assert restored.dtype == torch.float32
    torch.testing.assert_close(restored, _own_output(path, crops.half()).float())


def test_of_two_outputs_the_picture_counts(write_graph: WriteGraph, tmp_path: Path) -> None:
    codes = helper.make_tensor_value_info("codes", onnx.TensorProto.FLOAT, [1, 3])
    small = helper.make_node("ReduceMean", ["b"], ["codes"], axes=[2, 3], keepdims=0)
    path = write_graph(tmp_path / "two.onnx", opset=11, nodes=[small], outputs=[codes])
    crops = _crops(1)
    torch.testing.assert_close(load_restorer(path)(crops), _own_output(path, crops))


def test_weights_beside_the_graph_are_read(write_graph: WriteGraph, tmp_path: Path) -> None:
    apart = {"save_as_external_data": True, "location": "a.data", "size_threshold": 0}
    path = write_graph(tmp_path / "apart.onnx", save=apart)
    crops = _crops(1)
    torch.testing.assert_close(load_restorer(path)(crops), _own_output(path, crops))
    (tmp_path / "a.data").write_bytes(b"short")
    with pytest.raises(CheckpointError, match=r"apart\.onnx: the numbers of its tensor 'kernel'"):
        load_restorer(path)
    (tmp_path / "a.data").unlink()
    with pytest.raises(CheckpointError, match=r"apart\.onnx: .*'a\.data', which is not beside it"):
        load_restorer(path)


def _stranger(**more: Any) -> dict[str, Any]:
    return more


_FLOAT = onnx.TensorProto.FLOAT
_SECOND = helper.make_tensor_value_info("source", _FLOAT, [1, 512])
_HUGE = onnx.numpy_helper.from_array(np.array([1 << 20, 1 << 20], np.int64), "lengths")
_FALSE_SHAPE = helper.make_tensor("liar", _FLOAT, [1], [0.0])
_FALSE_SHAPE.dims[:] = [1 << 20, 1 << 20]
_OUTSIDE = helper.make_tensor("outside", _FLOAT, [1], [0.0])
_OUTSIDE.ClearField("float_data")
_OUTSIDE.data_location = onnx.TensorProto.EXTERNAL
_OUTSIDE.external_data.add(key="location", value="../../etc/passwd")
REFUSED = {
    "another picture": ({"inputs": [_SECOND]}, "wants more than a picture and a weight: 'source'"),
    "not square": ({"shape": (1, 3, 256, 512)}, "pictures of 256 x 512 pixels, not square"),
    "small": ({"shape": (1, 3, 32, 32)}, "not square ones of 64 to 2048"),
    "large": ({"shape": (1, 3, 4096, 4096)}, "not square ones of 64 to 2048"),
    "a batch": ({"shape": (4, 3, 256, 256)}, "takes 4 pictures at once"),
    "whole numbers": ({"dtype": "INT32"}, "not one picture"),
    "an enlarger": ({"output": (1, 3, 512, 512)}, "gives 'output' .*, not a picture of 256"),
    "a size out of this world": (
        {
            "nodes": [helper.make_node("ConstantOfShape", ["lengths"], ["never"])],
            "tensors": [_HUGE],
        },
        "numbers at once .ConstantOfShape.",
    ),
    "numbers that are not there": ({"tensors": [_FALSE_SHAPE]}, "'liar' are missing or cut off"),
    "numbers from elsewhere": ({"tensors": [_OUTSIDE]}, "from outside of its folder"),
    "code from elsewhere": (
        {"nodes": [helper.make_node("Run", ["a"], ["c"], domain="my.python")]},
        "operators of 'my.python', which are code from elsewhere",
    ),
    "a compiled program": (
        {"nodes": [helper.make_node("EPContext", ["a"], ["c"], domain="com.microsoft")]},
        "holds a compiled program .EPContext.",
    ),
    "an unknown operator": (
        {"nodes": [helper.make_node("Restore", ["a"], ["c"])]},
        "onnxruntime cannot run it",
    ),
}


@pytest.mark.parametrize("odd", REFUSED)
def test_what_restores_no_faces_is_refused_in_plain_words(
    odd: str, write_graph: WriteGraph, tmp_path: Path
) -> None:
    settings, reason = REFUSED[odd]
    path = write_graph(tmp_path / "odd.onnx", **settings)
    with pytest.raises(CheckpointError, match=rf"odd\.onnx: .*{reason}"):
        load_restorer(path)


def test_an_enlarger_that_does_not_say_so_is_noticed(
    write_graph: WriteGraph, tmp_path: Path
) -> None:
    free = ("n", 3, "h", "w")
    twice = helper.make_node("Concat", ["b", "b"], ["output2"], axis=2)
    output = helper.make_tensor_value_info("output2", _FLOAT, free)
    path = write_graph(tmp_path / "x2.onnx", free, nodes=[twice], outputs=[output])
    with pytest.raises(CheckpointError, match=r"x2\.onnx: gives .*1024, 512.*Load Upscale Model"):
        load_restorer(path)(_crops(1, 512))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_download_cut_off_is_refused(
    share: float, write_graph: WriteGraph, tmp_path: Path
) -> None:
    path = write_graph(tmp_path / "cut.onnx")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(CheckpointError, match=r"cut\.onnx: .*cut off.*Download it again"):
        load_restorer(path)


def test_other_roles_and_conversion_are_refused(write_graph: WriteGraph, tmp_path: Path) -> None:
    path = write_graph(tmp_path / "a.onnx", weight=[1])
    with pytest.raises(
        CheckpointError, match="is a face restorer as an ONNX graph, not a face det"
    ):
        load_detector(path)
    with pytest.raises(CheckpointError, match=r"a\.onnx: is an ONNX graph.*cannot be converted"):
        convert(path, tmp_path / "a.safetensors")
    report = str(describe(path))
    assert "ONNX graph" in report
    assert "metadata opset" in report
    other = write_graph(tmp_path / "swap.onnx", inputs=[_SECOND])
    assert "problem    swap.onnx: looks like a face restorer" in str(describe(other))


def test_without_onnxruntime_the_package_is_named(
    write_graph: WriteGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_graph(tmp_path / "GPEN-BFR-512.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingModelError, match=r"GPEN-BFR-512\.onnx.*pip install onnxruntime"):
        load_restorer(path)


def test_a_released_graph_opens_again(write_graph: WriteGraph, tmp_path: Path) -> None:
    path = write_graph(tmp_path / "a.onnx")
    restorer, crops = load_restorer(path), _crops(1)
    assert isinstance(restorer, OnnxRestorer)
    before, session = restorer(crops), restorer.open()
    assert restorer.open() is session
    restorer.release()
    assert torch.equal(restorer(crops), before)
    assert restorer.open() is not session
    session = restorer.open()
    restorer.to("cpu")
    assert restorer.open() is session, "it lies there already"
    restorer.to("meta")
    assert restorer.open() is not session
    restorer.release()
    path.unlink()
    with pytest.raises(CheckpointError, match=r"a\.onnx: is gone"):
        restorer(crops)


ALL = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "DmlExecutionProvider"]
MAC = ["CoreMLExecutionProvider", "CPUExecutionProvider"]


@pytest.mark.parametrize(
    ("device", "available", "first"),
    [
        ("cuda:1", ALL, ("CUDAExecutionProvider", {"device_id": 1})),
        ("cuda", ALL[2:], ("DmlExecutionProvider", {"device_id": 0})),
        ("mps", MAC, ("CoreMLExecutionProvider", {})),
        ("cpu", [*ALL, *MAC], "CPUExecutionProvider"),
        ("cuda", MAC, "CPUExecutionProvider"),
    ],
)
def test_the_provider_is_that_of_the_device(device: str, available: list[str], first: Any) -> None:
    providers = providers_for(torch.device(device), available)
    assert providers[0] == first
    assert providers[-1] == "CPUExecutionProvider"


def test_a_graph_beside_the_gpu_says_so(write_graph: WriteGraph, tmp_path: Path) -> None:
    restorer = load_restorer(write_graph(tmp_path / "a.onnx", weight=[1]))
    assert isinstance(restorer, OnnxRestorer)
    restorer._session = torch.device("cuda"), restorer.open()
    assert "a runs on the processor: for the GPU, pip uninstall onnxruntime" in restorer.notice
    assert "onnxruntime-gpu" in restorer.notice


def test_full_memory_is_told_to_the_runtime(
    write_graph: WriteGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restorer = load_restorer(write_graph(tmp_path / "a.onnx"))

    class Full:
        def run(self, *_: Any) -> None:
            raise RuntimeError("BFCArena: Failed to allocate memory for requested buffer")

    monkeypatch.setattr(restorer, "_session", (torch.device("cpu"), Full()))
    with pytest.raises(torch.OutOfMemoryError):
        restorer(_crops(1))


def test_large_faces_are_cut_out_at_the_graphs_own_size(
    write_graph: WriteGraph, tmp_path: Path, astronaut: Tensor
) -> None:
    restorer = load_restorer(write_graph(tmp_path / "GPEN-BFR-1024.onnx", (1, 3, 1024, 1024)))
    result = restore_image(astronaut, restorer, YuNetDetector())
    assert result.restored == 1
    assert not torch.equal(result.image, astronaut)
    assert restore_crops(restorer, torch.rand(1, 300, 300, 3)).shape == (1, 1024, 1024, 3)


# ------------------------------------------------------------ graphs of independent implementations


def _gfpgan() -> torch.nn.Module:
    architecture = pytest.importorskip("spandrel.architectures.GFPGAN")
    flags = {"input_is_latent": True, "different_w": True, "sft_half": True}
    network = architecture.GFPGAN(out_size=512, num_style_feat=512, narrow=1 / 16, **flags)

    class Face(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, picture: Tensor) -> Tensor:
            return self.network(picture, return_rgb=False, randomize_noise=False)[0]

    return Face()


def _restoreformer() -> torch.nn.Module:
    architecture = pytest.importorskip("spandrel.architectures.RestoreFormer")
    sizes = {"num_res_blocks": 1, "z_channels": 32, "embed_dim": 32, "n_embed": 16}
    return architecture.RestoreFormer(ch=32, ch_mult=(1, 1, 1, 1, 1, 1), **sizes)


def _codeformer() -> torch.nn.Module:
    architecture = pytest.importorskip("spandrel_extra_arches.architectures.CodeFormer")
    network = architecture.CodeFormer(dim_embd=64, n_head=4, n_layers=1, codebook_size=64)
    torch.nn.init.normal_(network.position_emb)

    class Face(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, picture: Tensor) -> Tensor:
            return self.network(picture, weight=0.5)[0]  # its weight cannot be exported as an input

    return Face()


EXPORTED = [
    *((make, opset) for make in (_gfpgan, _restoreformer) for opset in (11, 17, 18, 24)),
    *((_codeformer, opset) for opset in (18, 24)),  # the older exporter does not get through it
]


@pytest.mark.extended
@pytest.mark.parametrize(("make", "opset"), EXPORTED)
def test_exported_restorers_give_what_their_networks_give(
    make: Callable[[], torch.nn.Module], opset: int, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network, crops = make().eval(), _crops(1, 512)
    path = tmp_path / "restorer.onnx"
    new = {"dynamo": True, "external_data": False} if opset > 17 else {"dynamo": False}
    with torch.no_grad():
        expected = network(crops)
        expected = expected if isinstance(expected, Tensor) else expected[0]
        torch.onnx.export(network, (crops,), path, opset_version=opset, **new)
    restored = load_restorer(path)(crops)
    scale = float(expected.abs().max())
    torch.testing.assert_close(restored / scale, expected / scale, atol=1e-3, rtol=0)
