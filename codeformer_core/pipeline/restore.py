"""Restore the faces of whole pictures: detect, crop, restore, paste back."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ..errors import SettingError
from ..faces import (
    DEFAULT_CONFIDENCE,
    DEFAULT_MIN_SIZE,
    FaceDetector,
    FaceParser,
    Faces,
    PasteOptions,
)
from ..faces.crop import check_frames
from ..images import Pixels, as_images
from ..models.restorer import Restorer
from ..people.recogniser import Whom
from ..runtime import Runtime
from .automatic import Automatic, FidelityChoice
from .batches import Batch, crops_of, leaving_clean, restored_batches
from .notes import (
    CHOOSE_ONE,
    clean_notes,
    fidelity_notes,
    misfit_notes,
    notes_on,
    people_fidelity_notes,
    recognition_notes,
    sides_of,
)
from .painting import Painter
from .picking import pick
from .recognition import Recognition, recognise
from .upscaling import Upscaler, check_upscale, enlarged_copy

DETECTION_SHARE = 0.2
"""Of the progress, while faces are searched."""
UPSCALE_SHARE = 0.3
"""Of the progress, while a network enlarges the pictures."""
CHOICE_SHARE = 0.2
"""Of the rest of it, while a fidelity is chosen for each person of consecutive frames."""


@dataclass(frozen=True)
class RestoredImage:
    """A picture, or a batch, with its faces restored."""

    image: Tensor
    """Float32 in the shape of the input times the upscale; outside of `mask` the very input."""
    mask: Tensor
    """(H, W) or (B, H, W) float32: how much of each pixel comes from a restored face."""
    faces: Faces
    """Every face that was found or given, in pixels of the input."""
    picked: tuple[int, ...]
    """Places, in the flat order of `faces` from 0, of those that were to be restored."""
    restored: int
    """How many of these were; the others are named in the warnings."""
    warnings: tuple[str, ...] = ()
    """What the user should know, in the user's words."""
    fidelity: tuple[float, ...] = ()
    """Of each picked face, where it was chosen by itself; else empty."""


