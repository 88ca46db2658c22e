"""What the page's controls do, without a browser."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch import Tensor

from codeformer_core.app.handlers import Handlers
from codeformer_core.app.page import build
from codeformer_core.app.service import Look, Service
from codeformer_core.app.sessions import Sessions
from codeformer_core.images import Picture, read_picture, write_picture

WriteClip = Callable[[Path, Tensor, int], None]
ME = SimpleNamespace(session_hash="me")


@pytest.fixture
def gradio() -> Any:
    return pytest.importorskip("gradio", reason="needs the extra `app`: pip install -e '.[app]'")


@pytest.fixture
def handlers(gradio: Any, service: Service, tmp_path: Path) -> Handlers:
    return Handlers(gradio, service, Sessions(tmp_path / "sessions"))


def look(handlers: Handlers, path: Path) -> tuple[list[str], Look | None]:
    """What is ticked at first, and what was found."""
    job, *_ = handlers.choose(str(path), None, ME)
    _, picked, found = handlers.look(str(path), job, ME, lambda _: None)
    return picked.value, found


def submit(
    handlers: Handlers,
    path: Path,
    picked: list[str],
    found: Look | None,
    rescale: float = 1.0,
    shown: bool = True,
) -> tuple[Path, str]:
    """The result, and what is said of it."""
    numbered = "numbered.webp" if shown and found is not None else None
    job, *_ = handlers.submit(str(path), numbered, picked, True, True, rescale, 0.5, True, None, ME)
    _, _, notes, download = handlers.restore(job, found, ME, lambda _: None)
    return Path(download.value["path"]), notes


@pytest.mark.parametrize("looked_at_another", [False, True])
def test_a_clip_is_never_restored_as_another_that_was_looked_at(
    handlers: Handlers,
    two_faces: Tensor,
    tmp_path: Path,
    write_clip: WriteClip,
    looked_at_another: bool,
) -> None:
    av = pytest.importorskip("av")
    write_clip(tmp_path / "a.mp4", two_faces, 2)
    write_clip(tmp_path / "b.mp4", two_faces[:, :256], 5)
    ticks, found = look(handlers, tmp_path / "a.mp4") if looked_at_another else ([], None)
    made, _ = submit(handlers, tmp_path / "b.mp4", ticks[1:], found)
    with av.open(str(made)) as file:
        assert len(list(file.decode(video=0))) == 5


@pytest.mark.parametrize("looked_at_another", [False, True])
def test_all_of_a_picture_are_restored_if_nobody_was_to_choose_from(
    handlers: Handlers, two_faces: Tensor, tmp_path: Path, looked_at_another: bool
) -> None:
    for name in ("a.png", "b.png"):
        write_picture(tmp_path / name, Picture(two_faces))
    ticks, found = look(handlers, tmp_path / "a.png") if looked_at_another else ([], None)
    _, notes = submit(handlers, tmp_path / "b.png", ticks[1:], found)
    assert "2 of 2 faces" in notes
    ticks, found = look(handlers, tmp_path / "b.png")
    _, notes = submit(handlers, tmp_path / "b.png", ticks[1:], found)
    assert "the face is larger" in notes, "only the one that was ticked"


def test_ticks_of_one_file_are_none_of_another(
    handlers: Handlers, two_faces: Tensor, tmp_path: Path
) -> None:
    ticks = []
    for name in ("a.png", "b.png"):
        write_picture(tmp_path / name, Picture(two_faces))
        ticks += look(handlers, tmp_path / name)[0]
    assert len(set(ticks)) == 4


def test_looking_and_restoring_take_turns(gradio: Any, service: Service, tmp_path: Path) -> None:
    page = build(gradio, service, Sessions(tmp_path))
    turns = {each.name: each.concurrency_id for each in page.fns.values() if each.queue}
    assert turns["look"] == turns["restore"] != turns["submit"]


def test_as_it_comes_the_page_takes_pictures_up_to_the_limit(
    gradio: Any, service: Service, two_faces: Tensor, tmp_path: Path
) -> None:
    page = build(gradio, service, Sessions(tmp_path))
    controls = {getattr(block, "label", ""): block for block in page.blocks.values()}
    rescale = controls["Rescaling_Factor"].value
    megapixels = two_faces.shape[0] * two_faces.shape[1] / 1e6
    strict = Service(service.network, service.detector, service.upscaler, megapixels)
    write_picture(tmp_path / "a.png", Picture(two_faces))
    made, _ = submit(
        Handlers(gradio, strict, Sessions(tmp_path)), tmp_path / "a.png", [], None, rescale
    )
    assert read_picture(made).pixels.shape == two_faces.shape


def test_what_was_asked_for_before_anybody_was_shown_is_done_for_all(
    handlers: Handlers, two_faces: Tensor, tmp_path: Path
) -> None:
    write_picture(tmp_path / "a.png", Picture(two_faces))
    _, found = look(handlers, tmp_path / "a.png")
    _, notes = submit(handlers, tmp_path / "a.png", [], found, shown=False)
    assert "2 of 2 faces" in notes
    with pytest.raises(Exception, match="Choose at least one"):
        submit(handlers, tmp_path / "a.png", [], found)


def test_stop_ends_all_that_a_session_asked_for_also_what_waits(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    looking, restoring, other = (sessions.ask(name) for name in ("me", "me", "you"))
    assert sessions.stop("me")
    assert looking.is_set() and restoring.is_set() and not other.is_set()
    assert not sessions.stop("me"), "nothing is left to stop"
    assert not sessions.ask("me").is_set(), "what is asked for afterwards goes on"


def test_a_sessions_name_is_no_path(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path / "mine")
    (tmp_path / "others").mkdir()
    name = "x/../../others"
    with sessions.at_work(name, sessions.ask(name)) as folder:
        assert folder.resolve().is_relative_to(tmp_path / "mine")
    sessions.forget(name)
    assert (tmp_path / "others").exists()


def test_what_was_cleared_while_it_waited_or_ran_leaves_nothing(
    handlers: Handlers, two_faces: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_picture(tmp_path / "a.png", Picture(two_faces))
    restore, begun = Service.restore, []

    def cleared(service: Service, path: Path, folder: Path, *rest: Any) -> Any:
        begun.append(folder)
        handlers.clear(ME)
        return restore(service, path, folder, *rest)

    monkeypatch.setattr(Service, "restore", cleared)
    ask = (str(tmp_path / "a.png"), None, [], True, True, 1.0, 0.5, True, None, ME)
    for clear_first in (False, True):
        job, *_ = handlers.submit(*ask)
        if clear_first:
            handlers.clear(ME)
        results = handlers.restore(job, None, ME, lambda *_: None)
        assert all(each == {"__type__": "update"} for each in results)
    assert len(begun) == 1 and not begun[0].exists()
