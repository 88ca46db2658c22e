"""A face as several restorers see it, side by side, measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..errors import PictureError, SettingError
from ..faces import FaceDetector, Faces, crop_faces
from ..images import Pixels, as_images, resize
from ..images.sheet import Panel, draw_sheet
from ..models.restorer import Restorer, label_of, takes_fidelity
from ..pipeline import try_restore_crops
from ..pipeline.notes import notes_on, sides_of
from ..runtime import Runtime
from .compare import Comparison, MakeDistance, compare

MOST_FACES = 6
"""Rows of the sheet; the largest faces of a picture."""
MEASURED_SIDE = 512
"""Side in pixels at which all faces are shown to the measures."""
LONGEST_CAPTION = 27
"""Letters that fit below a picture of 256 pixels."""
LARGEST_ASPECT_ERROR = 0.02
"""Between a picture and its ground truth."""


@dataclass(frozen=True)
class Entry:
    """One column of the figure."""

    name: str
    """Of the restorer; "input" and "ground truth" for those."""
    fidelity: float | None
    """None where there is none."""
    faces: Tensor
    """(N, S, S, 3) in 0..1."""
    measures: Comparison | None
    """Of every face against the ground truth, or the input; None for what the others are compared
    with."""


@dataclass(frozen=True)
class Lineup:
    """The figure."""

    entries: tuple[Entry, ...]
    """From left to right."""
    has_truth: bool
    """Whether the measures are against the ground truth; else only identity, against the input."""
    warnings: tuple[str, ...] = ()
    """What the user should know, in the user's words."""

    def sheet(self, width: int = 256) -> Tensor:
        """(H, W, 3): a row a face; the measures stand below each picture."""
        rows = [
            [self._panel(entry, face) for entry in self.entries]
            for face in range(len(self.entries[0].faces))
        ]
        return draw_sheet(rows, width)

    @property
    def table(self) -> str:
        """Means over the faces, in Markdown."""
        heads = [name for name, _ in self._numbers(self.entries[0].measures)]
        lines = [
            "| restorer | fidelity | " + " | ".join(heads) + " |",
            "|---|---:|" + "---:|" * len(heads),
        ]
        for entry in self.entries:
            cells = [number for _, number in self._numbers(entry.measures)]
            fidelity = "" if entry.fidelity is None else f"{entry.fidelity:g}"
            lines.append(f"| {entry.name} | {fidelity} | " + " | ".join(cells) + " |")
        return "\n".join(lines)

    def _panel(self, entry: Entry, face: int) -> Panel:
        titles = [entry.name if len(entry.name) <= LONGEST_CAPTION else _shortened(entry.name)]
        titles.append("" if entry.fidelity is None else f"fidelity {entry.fidelity:g}")
        numbers = self._numbers(entry.measures, face)
        lines = [f"{_first_word(name)} {number}" for name, number in numbers if number]
        return Panel(entry.faces[face], (*titles, *lines))

    def _numbers(self, found: Comparison | None, face: int | None = None) -> list[tuple[str, str]]:
        """Names and values of the measures that mean something here; of one face, or the mean."""
        truth = "to the ground truth" if self.has_truth else "to the input"
        names = {f"identity distance {truth} ↓": (found and found.identity, 3)}
        if self.has_truth:
            names = {
                "PSNR ↑": (found and found.psnr, 2),
                "SSIM ↑": (found and found.ssim, 3),
                "perceptual distance ↓": (found and found.perceptual, 3),
                **names,
            }
        numbers: list[tuple[str, str]] = []
        for name, (measure, digits) in names.items():
            value = math.nan
            if measure and measure.values:
                value = measure.mean if face is None else measure.values[face]
            numbers.append((name, "" if math.isnan(value) else f"{value:.{digits}f}"))
        return numbers


