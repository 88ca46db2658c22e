"""What the tests of jobs share."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from codeformer_core.addresses import _file_system
from codeformer_core.checkpoints import save_network


@pytest.fixture
def model(tmp_path, tiny_codeformer) -> Path:
    """A weight file of 64 px with random numbers."""
    folder = tmp_path / "models"
    folder.mkdir()
    return save_network(folder / "tiny.safetensors", tiny_codeformer)


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
