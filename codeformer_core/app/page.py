"""The page: controls on the left, before and after on the right. Gradio draws it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import SettingError
from ..packages import needed_for
from .handlers import Handlers
from .service import Service
from .sessions import Sessions

TITLE = "CodeFormer"
ABOUT = (
    "Restores the faces of a picture or a clip, on this computer. Nothing is kept: results go with "
    "*Clear* or when the page is closed, and everything after an hour."
)
HOUR = 3600
"""Seconds after which what was forgotten is deleted."""
LONGEST_QUEUE = 20
BUTTONS = ["fullscreen"]
"""Over pictures: not Gradio's own download, of what is shown, and nothing to share."""
STYLE = "footer { display: none !important; }"


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
                    type="filepath",
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
                leave_clean = gradio.Checkbox(
                    label="Leave clean faces", value=True, info="that the model would only soften"
                )
                references = gradio.File(
                    label="Photos of the people on it (if you have any, and they agree)",
                    file_count="multiple",
                    file_types=["image"],
                    elem_id="references",
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
        look, looking, restoring = gradio.State(), gradio.State(), gradio.State()
        seen = [numbered, picked, look]
        wishes = [background, faces, rescale, fidelity, leave_clean, references]

        # What is asked for is noted at once, with what the page shows then; the work waits for its
        # turn. Restoring takes turns with looking, so that it knows what was found.
        at_once = {"queue": False, "show_progress": "hidden"}
        in_turn = {"concurrency_id": "files", "show_progress_on": [slider]}
        chosen = given.change(handlers.choose, [given, looking], [looking, *seen], **at_once)
        # A look that is no longer wanted does not keep the next one from waiting.
        chosen.then(handlers.look, [given, looking], seen, trigger_mode="multiple", **in_turn)
        asked = submit.click(
            handlers.submit,
            [given, numbered, picked, *wishes],
            [restoring, submit, notes],
            show_progress="hidden",
            concurrency_limit=None,  # not `at_once`: Gradio shows the errors of its queue only
        )
        done = asked.success(handlers.restore, [restoring, look], results, **in_turn)
        for end in (done.success, done.failure):
            end(handlers.finish, restoring, [submit, *results], **at_once)
        stop.click(handlers.stop, None, notes, **at_once)
        cleared = [given, references, restoring, *seen, *results]
        clear.click(handlers.clear, None, cleared, **at_once)
        page.unload(handlers.leave)
    return page
