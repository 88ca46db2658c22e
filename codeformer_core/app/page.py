"""The page: controls on the left, before and after on the right. Gradio draws it."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from threading import Event
from typing import Any
from weakref import WeakSet

from torch import Tensor

from ..errors import CodeFormerError, SettingError
from ..images import to_uint8
from ..messages import describe_error
from ..packages import needed_for
from ..runtime import Progress
from .service import Look, Service, Wishes

TITLE = "CodeFormer"
ABOUT = (
    "Restores the faces of a picture or a clip. Everything happens on this computer, and nothing "
    "is kept: files are gone with *Clear*, when the page is closed, and after an hour."
)
HOUR = 3600
"""Seconds after which what was forgotten is deleted."""
LONGEST_QUEUE = 20
BUTTONS = ["fullscreen"]
"""Over pictures: not Gradio's own download, of what is shown, and nothing to share."""
STYLE = "footer { display: none !important; }"


class StoppedError(CodeFormerError):
    """The user pressed Stop."""


class Sessions:
    """What belongs to each open page: a folder, and whether its user wants to stop.

    Pages are told apart by what Gradio calls a session; nobody sees another one's files.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._stops: dict[str, WeakSet[Event]] = {}

    def begin(self, session: str) -> tuple[Path, Event]:
        """A new folder for a result, and what says that it is no longer wanted."""
        folder = self._folder(session) / uuid.uuid4().hex
        folder.mkdir(parents=True)
        stop = Event()
        self._stops.setdefault(session, WeakSet()).add(stop)
        return folder, stop

    def stop(self, session: str) -> None:
        """End all that runs for a session."""
        for stop in self._stops.pop(session, ()):
            stop.set()

    def forget(self, session: str) -> None:
        """End what runs for a session, and delete what it made."""
        self.stop(session)
        shutil.rmtree(self._folder(session), ignore_errors=True)

    def _folder(self, session: str) -> Path:
        return self._root / f"session-{session}"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for everything, uploads too, that is deleted at the end."""
    before = os.environ.get("GRADIO_TEMP_DIR")
    with tempfile.TemporaryDirectory(prefix="codeformer-app-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        try:
            yield Path(folder)
        finally:
            if before is None:
                del os.environ["GRADIO_TEMP_DIR"]
            else:
                os.environ["GRADIO_TEMP_DIR"] = before


@contextmanager
def serving(
    service: Service,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    max_megabytes: int = 200,
    open_browser: bool = False,
) -> Iterator[Any]:
    """Show the page for a while.

    Args:
        service: does the work, one file at a time.
        host: address to listen on; only this computer reaches the default.
        port: None takes the first that is free from 7860 on.
        max_megabytes: largest upload.
        open_browser: show it at once.

    Yields:
        Gradio's page, whose `local_url` is its address.

    Raises:
        MissingModelError: Gradio is not installed.
        SettingError: the address or the port cannot be had.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    with needed_for("The page", "gradio"):
        gradio = import_module("gradio")
    with temporary_folder() as folder:
        page = build(gradio, service, Sessions(folder))
        page.queue(max_size=LONGEST_QUEUE, default_concurrency_limit=1)
        fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["monospace"]}
        try:
            page.launch(
                server_name=host,
                server_port=port,
                share=False,
                inbrowser=open_browser,
                max_file_size=max_megabytes * 1_000_000,
                theme=gradio.themes.Default(**fonts),  # its own come from elsewhere
                css=STYLE,
                ssr_mode=False,
                footer_links=[],
                prevent_thread_lock=True,
                quiet=True,
            )
        except OSError as error:
            raise SettingError(f"the page cannot listen on {host}: {error}") from error
        try:
            yield page
        finally:
            page.close()


def build(gradio: Any, service: Service, sessions: Sessions) -> Any:
    """The page, not yet shown."""
    with gradio.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(60, HOUR)) as page:
        gradio.Markdown(f"# {TITLE}\n{ABOUT}")
        with gradio.Row():
            with gradio.Column():
                given = gradio.File(
                    label="Picture or clip", file_types=["image", "video"], elem_id="given"
                )
                numbered = gradio.Image(
                    label="Faces",
                    visible=False,
                    interactive=False,
                    buttons=BUTTONS,
                    elem_id="numbered",
                )
                picked = gradio.CheckboxGroup(
                    label="Faces to restore", visible=False, elem_id="picked"
                )
                background = gradio.Checkbox(label="Background_Enhance", value=True)
                faces = gradio.Checkbox(label="Face_Upsample", value=True)
                rescale = gradio.Slider(
                    1,
                    4,
                    value=1,
                    step=0.5,
                    label="Rescaling_Factor",
                    info="up to 4",
                )
                fidelity = gradio.Slider(
                    0,
                    1,
                    value=service.fidelity,
                    step=0.01,
                    label="Codeformer_Fidelity",
                    info="0 for better quality, 1 for better identity",
                )
                with gradio.Row():
                    clear = gradio.Button("Clear")
                    stop = gradio.Button("Stop")
                    submit = gradio.Button("Submit", variant="primary")
            with gradio.Column():
                slider = gradio.ImageSlider(
                    label="Before and after",
                    interactive=False,
                    buttons=BUTTONS,
                    elem_id="slider",
                )
                clip = gradio.Video(label="Restored clip", visible=False, interactive=False)
                notes = gradio.Markdown(elem_id="notes")
                download = gradio.DownloadButton("Download", interactive=False, elem_id="download")
        handlers = Handlers(gradio, service, sessions)
        results = [slider, clip, notes, download]
        look = gradio.State()
        controls = [given, background, faces, rescale, fidelity, picked, look]

        # Restoring waits for looking, so that it knows what was found.
        alone = {"concurrency_id": "files", "show_progress_on": [slider]}
        seen = [numbered, picked, look]
        unseen = given.change(handlers.unsee, None, seen, queue=False)
        unseen.then(handlers.look, given, seen, **alone)
        submit.click(handlers.submit, controls, results, **alone)
        stop.click(handlers.stop, None, None, queue=False)
        clear.click(handlers.clear, None, [given, numbered, picked, *results], queue=False)
        page.unload(handlers.leave)
    return page


class Handlers:
    """What the controls do."""

    def __init__(self, gradio: Any, service: Service, sessions: Sessions) -> None:
        self._gradio, self._service, self._sessions = gradio, service, sessions
        # Gradio reads what it is to hand over from the annotations.
        takes_request = (self.look, self.submit, self.stop, self.clear, self.leave)
        for handler in takes_request:
            handler.__func__.__annotations__["request"] = gradio.Request
        for handler in (Handlers.look, Handlers.submit):
            handler.__defaults__ = (None, gradio.Progress())

    def look(
        self, given: str | None, request: Any = None, progress: Any = None
    ) -> tuple[Any, Any, Look | None]:
        """Number the faces of a picture that was chosen, or the people of a clip."""
        gradio, found = self._gradio, None
        if given is not None:
            _, stop = self._sessions.begin(request.session_hash)
            on_progress = _stoppable(stop, lambda done, total: progress((done, total)))
            found = self._told(lambda: self._service.look(Path(given), on_progress))
        if found is None or found.numbered is None:
            return *self._nobody(), found
        who = "Faces" if found.survey is None else "People"
        # With the file, so that nobody is picked by what was ticked of another.
        ticks = [(str(number), f"{number} {given}") for number in range(1, found.count + 1)]
        all_of_them = [tick for _, tick in ticks]
        return (
            gradio.Image(_bytes(found.numbered), label=who, visible=True),
            gradio.CheckboxGroup(ticks, value=all_of_them, label=f"{who} to restore", visible=True),
            found,
        )

    def unsee(self) -> tuple[Any, ...]:
        """Forget who is in the file before, until somebody has looked at the new one."""
        return *self._nobody(), None

    def submit(
        self,
        given: str | None,
        background: bool,
        faces: bool,
        rescale: float,
        fidelity: float,
        picked: list[str],
        look: Look | None,
        request: Any = None,
        progress: Any = None,
    ) -> tuple[Any, ...]:
        """Restore what was chosen."""
        gradio = self._gradio
        if given is None:
            raise gradio.Error("Choose a picture or a clip first.", print_exception=False)
        if look is not None and look.path != Path(given):
            look = None  # no look at this file came to its end
        if look is not None and look.count and not picked:
            raise gradio.Error("Choose at least one of them.", print_exception=False)
        folder, stop = self._sessions.begin(request.session_hash)
        numbers = tuple(int(tick.split()[0]) for tick in picked) if look is not None else ()
        wishes = Wishes(background, faces, rescale, fidelity, numbers)
        on_progress = _stoppable(stop, lambda done, total: progress((done, total)))
        made = self._told(
            lambda: self._service.restore(Path(given), folder, wishes, on_progress, look)
        )
        pair = None
        if made.before is not None and made.after is not None:
            pair = (_bytes(made.before), _bytes(made.after))
        return (
            gradio.ImageSlider(pair, visible=pair is not None),
            gradio.Video(None if pair else str(made.file), visible=pair is None),
            "\n".join(f"- {note}" for note in made.notes),
            gradio.DownloadButton(f"Download {made.file.name}", str(made.file), interactive=True),
        )

    def stop(self, request: Any = None) -> None:
        """End what runs."""
        self._sessions.stop(request.session_hash)

    def clear(self, request: Any = None) -> tuple[Any, ...]:
        """Forget everything."""
        gradio = self._gradio
        self._sessions.forget(request.session_hash)
        return (
            None,
            *self._nobody(),
            gradio.ImageSlider(None, visible=True),
            gradio.Video(None, visible=False),
            "",
            gradio.DownloadButton("Download", None, interactive=False),
        )

    def leave(self, request: Any = None) -> None:
        """Forget everything when the page is closed."""
        self._sessions.forget(request.session_hash)

    def _nobody(self) -> tuple[Any, Any]:
        """No faces to choose from."""
        gradio = self._gradio
        return gradio.Image(None, visible=False), gradio.CheckboxGroup([], value=[], visible=False)

    def _told(self, step: Callable[[], Any]) -> Any:
        """Say what goes wrong as the page says it."""
        try:
            return step()
        except StoppedError:
            raise self._gradio.Error("Stopped.", duration=5, print_exception=False) from None
        except Exception as error:
            raise self._gradio.Error(describe_error(error), print_exception=False) from error


def _stoppable(stop: Event, report: Progress) -> Progress:
    """Report progress until somebody wants to stop."""

    def told(done: int, total: int) -> None:
        if stop.is_set():
            raise StoppedError("stopped")
        report(done, total)

    return told


def _bytes(picture: Tensor) -> Any:
    """(H, W, 3) in 0..1 as bytes."""
    return to_uint8(picture)
