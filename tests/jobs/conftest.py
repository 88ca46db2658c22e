"""What the tests of jobs share."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import torch
from torch import Tensor

from codeformer_core.addresses import _file_system
from codeformer_core.checkpoints import save_network
from codeformer_core.images import Picture, write_picture
from tests.jobs.aligned import PICTURES, ROOT

RAY = """
import sys
from codeformer_core.jobs.foreman import STORE_BYTES, stay_on_this_machine
stay_on_this_machine()
import ray
ray.init(
    num_cpus=2, num_gpus=0, include_dashboard=False, object_store_memory=STORE_BYTES,
    log_to_driver=False,
)
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def model(tmp_path, tiny_codeformer) -> Path:
    """A weight file of 64 px with random numbers."""
    folder = tmp_path / "models"
    folder.mkdir()
    return save_network(folder / "tiny.safetensors", tiny_codeformer)


@pytest.fixture
def faces(tmp_path: Path, astronaut: Tensor) -> Path:
    """Aligned faces of several formats in folders, each one different, and bad files among them."""
    folder = tmp_path / "in"
    for index in range(PICTURES):
        top, left = 40 + index % 20, 138 + index // 20
        suffix = (".png", ".jpg", ".tif", ".webp")[index % 4]
        face = Picture(astronaut[top : top + 110, left : left + 110], bits=8 + 8 * (index % 3 == 0))
        path = folder / str(index % 3) / f"frame_{index:04}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_picture(path, face)
    (folder / "bad_empty.png").touch()
    (folder / "bad_page.jpg").write_text("<html>not found</html>")
    (folder / "bad_link.webp").symlink_to(folder / "nothing.webp")
    return folder


@pytest.fixture
def memory() -> Iterator[str]:
    """The address of an empty folder in this process's memory."""
    import fsspec

    store = fsspec.filesystem("memory")
    yield "memory://bucket"
    store.rm("/", recursive=True)


@pytest.fixture(scope="module")
def s3_server() -> Iterator[None]:
    """A store of this machine that speaks S3, and where to find it."""
    s3fs = pytest.importorskip("s3fs", reason="pip install s3fs to test s3:// addresses")
    server = pytest.importorskip("moto.server", reason="pip install 'moto[s3,server]'")
    store = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    store.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*store.get_host_and_port()))
        patch.setenv("AWS_ACCESS_KEY_ID", "SECRET-NAME")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET-KEY")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        # Both keep connections, to the server of another module too, whose port has gone with it.
        _file_system.cache_clear()
        s3fs.S3FileSystem.clear_instance_cache()
        yield
    store.stop()


@pytest.fixture
def s3(s3_server: None) -> str:
    """The address of an empty bucket."""
    import s3fs

    bucket = f"bucket-{uuid4().hex[:8]}"
    s3fs.S3FileSystem(skip_instance_cache=True).mkdir(bucket)
    return f"s3://{bucket}"


@pytest.fixture(scope="module")
def ray(s3_server: None) -> Iterator[str]:
    """The address of a Ray of this machine with room for two workers; ends with the module."""
    pytest.importorskip("ray", reason="pip install 'ray[data]' to test --cluster")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so many has a worker, too
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        patch.setenv("PYTHONPATH", str(ROOT))
        process = subprocess.Popen(
            [sys.executable, "-c", RAY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdin is not None and process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()
        process.wait(60)
    torch.set_num_threads(threads)