class Steady(Protocol):
    """Makes the faces of consecutive frames steady: `video.frames.SteadyFrames`."""

    def follow(self, faces: Faces, images: Tensor, runtime: Runtime) -> Faces:
        """The faces of (B, H, W, 3) frames, followed and in steady places."""
        ...

    def recognise(
        self, network: Restorer, images: Tensor, faces: Faces, runtime: Runtime
    ) -> Recognition:
        """As whom these faces are restored, the same in all of a person's frames."""
        ...

    def fidelities(
        self,
        automatic: Automatic,
        images: Tensor,
        faces: Faces,
        network: Restorer,
        adain: bool | None,
        whom: Sequence[Whom],
        runtime: Runtime,
    ) -> Tensor:
        """(N,) what is chosen for each of these faces, the same for all of a person."""
        ...

    def crops(self, images: Tensor, faces: Faces, size: int) -> Callable[[slice], Tensor]:
        """What gives the crops of some places of these faces, asked for in order."""
        ...

    def results(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Steady results of these crops' restorations, in the same order."""
        ...


def restore_image(
    image: Pixels,
    network: Restorer,
    detector: FaceDetector | None = None,
    *,
    fidelity: FidelityChoice = 0.5,
    faces: Faces | None = None,
    picked: Sequence[int] = (),
    parser: FaceParser | None = None,
    paste: PasteOptions | None = None,
    confidence: float = DEFAULT_CONFIDENCE,
    min_size: float = DEFAULT_MIN_SIZE,
    search_size: int | None = None,
    upscale: float = 1.0,
    upscaler: Upscaler | None = None,
    face_upscaler: Upscaler | None = None,
    adain: bool | None = None,
    keep_gray: bool = True,
    leave_clean: bool = False,
    steady: Steady | None = None,
    runtime: Runtime | None = None,
) -> RestoredImage:
    """Restore every face of a picture or a batch of frames.

    Args:
        image: (H, W, 3), or a batch (B, H, W, 3), torch or numpy, uint8, uint16 or float in 0..1;
            gray is accepted, and a fourth channel is kept as opacity.
        network: a CodeFormer or another restorer; one that knows people (`people.knowing`)
            restores them as such where it recognises them, and as whom reference photos show also
            where there is one face to restore and one person on them.
        detector: finds the faces; not needed if `faces` are given.
        fidelity: 0 (quality) to 1 (identity), one number or one a face, or an `Automatic`.
        faces: faces found or chosen before.
        picked: numbers of the faces to restore, from 1 as `draw_faces` numbers them, which the
            fidelities then belong to in this order; one that is not there is named in the
            warnings. No number takes all.
        parser: cuts the mask out along hair and neck; without one it follows the geometry.
        paste: feather, opacity and colour match of the blend.
        confidence: faces scored lower are left alone, 0 to 1.
        min_size: smaller faces, in pixels, are left alone.
        search_size: pixels of the shorter side at which faces are searched; None takes the
            detector's own size.
        upscale: enlarge the whole picture, 1 to 4; faces are pasted at the new size.
        upscaler: enlarges the background instead of bicubic interpolation; `load_upscaler()` is
            that of the package.
        face_upscaler: enlarges the restored faces before they are pasted, where a face of the
            result is larger than the model's crops.
        adain: match colours in the network; None takes the variant's own setting.
        keep_gray: faces of gray and toned pictures stay gray or toned.
        leave_clean: leave faces alone that are clean and sharper than what the model makes of
            them, in the size of the result; they are named in the warnings.
            Frames that are made steady are never left alone: one would stand out.
        steady: makes the faces of consecutive frames steady: `video.frames.SteadyFrames`.
        runtime: where networks run, how many faces at once, and where progress goes.

    Returns:
        The restored picture. Pixels outside its mask are the input's, bit for bit, while
        `upscale` is 1. A face the model gave no finite pixels for is left as it was and named in
        the warnings, as are faces larger than the model's crops.

    Raises:
        OutOfMemoryError: the device has no room even for one face at a time.
        PictureError: not a picture, or faces of another one.
        SettingError: a setting is out of range, or there is neither a detector nor faces.
    """
    check_upscale(upscale)
    images = as_images(image)
    colours = images[..., :3]
    enlarges = upscaler is not None and upscale > 1
    searching, enlarging, restoring = _shares(runtime or Runtime(), faces, enlarges)
    if faces is None:
        if detector is None:
            raise SettingError("give a face detector, or the faces")
        faces = detector.detect(
            colours,
            confidence=confidence,
            min_size=min_size,
            search_size=search_size,
            runtime=searching,
        )
    check_frames(colours, faces)
    if steady is not None:
        faces = steady.follow(faces, colours, searching.silent())
    choice = pick(faces, picked, fidelity)
    wanted = faces.take(choice.places)
    recognition = (steady.recognise if steady else recognise)(
        network, colours, wanted, restoring.silent()
    )
    fidelity, sides = choice.fidelity, sides_of(colours, wanted)
    painter = Painter(
        enlarged_copy(images, upscale, upscaler, enlarging),
        wanted,
        network.size,
        paste or PasteOptions(),
        parser,
        face_upscaler,
    )
    settled: tuple[float, ...] = ()
    if steady is not None and isinstance(fidelity, Automatic):
        choosing, restoring = restoring.share(0, CHOICE_SHARE), restoring.share(CHOICE_SHARE, 1)
        fidelity = steady.fidelities(
            fidelity, colours, wanted, network, adain, recognition.whom, choosing
        )
        settled = tuple(round(each, 3) for each in fidelity.tolist())
    # Batch by batch from the crop to the paste: memory does not grow with the number of faces.
    batches = restored_batches(
        network,
        (steady.crops if steady else crops_of)(colours, wanted, network.size),
        fidelity,
        wanted.count,
        adain=adain,
        keep_gray=keep_gray,
        whom=recognition.whom,
        runtime=restoring,
    )
    if steady is not None:
        batches = steady.results(batches)
    elif leave_clean:
        batches = leaving_clean(batches, sides, upscale)
    pasted = painter.paste_batches(batches, wanted, restoring)
    people = {face.track or 0: each for face, each in zip(wanted, settled, strict=False)}
    restoring.report(1, 1)
    single = image.ndim < 4
    return RestoredImage(
        image=painter.pictures[0] if single else painter.pictures,
        mask=painter.mask[0] if single else painter.mask,
        faces=faces,
        picked=choice.places,
        restored=len(choice.places) - len(pasted.failed) - len(pasted.clean),
        warnings=(
            *choice.warnings,
            *misfit_notes(faces),
            *recognition_notes(recognition, remedy=CHOOSE_ONE),
            *fidelity_notes(pasted.fidelity),
            *people_fidelity_notes(people),
            *clean_notes(pasted.clean, wanted.count),
            *notes_on(network, sides, pasted.failed),
        ),
        fidelity=settled or pasted.fidelity,
    )


def _shares(
    runtime: Runtime, faces: Faces | None, enlarges: bool
) -> tuple[Runtime, Runtime, Runtime]:
    """Of the search for faces, of enlarging the pictures, and of the rest."""
    searched = DETECTION_SHARE if faces is None else 0.0
    enlarged = searched + (UPSCALE_SHARE if enlarges else 0.0)
    return (
        runtime.share(0.0, searched),
        runtime.share(searched, enlarged),
        runtime.share(enlarged, 1.0),
    )
