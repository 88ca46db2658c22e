"""What the controls of the page do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from ..images import to_uint8
from ..messages import describe_error
from ..runtime import Progress
from .service import Look, Made, Service, Wishes
from .sessions import Sessions, stoppable


@dataclass(frozen=True)
class Job:
    """What was asked for, as the controls stood then."""

    path: Path
    """The file."""
    stop: Event
    """Says that it is no longer wanted."""
    wishes: Wishes = field(default_factory=Wishes)
    """Of a restoration."""


class Handlers:
    """One method for each thing that can happen.

    Gradio calls `look` and `restore` in turns, and the others at once, beside them.
    """

    def __init__(self, gradio: Any, service: Service, sessions: Sessions) -> None:
        self._gradio, self._service, self._sessions = gradio, service, sessions
        # Gradio reads what it is to hand over from the annotations.
        work = (Handlers.look, Handlers.restore)
        at_once = (Handlers.choose, Handlers.submit, Handlers.stop, Handlers.clear, Handlers.leave)
        for handler in (*work, *at_once):
            handler.__annotations__["request"] = gradio.Request
        for handler in work:
            handler.__defaults__ = (None, gradio.Progress())

    def choose(
        self, given: str | None, looking: Job | None, request: Any = None
    ) -> tuple[Any, ...]:
        """Forget the file before, and ask for a look at this one."""
        session = request.session_hash
        if looking is not None:
            self._sessions.drop(session, looking.stop)
        job = None if given is None else Job(Path(given), self._sessions.ask(session))
        return job, *self._nobody(), None

    def look(
        self, given: str | None, job: Job | None, request: Any = None, progress: Any = None
    ) -> tuple[Any, ...]:
        """Number the faces of a picture that was chosen, or the people of a clip."""
        gradio = self._gradio
        if given is None or job is None or job.path != Path(given):
            return (gradio.skip(),) * 3  # another file was chosen while this one waited
        found: Look | None = self._carried_out(
            job, lambda _, report: self._service.look(job.path, report), request, progress
        )
        if found is None:
            return (gradio.skip(),) * 3
        if found.numbered is None:
            return *self._nobody(), found
        who = "Faces" if found.survey is None else "People"
        ticks = [(str(number), _tick(number, job.path)) for number in range(1, found.count + 1)]
        all_of_them = [tick for _, tick in ticks]
        return (
            gradio.Image(to_uint8(found.numbered), label=who, visible=True),
            gradio.CheckboxGroup(ticks, value=all_of_them, label=f"{who} to restore", visible=True),
            found,
        )

    def submit(
        self,
        given: str | None,
        numbered: str | None,
        picked: list[str],
        background: bool,
        faces: bool,
        rescale: float,
        fidelity: float,
        leave_clean: bool,
        references: list[str] | None = None,
        request: Any = None,
    ) -> tuple[Job, Any, str]:
        """Ask for a restoration; until somebody was shown to choose from, of all."""
        gradio = self._gradio
        if given is None:
            raise gradio.Error("Choose a picture or a clip first.", print_exception=False)
        if numbered is not None and not picked:
            raise gradio.Error("Choose at least one of them.", print_exception=False)
        numbers = _numbers(picked, Path(given))
        photos = tuple(map(Path, references or ()))
        wishes = Wishes(background, faces, rescale, fidelity, numbers, leave_clean, photos)
        job = Job(Path(given), self._sessions.ask(request.session_hash), wishes)
        return job, gradio.Button(interactive=False), ""

    def restore(
        self, job: Job | None, look: Look | None, request: Any = None, progress: Any = None
    ) -> tuple[Any, ...]:
        """Restore what was asked for."""
        nothing = (self._gradio.skip(),) * 4
        if job is None:
            return nothing  # cleared while it waited
        path, wishes = job.path, job.wishes
        of_this = look if look is not None and look.path == path else None
        made: Made | None = self._carried_out(
            job,
            lambda folder, report: self._service.restore(path, folder, wishes, report, of_this),
            request,
            progress,
        )
        return nothing if made is None else self._results(made)

    def finish(self, job: Job | None) -> tuple[Any, ...]:
        """Let more be asked for; what came too late for *Clear* is cleared as well."""
        gradio = self._gradio
        results = self._no_results() if job is None else (gradio.skip(),) * 4
        return gradio.Button(interactive=True), *results

    def stop(self, request: Any = None) -> Any:
        """End what is at work or waits."""
        stopped = self._sessions.stop(request.session_hash)
        return "Stopped." if stopped else self._gradio.skip()

    def clear(self, request: Any = None) -> tuple[Any, ...]:
        """Forget everything."""
        self._sessions.forget(request.session_hash)
        return None, None, None, *self._nobody(), None, *self._no_results()

    def leave(self, request: Any = None) -> None:
        """Forget everything when the page is closed."""
        self._sessions.forget(request.session_hash)

    def _nobody(self) -> tuple[Any, Any]:
        """No faces to choose from."""
        gradio = self._gradio
        return gradio.Image(None, visible=False), gradio.CheckboxGroup([], value=[], visible=False)

    def _results(self, made: Made) -> tuple[Any, ...]:
        gradio, pair = self._gradio, None
        if made.before is not None and made.after is not None:
            pair = (to_uint8(made.before), to_uint8(made.after))
        return (
            gradio.ImageSlider(pair, visible=pair is not None),
            gradio.Video(None if pair else str(made.file), visible=pair is None),
            "\n".join(f"- {note}" for note in made.notes),
            gradio.DownloadButton(f"Download {made.file.name}", str(made.file), interactive=True),
        )

    def _no_results(self) -> tuple[Any, ...]:
        gradio = self._gradio
        return (
            gradio.ImageSlider(None, visible=True),
            gradio.Video(None, visible=False),
            "",
            gradio.DownloadButton("Download", None, interactive=False),
        )

    def _carried_out(
        self, job: Job, work: Callable[[Path, Progress], Any], request: Any, progress: Any
    ) -> Any:
        """What work makes into a folder; None if nobody wants it any more."""
        if job.stop.is_set():
            return None
        report = stoppable(job.stop, lambda done, total: progress((done, total)))
        with self._sessions.at_work(request.session_hash, job.stop) as folder:
            try:
                made = work(folder, report)
            except Exception as error:
                if job.stop.is_set():
                    return None  # stopping is the error, or the cause of it
                # The user knows the file's name, and not where uploads lie.
                told = describe_error(error).replace(str(job.path), job.path.name)
                raise self._gradio.Error(told, print_exception=False) from error
            return None if job.stop.is_set() else made


def _tick(number: int, path: Path) -> str:
    """With the file, so that nobody is picked by what was ticked of another."""
    return f"{number} {path}"


def _numbers(ticks: list[str], path: Path) -> tuple[int, ...]:
    """Of those ticks that are of a file."""
    split = (tick.split(" ", 1) for tick in ticks)
    return tuple(int(number) for number, of in split if of == str(path))