def line_up(
    picture: Pixels,
    restorers: Sequence[Callable[[], Restorer]],
    detector: FaceDetector | None = None,
    *,
    faces: Faces | None = None,
    fidelities: Sequence[float] = (0.5,),
    truth: Pixels | None = None,
    identity: MakeDistance,
    perceptual: MakeDistance,
    runtime: Runtime | None = None,
) -> Lineup:
    """Restore the faces of a picture by several restorers, and measure each.

    Args:
        picture: (H, W, 3), or a batch of one.
        restorers: what loads each; one after the other, so that one alone need be held.
        detector: finds the faces; not needed if `faces` are given.
        faces: of the picture, at the size of the ground truth if that is larger; the largest are
            taken.
        fidelities: each restorer that knows fidelity is shown at all of them.
        truth: the same picture before it was damaged. If it has more pixels, the picture is
            enlarged to them.
        identity: makes the network that tells people apart.
        perceptual: makes the perceptual distance.
        runtime: where networks run and progress goes.

    Raises:
        PictureError: no face, more than one picture, or a ground truth of another shape.
        SettingError: no fidelity, or neither a detector nor faces.
    """
    if not fidelities:
        raise SettingError("a comparison needs at least one fidelity, for example 0, 0.5, 1")
    runtime = runtime or Runtime()
    frame, clean = _checked(picture, truth)
    found = _faces_of(frame, detector, faces, runtime.share(0.0, 0.1))
    job = _Job(frame, found, clean, identity, perceptual)
    inputs = crop_faces(frame, found, MEASURED_SIDE)
    entries = [Entry("input", None, inputs, job.measured(inputs) if clean is not None else None)]
    notes: list[str] = []
    for index, load in enumerate(restorers):
        place = index / len(restorers), (index + 1) / len(restorers)
        share = runtime.share(0.1, 1.0).share(*place)
        entries += job.entries(load(), fidelities, share, notes)
    if clean is not None:
        entries.append(Entry("ground truth", None, crop_faces(clean, found, MEASURED_SIDE), None))
    runtime.report(1, 1)
    return Lineup(tuple(entries), clean is not None, tuple(dict.fromkeys(notes)))


@dataclass(frozen=True)
class _Job:
    """What all restorers get."""

    frame: Tensor
    faces: Faces
    truth: Tensor | None
    identity: MakeDistance
    perceptual: MakeDistance

    def entries(
        self, restorer: Restorer, fidelities: Sequence[float], runtime: Runtime, notes: list[str]
    ) -> list[Entry]:
        """A restorer at each fidelity, or once if it knows none."""
        crops = crop_faces(self.frame, self.faces, restorer.size)
        knows = takes_fidelity(restorer)
        shown_at = fidelities if knows else fidelities[:1]
        made: list[Entry] = []
        for index, fidelity in enumerate(shown_at):
            share = runtime.share(index / len(shown_at), (index + 1) / len(shown_at))
            restored = try_restore_crops(restorer, crops, fidelity, keep_gray=True, runtime=share)
            notes += notes_on(restorer, sides_of(self.frame, self.faces), restored.failed)
            shown = fidelity if knows else None
            measured = self.measured(restored.crops)
            made.append(Entry(label_of(restorer), shown, restored.crops, measured))
        return made

    def measured(self, faces: Tensor) -> Comparison:
        """Against the ground truth, or the input."""
        reference = self.frame if self.truth is None else self.truth
        others = crop_faces(reference, self.faces, MEASURED_SIDE)
        resized = resize(faces.float(), MEASURED_SIDE, MEASURED_SIDE)
        return compare(resized, others, identity=self.identity, perceptual=self.perceptual)


def _checked(picture: Pixels, truth: Pixels | None) -> tuple[Tensor, Tensor | None]:
    """Both as (1, H, W, 3) of one size.

    Raises:
        PictureError: they are not one picture each, or of other shapes.
    """
    frame = as_images(picture)[..., :3].float()
    if len(frame) != 1:
        raise PictureError(f"restorers are compared on one picture, not on {len(frame)}")
    if truth is None:
        return frame, None
    clean = as_images(truth)[..., :3].to(frame)
    aspects = [each.shape[1] / each.shape[2] for each in (frame, clean)]
    if len(clean) != 1 or abs(aspects[0] / aspects[1] - 1) > LARGEST_ASPECT_ERROR:
        raise PictureError(
            "the ground truth must show what the picture shows, in the same shape: it has "
            f"{clean.shape[2]} x {clean.shape[1]} pixels, the picture {frame.shape[2]} x "
            f"{frame.shape[1]}"
        )
    height, width = max(frame.shape[1:3], clean.shape[1:3])
    return resize(frame, height, width), resize(clean, height, width)


def _faces_of(
    frame: Tensor, detector: FaceDetector | None, faces: Faces | None, runtime: Runtime
) -> Faces:
    """The largest faces, from left to right.

    Raises:
        PictureError: there is none.
        SettingError: nothing finds them.
    """
    if faces is None:
        if detector is None:
            raise SettingError("give a face detector, or the faces")
        faces = detector.detect(frame, runtime=runtime)
    if not faces.count:
        raise PictureError("no face was found in the picture: choose another one")
    areas = [face.box.area for face in faces]
    largest = sorted(range(len(areas)), key=lambda place: -areas[place])
    return faces.take(largest[:MOST_FACES])


def _shortened(name: str) -> str:
    return name[: LONGEST_CAPTION - 3] + "..."


def _first_word(name: str) -> str:
    return name.split(" ")[0]
