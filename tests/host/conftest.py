"""A real ComfyUI for the tests: started once as a server, imported once into this process.

Nothing here imports `codeformer_core` through the pack twice: tests that look at objects inside the
host reach the core only as `pack.codeformer_core`.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


def _load(name: str, path: Path) -> ModuleType:
    """A module beside the tests; they are no package."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


real_host = _load("codeformer_real_host", Path(__file__).with_name("real_host.py"))

SIDE = 240
"""Of the pictures that `make_faces` puts faces into."""


# ------------------------------------------------------------------------------------- the server


@pytest.fixture(scope="session")
def host_tools() -> ModuleType:
    """What starts a host of one's own; see `real_host.py`."""
    return real_host


@pytest.fixture(scope="session")
def comfy_root() -> Path:
    """Folder of an unmodified ComfyUI, downloaded the first time."""
    return real_host.comfy_folder()


@pytest.fixture(scope="session")
def server(
    comfy_root: Path,
    tmp_path_factory: pytest.TempPathFactory,
    write_tiny_model: Callable[[Path], Path],
) -> Iterator[Any]:
    """A started ComfyUI with the pack and a tiny model file."""
    base = real_host.make_base(tmp_path_factory.mktemp("server"))
    write_tiny_model(base / "models" / "facerestore_models" / "tiny.safetensors")
    shutil.copy(Path(__file__).with_name("window_nodes.py"), base / "custom_nodes")
    # In float32 results equal the library's; bfloat16 rounds differently with every thread count.
    with real_host.running(comfy_root, base, flags=("--fp32-vae",)) as started:
        yield started


@pytest.fixture(scope="session")
def known(server: Any) -> dict[str, Any]:
    """Every node of the host."""
    return server.json("/object_info")


@pytest.fixture(scope="session")
def shipped(known: dict[str, Any]) -> Callable[[str], dict[str, Any]]:
    """Make the prompt of a shipped workflow, by the name of its file."""
    return lambda name: real_host.as_prompt(real_host.load_workflow(name), known)


# ------------------------------------------------------------------------- the host in this process


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Compute with one thread: see the server's.

    For whole modules, so that their own fixtures do too: PyTorch enlarges a picture by another
    kernel with more threads, and faces are then found a fraction of a pixel away.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def host(comfy_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """ComfyUI's modules and the pack, imported into this process as ComfyUI would.

    Attributes: `base`, `memory` (comfy.model_management), `folder_paths`, `pack` (the root module),
    `adapter`, `shared`, `choices` (the pack's `nodes.host` and so on), `nodes` (node classes by
    id), `core(name)` (a core module), `patcher(network)` (the memory manager's handle on one),
    `restore(network, crops)` (in the hands of the memory manager), `import_pack(name)`.
    """
    base = real_host.make_base(tmp_path_factory.mktemp("inside"))
    argv, sys.argv = sys.argv, ["main.py", "--cpu", "--base-directory", str(base)]
    sys.path.insert(0, str(comfy_root))
    try:
        importlib.import_module("comfy.options").enable_args_parsing()
        memory = importlib.import_module("comfy.model_management")
        folders = importlib.import_module("folder_paths")
    finally:
        sys.argv = argv
    pack = _import_pack("codeformer_pack_under_test", real_host.PACK)
    adapter = importlib.import_module(f"{pack.__name__}.nodes.host")
    extension = asyncio.run(pack.comfy_entrypoint())
    classes = asyncio.run(extension.get_node_list())

    def core(name: str) -> ModuleType:
        return importlib.import_module(f"{pack.__name__}.codeformer_core.{name}")

    yield SimpleNamespace(
        base=base,
        memory=memory,
        folder_paths=folders,
        pack=pack,
        adapter=adapter,
        shared=importlib.import_module(f"{pack.__name__}.nodes.shared"),
        choices=importlib.import_module(f"{pack.__name__}.nodes.choices"),
        nodes={node.GET_SCHEMA().node_id: node for node in classes},
        core=core,
        patcher=importlib.import_module(f"{pack.__name__}.nodes.host.runtime").patcher_of,
        restore=lambda network, crops, fidelity=0.5: core("pipeline").restore_crops(
            network, crops, fidelity, runtime=adapter.HostRuntime()
        ),
        import_pack=lambda name: _import_pack(name, real_host.PACK),
    )
    sys.path.remove(str(comfy_root))


def _import_pack(name: str, folder: Path) -> ModuleType:
    """Load the pack the way the host's loader does: under a name made up from its path."""
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# ------------------------------------------------------------------------------------------ models


@pytest.fixture(scope="session")
def write_tiny_model() -> Callable[[Path], Path]:
    """Write a randomly initialised CodeFormer of 64 px crops in the published layout."""

    def write(path: Path) -> Path:
        import torch

        from codeformer_core.checkpoints import save_network
        from codeformer_core.networks import CodeFormer, CodeFormerConfig, VQGANConfig

        vqgan = VQGANConfig(
            image_size=64,
            channels=32,
            multipliers=(1, 2, 2),
            blocks=1,
            codebook_size=64,
            code_channels=32,
        )
        config = CodeFormerConfig(vqgan=vqgan, width=64, layers=2, fusion_sizes=(32,))
        torch.manual_seed(0)
        return save_network(path, CodeFormer(config))

    return write


@pytest.fixture(scope="session")
def tiny_file(host: SimpleNamespace, write_tiny_model: Callable[[Path], Path]) -> Path:
    """The tiny model among the model files of the host in this process."""
    folder = host.base / "models" / "facerestore_models"
    return write_tiny_model(folder / "tiny.safetensors")


@pytest.fixture
def tiny(host: SimpleNamespace, tiny_file: Path) -> Iterator[Any]:
    """The tiny model as Load CodeFormer hands it out; nothing is left loaded afterwards."""
    yield host.shared.restorer(tiny_file.name)
    host.memory.unload_all_models()


@pytest.fixture(scope="session")
def make_faces(host: SimpleNamespace) -> Any:
    """Faces at given (x, y, frame) of pictures, of 240 px unless told, 40 px wide each."""
    types, alignment = host.core("faces.types"), host.core("faces.alignment")

    def build(
        *places: tuple[float, float, int], frames: int = 1, height: int = SIDE, width: int = SIDE
    ) -> Any:
        def face(x: float, y: float) -> Any:
            scale = 512 / 56
            matrix = ((scale, 0.0, 255.5 - scale * x), (0.0, scale, 255.5 - scale * y))
            placement = types.Placement(matrix, 512, height, width)
            box = types.Box(x - 20, y - 20, x + 20, y + 20)
            points = alignment.landmarks_of(placement)
            return types.Face(box, 0.9, points, placement)

        found: list[list[Any]] = [[] for _ in range(frames)]
        for x, y, frame in places:
            found[frame].append(face(x, y))
        return types.Faces(tuple(map(tuple, found)), height, width)

    return build
