"""What a user should know of a result, in the user's words and with a remedy."""

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor

from ..faces import Faces
from ..faces.crop import placement_in
from ..models.restorer import Restorer
from .recognition import Recognition

CHOOSE_ONE = "; to have a face restored as the only person they show, choose it alone (picked)"
"""What to do about faces of a picture of which none was recognised."""
Task = Literal["inpainting", "colorization"]
"""What a node needs a model of its own for."""
LARGEST_FACE = 1.25
"""A face this many times larger than the model's crops is visibly softened by them."""
LISTED = 20
"""Faces, or people, whose fidelity a note names."""


def notes_on(
    network: Restorer, sides: Sequence[float], failed: Sequence[int], variant: Task | None = None
) -> tuple[str, ...]:
    """All that is to be said of restored faces.

    Args:
        network: what restored them.
        sides: of their aligned squares, in pixels of the picture or the crop they come from.
        failed: places of those that did not come out finite.
        variant: what the network should have been trained for, if it matters.
    """
    return (
        *((network.notice,) if network.notice else ()),
        *_variant_notes(network.variant, variant),
        *failure_notes(failed, len(sides)),
        *large_face_notes(sides, network.size),
    )


def misfit_notes(faces: Faces) -> tuple[str, ...]:
    """What the detector found and could not make a face of; none says nothing."""
    if not faces.misfits:
        return ()
    return (
        f"left alone, because the points of eyes, nose and mouth fit no face: {faces.misfits} of "
        f"{faces.misfits + faces.count} findings",
    )


def fidelity_notes(chosen: Sequence[float]) -> tuple[str, ...]:
    """The fidelity of each face, where it was chosen by itself."""
    if not chosen:
        return ()
    return (f"fidelity chosen for each face: {listed([f'{each:g}' for each in chosen])}",)


def people_fidelity_notes(chosen: Mapping[int, float]) -> tuple[str, ...]:
    """The fidelity of each person by number, where one is chosen for all frames."""
    if not chosen:
        return ()
    people = [f"person {person} {each:g}" for person, each in sorted(chosen.items())]
    return (f"fidelity chosen: {listed(people)}",)


def recognition_notes(
    recognition: Recognition, name: str = "face", remedy: str = ""
) -> tuple[str, ...]:
    """Who was restored as somebody known; nothing where the network knows nobody.

    Args:
        recognition: what was found.
        name: of what it tells of, before its number.
        remedy: what to do where nobody was recognised by the references.
    """
    return (
        *_adapter_notes(recognition, name),
        *_reference_notes(recognition, name, remedy),
    )


def _adapter_notes(recognition: Recognition, name: str) -> tuple[str, ...]:
    count, whom = recognition.adapters, recognition.whom
    if not (whom and count):
        return ()
    known = _known(name, [each.adapter for each in whom], count > 1)
    if not known:
        return (
            f"restored without the personal adapters: no {name} surely looks like a person who "
            "has one; lower the sureness in Apply Person, or apply to all faces",
        )
    return (f"restored with the personal adapter: {listed(known)}",)


def _reference_notes(recognition: Recognition, name: str, remedy: str) -> tuple[str, ...]:
    count, whom = recognition.references, recognition.whom
    if not (whom and count):
        return ()
    if all(each.adapter for each in whom):
        return ("restored without the references: who has a personal adapter needs none",)
    known = _known(name, [each.reference for each in whom], count > 1)
    if not known:
        nobody = f"no other {name}" if any(each.adapter for each in whom) else f"no {name}"
        return (
            f"restored without the references: {nobody} surely looks like whom they show{remedy}",
        )
    unsure = ", the only one, although it does not surely look like whom they show"
    return (
        f"restored with the references: {listed(known)}{'' if recognition.is_sure else unsure}",
    )


def _known(name: str, numbers: Sequence[int], several: bool) -> list[str]:
    """Places of those who are somebody, and who of several."""
    return [
        f"{name} {place}" + (f" as person {number} of them" if several else "")
        for place, number in enumerate(numbers, 1)
        if number
    ]


def listed(words: Sequence[str]) -> str:
    """The first of some words, apart by commas, and how many more there are."""
    more = f" and {len(words) - LISTED} more" if len(words) > LISTED else ""
    return ", ".join(words[:LISTED]) + more


def clean_notes(clean: Sequence[int], count: int) -> tuple[str, ...]:
    """Which of all faces, counted from 0, were too good to be restored; none says nothing."""
    if not clean:
        return ()
    return (
        f"left as it was, because it is clean and sharper than what the model would make of it: "
        f"{numbered(clean)} of {count}; switch off 'leave clean faces' (--no-leave-clean) to "
        "restore it all the same",
    )


def failure_notes(failed: Sequence[int], count: int) -> tuple[str, ...]:
    """Which of all faces, counted from 0, no finite pixels came out for; none says nothing."""
    if not failed:
        return ()
    return (
        f"left as it was, because the model gave no finite pixels: {numbered(failed)} of {count}; "
        "load the model as float32 if it runs in a smaller type",
    )


def large_face_notes(sides: Sequence[float], size: int) -> tuple[str, ...]:
    """Which faces are larger than the model's crops: what is finer than those is lost.

    Args:
        sides: of all faces' aligned squares, in pixels of the picture or the crop they come from.
        size: side of the model's crops in pixels.
    """
    large = [side for side in sides if side > LARGEST_FACE * size]
    if not large:
        return ()
    remedy = (
        "use a model for larger faces, such as codeformer.pth (512 px)"
        if size < 512
        else "make the picture smaller before restoring it"
    )
    whose = "the face is" if len(sides) == 1 else f"{len(large)} of {len(sides)} faces are"
    return (
        f"{whose} larger than the model's {size} px (up to {max(large):.0f} px) and may get "
        f"softer: {remedy}",
    )


def _variant_notes(variant: str, wanted: Task | None) -> tuple[str, ...]:
    if wanted in (None, variant):
        return ()
    file = f"codeformer_{wanted}.pth"
    remedies = {
        "inpainting": f"it begins with an average face; load {file} for better results",
        "colorization": f"take the built-in colorization, or load {file}",
    }
    return (f"the model was trained for {variant}, not for {wanted}: {remedies[wanted]}",)


def sides_of(images: Tensor, faces: Faces | None = None) -> list[float]:
    """Sides of the faces' aligned squares in pixels.

    Args:
        images: (B, H, W, C) pictures, or aligned crops if there are no `faces`.
        faces: the faces of the pictures.
    """
    if faces is None:
        return [float(images.shape[1])] * len(images)
    return [placement_in(images, face).face_size for face in faces]


def numbered(places: Sequence[int]) -> str:
    """Faces by their place, counted from 0, as people count them."""
    numbers = ", ".join(str(place + 1) for place in places)
    return f"face {numbers}" if len(places) == 1 else f"faces {numbers}"
