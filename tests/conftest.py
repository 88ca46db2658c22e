"""Fixtures for all tests: small networks, their weight files, and a real photo."""

import importlib.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from codeformer_core.checkpoints import save_network
from codeformer_core.checkpoints.names import to_published
from codeformer_core.networks import CodeFormer, CodeFormerConfig, VQGANConfig

ROOT = Path(__file__).parent.parent

MARKS = {"benchmarks": "extended", "browser": "browser", "host": "host"}
"""Mark of every test in a folder."""

NOT_FAST = {"browser", "extended", "host", "slow"}


def _stay_on_this_machine() -> None:
    """Here; every ComfyUI that the tests start imports the same module at its start."""
    path = ROOT / "tests" / "guard" / "sitecustomize.py"
    spec = importlib.util.spec_from_file_location("guard", path)
    assert spec is not None and spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


_stay_on_this_machine()

if "PYTEST_XDIST_WORKER" in os.environ:
    # The other processes want the other cores; and what a test starts must round as it does itself.
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"


@pytest.hookimpl(tryfirst=True)
def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the root as a plain folder: its `__init__.py` is the pack's, for ComfyUI only."""
    return pytest.Dir.from_parent(parent, path=path) if path == ROOT else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what a folder's tests need, those that need nothing as fast, and whom they go with."""
    folder = item.path.parent
    if mark := MARKS.get(folder.name):
        item.add_marker(mark)
    # With `-n 2 --dist loadgroup` a folder stays in one process, and all that need the host do.
    item.add_marker(pytest.mark.xdist_group("host" if mark == "browser" else folder.name))
    if NOT_FAST.isdisjoint(mark.name for mark in item.iter_markers()):
        item.add_marker("fast")


@pytest.fixture
def tiny_config() -> CodeFormerConfig:
    """A CodeFormer of 64 px that runs in milliseconds: 16x16 codes, fusion at 16 and 32."""
    vqgan = VQGANConfig(
        image_size=64,
        channels=32,
        multipliers=(1, 2),
        blocks=1,
        attention_sizes=(16,),
        codebook_size=64,
        code_channels=32,
        patch=2,
    )
    return CodeFormerConfig(vqgan, width=64, heads=8, layers=2, fusion_sizes=(16, 32))


@pytest.fixture
def tiny_codeformer(tiny_config: CodeFormerConfig) -> CodeFormer:
    """A randomly initialised `tiny_config` network in evaluation mode."""
    torch.manual_seed(0)
    network = CodeFormer(tiny_config).eval().requires_grad_(False)
    torch.nn.init.normal_(network.position_emb)
    return network


@pytest.fixture(scope="session")
def astronaut() -> Tensor:
    """NASA's portrait of Eileen Collins (public domain): (512, 512, 3) float32 RGB in 0..1."""
    from skimage.data import astronaut

    return torch.from_numpy(astronaut()).float() / 255


@pytest.fixture
def safetensors_file(tiny_codeformer: CodeFormer, tmp_path: Path) -> Path:
    """The tiny network as we save it."""
    return save_network(tmp_path / "tiny.safetensors", tiny_codeformer)


@pytest.fixture
def published_state(tiny_codeformer: CodeFormer) -> dict[str, torch.Tensor]:
    """The tiny network's tensors under the published keys."""
    return to_published(tiny_codeformer.state_dict())


@pytest.fixture
def archive_file(published_state: dict[str, torch.Tensor], tmp_path: Path) -> Path:
    """The tiny network as CodeFormer's authors save theirs."""
    path = tmp_path / "tiny.pth"
    torch.save({"params_ema": published_state}, path)
    return path


@pytest.fixture
def legacy_file(published_state: dict[str, torch.Tensor], tmp_path: Path) -> Path:
    """The tiny network as PyTorch before 1.6 and parallel training would have saved it."""
    path = tmp_path / "tiny_legacy.pth"
    prefixed = {f"module.{key}": value for key, value in published_state.items()}
    torch.save(prefixed, path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture(scope="session")
def write_graph() -> Callable[..., Path]:
    """Write an ONNX graph: a picture goes through a 3x3 convolution, and a weight is added."""

    def write(
        path: Path,
        shape: Sequence[int | str] = (1, 3, 256, 256),
        *,
        weight: Sequence[int | str] | None = None,
        opset: int = 17,
        dtype: str = "FLOAT",
        **more: Any,
    ) -> Path:
        onnx = pytest.importorskip("onnx")
        helper, kind = onnx.helper, getattr(onnx.TensorProto, dtype)
        kernel = torch.randn(3, 3, 3, 3, generator=torch.Generator().manual_seed(3)).numpy() / 9
        last = shape[-1] == 3
        nodes = [
            *([helper.make_node("Transpose", ["input"], ["nchw"], perm=[0, 3, 1, 2])] * last),
            helper.make_node("Conv", ["nchw" if last else "input", "kernel"], ["a"], pads=[1] * 4),
            helper.make_node(
                "Transpose", ["a"], ["b"], perm=[0, 2, 3, 1] if last else [0, 1, 2, 3]
            ),
        ]
        if weight is not None:
            nodes.append(helper.make_node("Cast", ["weight"], ["added"], to=kind))
            nodes.append(helper.make_node("Add", ["b", "added"], ["output"]))
        else:
            nodes.append(helper.make_node("Identity", ["b"], ["output"]))
        inputs = [helper.make_tensor_value_info("input", kind, shape)]
        if weight is not None:
            inputs.append(helper.make_tensor_value_info("weight", onnx.TensorProto.DOUBLE, weight))
        outputs = [helper.make_tensor_value_info("output", kind, more.get("output", shape))]
        kernel = kernel.astype(helper.tensor_dtype_to_np_dtype(kind))
        graph = helper.make_graph(
            [*nodes, *more.get("nodes", ())],
            "restorer",
            inputs + more.get("inputs", []),
            more.get("outputs", []) + outputs,
            [onnx.numpy_helper.from_array(kernel, "kernel"), *more.get("tensors", ())],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        model.ir_version = min(model.ir_version, 10)
        onnx.save_model(model, path, **more.get("save", {}))
        return path

    return write
