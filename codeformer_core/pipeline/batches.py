"""Faces through a restorer, batch by batch: the one loop of everything that restores."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..faces import Faces, crop_faces, match_gray
from ..images import from_network, resize, to_network
from ..models.restorer import Restorer
from ..networks import Fidelity
from ..people.recogniser import Whom
from ..people.restorer import told
from ..runtime import Runtime
from .automatic import Automatic, Generated, PerFace, decoder
from .clean import clean_faces


@dataclass(frozen=True)
class Batch:
    """Some consecutive faces of a job, restored."""

    part: slice
    """Their places among all faces."""
    inputs: Tensor
    """(n, H, H, 3): the crops that were to be restored."""
    crops: Tensor
    """(n, S, S, 3) float32 in 0..1, where the input was; a failed face is its input, resized."""
    failed: tuple[int, ...]
    """Places, among all faces, of those whose result held NaN or infinity."""
    clean: tuple[int, ...] = ()
    """Places of those that were clean, and not to be made worse."""
    fidelity: tuple[float, ...] = ()
    """Of each of its faces, where it was chosen by itself; else empty."""

    @property
    def sound(self) -> list[int]:
        """Places, among all faces, of those that came out."""
        left = {*self.failed, *self.clean}
        return [place for place in _places_of(self.part) if place not in left]

    @property
    def sound_crops(self) -> Tensor:
        """Those that came out."""
        return self.crops[[place - self.part.start for place in self.sound]]


def restored_batches(
    network: Restorer,
    crops: Callable[[slice], Tensor],
    fidelity: PerFace,
    count: int,
    *,
    adain: bool | None = None,
    keep_gray: bool = False,
    whom: Sequence[Whom] = (),
    runtime: Runtime,
) -> Iterator[Batch]:
    """Restore faces, of which only a batch need be there at once.

    Args:
        network: restores them.
        crops: makes the (n, H, H, 3) crops of some places, RGB in 0..1; resized to the network's
            size if they differ.
        fidelity: one for each face, or what chooses them.
        count: number of faces.
        adain: match colours in the network; None takes its own setting.
        keep_gray: faces of gray and toned pictures stay so, unless the network gives colour.
        whom: as whom each face is restored; empty where the network knows nobody.
        runtime: where the network runs.

    Raises:
        OutOfMemoryError: there is no room even for one face.
    """
    device = runtime.device(network)

    def restore(part: slice, inputs: Tensor) -> Generated:
        faces = to_network(inputs.clamp(0, 1)).to(device)
        restorer = told(network, whom[part])
        if isinstance(fidelity, Automatic):
            return fidelity.choose(inputs, decoder(restorer, faces, adain), runtime)
        return Generated(restorer(faces, shortest(fidelity[part]), adain))

    return finished_batches(network, crops, restore, count, keep_gray=keep_gray, runtime=runtime)


def finished_batches(
    network: Restorer,
    crops: Callable[[slice], Tensor],
    generate: Callable[[slice, Tensor], Generated],
    count: int,
    *,
    keep_gray: bool = False,
    runtime: Runtime,
) -> Iterator[Batch]:
    """Generate faces and make pictures of them.

    Args:
        network: what `generate` runs.
        crops: as of `restored_batches`.
        generate: makes faces, of their places and (n, S, S, 3) crops.
        count: number of faces.
        keep_gray: as of `restored_batches`.
        runtime: where the network runs; shows the last face of every batch.

    Raises:
        OutOfMemoryError: there is no room even for one face.
    """
    keep_gray = keep_gray and network.variant != "colorization"

    def finish(part: slice) -> Batch:
        inputs = crops(part)
        resized = resize(inputs.float(), network.size, network.size)
        generated = generate(part, resized)
        outputs = generated.pictures.to(inputs.device)
        # Before the clamp of `from_network`, which makes a plain 1 of an infinity.
        finite = outputs.isfinite().flatten(1).all(1)
        pictures = torch.where(finite[:, None, None, None], from_network(outputs), resized)
        if keep_gray:
            pictures = match_gray(pictures, inputs)
        failed = (part.start + int(index) for index in (~finite).nonzero())
        return Batch(part, inputs, pictures, tuple(failed), fidelity=generated.fidelity)

    for _, batch in runtime.batches(network, count, finish, bytes_per_item=network.bytes_per_face):
        runtime.show(batch.crops[-1])
        yield batch


def leaving_clean(
    batches: Iterable[Batch], sides: Sequence[float], upscale: float
) -> Iterator[Batch]:
    """The same batches without the faces, of these sizes, that restoring would only make softer."""
    for batch in batches:
        sizes = sides[batch.part]
        clean = clean_faces(batch.inputs, batch.crops, sizes, upscale).nonzero().flatten().tolist()
        places = (batch.part.start + index for index in clean)
        yield replace(batch, clean=tuple(place for place in places if place not in batch.failed))


def crops_of(images: Tensor, faces: Faces, size: int) -> Callable[[slice], Tensor]:
    """What cuts faces out of (B, H, W, 3) pictures when their places are asked for."""
    return lambda part: crop_faces(images, faces.take(_places_of(part)), size)


def shortest(fidelity: Tensor) -> Fidelity:
    """Equal weights as one number: a network may take a shorter way, and always does for 0."""
    return float(fidelity[0]) if bool((fidelity == fidelity[0]).all()) else fidelity


def _places_of(part: slice) -> range:
    return range(part.start, part.stop)
