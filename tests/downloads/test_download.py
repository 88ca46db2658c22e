"""Downloads against a server that misbehaves on purpose."""

import errno
import gzip
import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from codeformer_core.downloads import DownloadCancelledError, KnownFile, download, transfer
from codeformer_core.errors import DownloadError
from codeformer_core.models.registry import check_kind

CONTENT = bytes(range(256)) * 4096  # 1 MB


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(transfer, "TIMEOUT_SECONDS", 0.5)


@pytest.fixture
def known(server) -> KnownFile:
    """A file of the local server, with right length and hash."""
    server.content = CONTENT
    return KnownFile(
        name="model.pth",
        kind="codeformer",
        urls=(server.url,),
        bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        licence="none",
        folder="facerestore_models",
    )


def _status(code: int, **headers: str) -> Callable[[BaseHTTPRequestHandler, bytes], None]:
    def answer(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()

    return answer


def _cut_after(count: int) -> Callable[[BaseHTTPRequestHandler, bytes], None]:
    """Promise everything and stop after so many bytes."""

    def answer(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:count])

    return answer


def _instead(other: bytes, length: int | None = None) -> Callable[..., None]:
    def answer(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        handler.send_response(200)
        if length is not None:
            handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(other)

    return answer


def _silent(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[:1000])
    handler.wfile.flush()
    time.sleep(1.5)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_with_progress(known: KnownFile, tmp_path: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    folder = tmp_path / "models" / "facerestore_models"
    path = download(known, folder, lambda there, total: steps.append((there, total)))
    assert path.read_bytes() == CONTENT
    assert _names(folder) == ["model.pth"]
    assert steps == sorted(steps)
    assert steps[-1] == (len(CONTENT), len(CONTENT))


def test_a_file_that_is_there_is_not_fetched_again(
    known: KnownFile, tmp_path: Path, server
) -> None:
    (tmp_path / "model.pth").write_bytes(CONTENT)
    assert download(known, tmp_path).read_bytes() == CONTENT
    assert server.ranges == []


def test_another_file_of_that_name_is_left_alone(known: KnownFile, tmp_path: Path, server) -> None:
    (tmp_path / "model.pth").write_bytes(b"my own training")
    with pytest.raises(DownloadError, match=r"not the published file.*Move it away"):
        download(known, tmp_path)
    assert (tmp_path / "model.pth").read_bytes() == b"my own training"
    assert server.ranges == []


def test_a_cut_connection_is_resumed_where_it_broke(
    known: KnownFile, tmp_path: Path, server
) -> None:
    server.answers = [_cut_after(300_000)]
    assert download(known, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]


def test_a_part_of_an_earlier_run_is_resumed(known: KnownFile, tmp_path: Path, server) -> None:
    (tmp_path / "model.pth.part").write_bytes(CONTENT[:1234])
    assert download(known, tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1234-"]


def test_a_whole_part_needs_no_request(known: KnownFile, tmp_path: Path, server) -> None:
    (tmp_path / "model.pth.part").write_bytes(CONTENT)
    assert download(known, tmp_path).read_bytes() == CONTENT
    assert server.ranges == []


@pytest.mark.parametrize("part", [b"x" * 1000, b"x" * len(CONTENT), b"x" * (len(CONTENT) + 5)])
def test_a_wrong_part_costs_one_more_try(part: bytes, known: KnownFile, tmp_path: Path) -> None:
    (tmp_path / "model.pth.part").write_bytes(part)
    assert download(known, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("bytes_known", [True, False])
def test_a_whole_part_of_unknown_length_is_settled_by_the_server(
    bytes_known: bool, known: KnownFile, tmp_path: Path, server
) -> None:
    known = known if bytes_known else replace(known, bytes=None)
    (tmp_path / "model.pth.part").write_bytes(CONTENT)
    assert download(known, tmp_path).read_bytes() == CONTENT


def test_a_part_longer_than_the_servers_file_is_begun_again(
    known: KnownFile, tmp_path: Path
) -> None:
    (tmp_path / "model.pth.part").write_bytes(CONTENT + b"more")
    assert download(replace(known, bytes=None), tmp_path).read_bytes() == CONTENT


def test_a_server_without_ranges_starts_over(known: KnownFile, tmp_path: Path, server) -> None:
    (tmp_path / "model.pth.part").write_bytes(b"y" * 5000)
    server.answers = [_instead(CONTENT, len(CONTENT))]
    assert download(known, tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=5000-"]


def test_a_server_that_goes_on_elsewhere_is_not_believed(
    known: KnownFile, tmp_path: Path, server
) -> None:
    (tmp_path / "model.pth.part").write_bytes(CONTENT[:1000])
    server.answers = [_status(206, Content_Range="bytes 0-9/10", Content_Length="10")]
    assert download(known, tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-", None]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (_instead(b"z" * len(CONTENT), len(CONTENT)), "SHA-256"),
        (_instead(b"z" * 100, 100), "has 100 bytes, not"),
        (_instead(b"", 1 << 40), "bytes, not"),
        (_instead(CONTENT + b"more"), "sends more than"),
        (_status(404), "404"),
        (_status(403), "403"),
        (_status(302, Location="http://localhost.evil.example/x"), "no https address"),
        (_status(302, Location="https://evil.example/x"), "'evil.example', which is not trusted"),
        (_status(302, Location="file:///etc/passwd"), "not allowed"),
    ],
)
def test_what_is_not_the_file_never_gets_its_name(
    answer, reason: str, known: KnownFile, tmp_path: Path, server
) -> None:
    server.answers = [answer]
    with pytest.raises(DownloadError, match=rf"model\.pth: not downloaded.*{reason}"):
        download(known, tmp_path)
    assert not (tmp_path / "model.pth").exists()
    assert download(known, tmp_path).read_bytes() == CONTENT, "the next try must succeed"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (_status(503), "503"),
        (_status(429), "429"),
        (_silent, "broke"),
        (_cut_after(0), "ended after 0"),
    ],
)
def test_a_server_that_stays_broken_is_given_up(
    answer, reason: str, known: KnownFile, tmp_path: Path, server
) -> None:
    server.answers = [answer] * transfer.ATTEMPTS
    with pytest.raises(DownloadError, match=rf"{reason}.*{transfer.ATTEMPTS} tries"):
        download(known, tmp_path)
    assert not (tmp_path / "model.pth").exists()


def test_a_trickle_counts_as_a_stall(
    known: KnownFile, tmp_path: Path, server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trickle(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        for index in range(10):
            handler.wfile.write(content[index : index + 1])
            handler.wfile.flush()
            time.sleep(0.05)

    monkeypatch.setattr(transfer, "SLOW_SECONDS", 0.1)
    server.answers = [trickle] * transfer.ATTEMPTS
    with pytest.raises(DownloadError, match="next to nothing"):
        download(known, tmp_path)


def test_nobody_at_the_address_is_named(known: KnownFile, tmp_path: Path) -> None:
    unheard = replace(known, urls=("http://127.0.0.1:9/model.pth",))
    with pytest.raises(DownloadError, match="no connection"):
        download(unheard, tmp_path)


def test_the_next_address_is_tried(known: KnownFile, tmp_path: Path, server) -> None:
    two = replace(known, urls=(server.url, server.url + "?mirror"))
    server.answers = [_status(404)]
    assert download(two, tmp_path).read_bytes() == CONTENT


def test_cancelling_keeps_what_came_and_the_next_try_goes_on(
    known: KnownFile, tmp_path: Path, server
) -> None:
    seen: list[int] = []
    with pytest.raises(DownloadCancelledError, match="kept"):
        download(known, tmp_path, lambda there, _: seen.append(there), lambda: len(seen) > 1)
    assert _names(tmp_path) == ["model.pth.part"]
    there = (tmp_path / "model.pth.part").stat().st_size
    assert 0 < there < len(CONTENT)
    assert download(known, tmp_path).read_bytes() == CONTENT
    assert server.ranges[-1] == f"bytes={there}-"


def test_a_full_disk_is_seen_before_the_first_byte(
    known: KnownFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda folder: Usage)
    with pytest.raises(DownloadError, match="0 MB free, but 1 MB are needed"):
        download(known, tmp_path)


def test_a_disk_that_fills_up_is_named_and_the_part_kept(
    known: KnownFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DownloadError, match=r"model\.pth: cannot be written.*No space left"):
        download(known, tmp_path)
    assert _names(tmp_path) == ["model.pth.part"]


def test_a_folder_in_the_way_is_named(known: KnownFile, tmp_path: Path) -> None:
    (tmp_path / "models").write_bytes(b"a file")
    with pytest.raises(DownloadError, match=r"model\.pth: cannot be written"):
        download(known, tmp_path / "models")


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="the system cannot refuse links")
def test_a_link_in_the_place_of_the_part_is_not_written_through(
    known: KnownFile, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    (tmp_path / "model.pth.part").symlink_to(victim)
    with pytest.raises(DownloadError, match="cannot be written"):
        download(known, tmp_path)
    assert victim.read_bytes() == b"untouched"


@pytest.mark.parametrize("name", ["../model.pth", "a/b.pth", "c:\\model.pth", "..", "", "a\0.pth"])
def test_names_that_lead_elsewhere_are_refused(
    name: str, known: KnownFile, tmp_path: Path, server
) -> None:
    with pytest.raises(DownloadError, match="not a plain file name"):
        download(replace(known, name=name), tmp_path / "models")
    assert server.ranges == []


def test_two_at_once_fetch_once(known: KnownFile, tmp_path: Path, server) -> None:
    paths: list[Path] = []
    threads = [
        threading.Thread(target=lambda: paths.append(download(known, tmp_path))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert paths == [tmp_path / "model.pth"] * 4
    assert server.ranges == [None]
    assert _names(tmp_path) == ["model.pth"]


def test_waiting_for_another_download_can_be_cancelled(known: KnownFile, tmp_path: Path) -> None:
    from codeformer_core.downloads.lock import locked

    with (
        locked(tmp_path / ".model.pth.lock", lambda: None),
        pytest.raises(DownloadCancelledError),
    ):
        download(known, tmp_path, cancelled=lambda: True)


@pytest.mark.parametrize("another_waits", [False, True])
def test_a_killed_download_leaves_a_part_that_is_resumed(
    another_waits: bool, known: KnownFile, tmp_path: Path, server
) -> None:
    def half_and_wait(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:500_000])
        handler.wfile.flush()
        time.sleep(3)

    server.answers = [half_and_wait]
    script = (
        "import sys; from codeformer_core.downloads import KnownFile, download\n"
        f"download(KnownFile(**{vars(known)!r}), sys.argv[1])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=Path(__file__).parents[2]
    )
    part = tmp_path / "model.pth.part"
    deadline = time.monotonic() + 300
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    waiting = threading.Thread(target=lambda: download(known, tmp_path))
    if another_waits:
        waiting.start()
    process.kill()
    process.wait()
    if another_waits:
        waiting.join(120)
    else:
        assert not (tmp_path / "model.pth").exists()
        assert 0 < part.stat().st_size < len(CONTENT)
    assert download(known, tmp_path).read_bytes() == CONTENT
    assert server.ranges[-1] != "bytes=0-" and server.ranges[-1] is not None
    assert _names(tmp_path) == ["model.pth"]


def test_forwarding_in_a_circle_ends(known: KnownFile, tmp_path: Path, server) -> None:
    server.answers = [_status(302, Location="/model.pth")] * 50
    with pytest.raises(DownloadError, match=r"model\.pth: not downloaded.*302"):
        download(known, tmp_path)
    assert _names(tmp_path) == []


def test_a_packed_answer_is_not_taken_for_the_file(
    known: KnownFile, tmp_path: Path, server
) -> None:
    packed = gzip.compress(CONTENT)

    def pack(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        assert handler.headers["Accept-Encoding"] == "identity"
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.end_headers()
        handler.wfile.write(packed)

    server.answers = [pack] * transfer.ATTEMPTS
    with pytest.raises(DownloadError, match="not downloaded"):
        download(known, tmp_path)
    assert not (tmp_path / "model.pth").exists()


def test_a_file_without_hash_wants_a_yes(known: KnownFile, tmp_path: Path, server) -> None:
    with pytest.raises(DownloadError, match="nobody published its hash"):
        download(replace(known, sha256=None), tmp_path)
    assert server.ranges == []


def test_a_file_without_hash_must_be_of_its_kind(
    known: KnownFile, archive_file: Path, tmp_path: Path, server
) -> None:
    unverified = replace(known, sha256=None, bytes=None)
    folder = tmp_path / "models"
    with pytest.raises(DownloadError, match="not a file of weights"):
        download(unverified, folder, check=partial(check_kind, wanted="codeformer"))
    server.content = archive_file.read_bytes()
    with pytest.raises(DownloadError, match="it is a CodeFormer"):
        download(unverified, folder, check=partial(check_kind, wanted="parsenet"))
    assert _names(folder) == []
    path = download(unverified, folder, check=partial(check_kind, wanted="codeformer"))
    assert path.read_bytes() == archive_file.read_bytes()


def test_a_file_of_unknown_length_and_hash_needs_a_length_from_the_server(
    known: KnownFile, tmp_path: Path, server
) -> None:
    server.answers = [_instead(CONTENT)]
    with pytest.raises(DownloadError, match="how long"):
        download(replace(known, sha256=None, bytes=None), tmp_path, check=lambda path: None)
