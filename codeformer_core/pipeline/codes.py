"""Encode crops once, decode them as often as wanted: a new fidelity costs no encoder pass."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from ..errors import SettingError
from ..images import resize, to_network
from ..models.restorer import Restorer
from ..networks import CodeFormer, FaceCodes
from ..people.recogniser import Whom
from ..people.restorer import PeopleRestorer, Told, base_of
from ..runtime import Runtime
from .automatic import Automatic, FidelityChoice, Generated, per_face
from .batches import finished_batches, shortest
from .crops import RestoredCrops, check_crops, new_crops
from .notes import failure_notes, fidelity_notes, notes_on, recognition_notes, sides_of
from .recognition import recognise_crops

CodeSource = Literal["transformer", "nearest"]
"""Codes as the transformer predicts them, or those nearest to the latents (paper, figure 3)."""


@dataclass(frozen=True)
class EncodedCrops:
    """Crops and all that decoding needs of them."""

    network: CodeFormer | PeopleRestorer
    """What encoded them, and what can decode them; one that knows people more may take its place
    (`people.knowing`)."""
    crops: Tensor
    """(N, S, S, 3) float32 at the network's size, as they were encoded."""
    codes: FaceCodes
    """Their codes and features, on the device of `crops`."""
    warnings: tuple[str, ...] = ()
    """What the user should know, in the user's words."""

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.crops)

    @property
    def base(self) -> CodeFormer:
        """What restores people whom the network does not know."""
        return base_of(self.network)


def encode_crops(
    network: Restorer, crops: Tensor, *, runtime: Runtime | None = None
) -> EncodedCrops:
    """Encode aligned faces.

    Args:
        network: a loaded CodeFormer; one that knows people encodes them as whom they look like.
        crops: (N, H, H, 3) RGB in 0..1; resized to the network's size if they differ.
        runtime: where the network runs and progress goes, counted in faces.

    Raises:
        OutOfMemoryError: the device has no room even for one face at a time.
        PictureError: crops of another shape.
        SettingError: the network is no CodeFormer.
    """
    if not isinstance(network, CodeFormer | PeopleRestorer):
        raise SettingError(
            "this model has no codes to encode: use Restore Faces, or load a CodeFormer"
        )
    check_crops(crops)
    runtime = runtime or Runtime()
    inputs = resize(crops.float(), network.size, network.size)
    whom = recognise_crops(network, inputs, runtime.silent()).whom
    device = runtime.device(network)

    def encode(part: slice) -> FaceCodes:
        faces = to_network(inputs[part].clamp(0, 1)).to(device)
        return _coder(network, whom[part]).encode(faces).to(crops.device)

    batches = runtime.batches(network, len(inputs), encode, bytes_per_item=network.bytes_per_face)
    parts = [codes for _, codes in batches]
    codes = FaceCodes.join(parts) if parts else FaceCodes.empty(base_of(network).config)
    return EncodedCrops(network, inputs, codes, notes_on(network, sides_of(crops), ()))


def decode_crops(
    encoded: EncodedCrops,
    fidelity: FidelityChoice = 0.5,
    *,
    adain: bool | None = None,
    keep_gray: bool = False,
    runtime: Runtime | None = None,
) -> RestoredCrops:
    """Generate faces from their codes, as the people whom the network knows and recognises.

    Args:
        encoded: what `encode_crops` returned.
        fidelity: 0 (quality) to 1 (identity), one number or one a face, or an `Automatic`.
        adain: match colours in the network; None takes the variant's own setting.
        keep_gray: faces of gray and toned pictures stay gray or toned, unless the network is to
            colour them.
        runtime: where the network runs and progress goes, counted in faces.

    Returns:
        The faces; one that does not come out finite is named and left as it was.

    Raises:
        OutOfMemoryError: the device has no room even for one face at a time.
        SettingError: a fidelity outside 0..1 or not one a face.
    """
    runtime = runtime or Runtime()
    network, crops, count = encoded.network, encoded.crops, len(encoded)
    weights, device = per_face(fidelity, count), runtime.device(network)
    recognition = recognise_crops(network, crops, runtime.silent())

    def decode(part: slice, inputs: Tensor) -> Generated:
        codes = encoded.codes.take(part).to(device)
        generate = partial(_coder(network, recognition.whom[part]).decode, codes, adain=adain)
        if isinstance(weights, Automatic):
            return weights.choose(inputs, generate, runtime)
        return Generated(generate(shortest(weights[part])))

    restored, failed, chosen = new_crops(crops, network.size), list[int](), list[float]()
    for batch in finished_batches(
        network, crops.__getitem__, decode, count, keep_gray=keep_gray, runtime=runtime
    ):
        restored[batch.part] = batch.crops
        failed += batch.failed
        chosen += batch.fidelity
    notes = (
        *recognition_notes(recognition),
        *fidelity_notes(chosen),
        *failure_notes(failed, count),
    )
    return RestoredCrops(restored, tuple(failed), notes, tuple(chosen))


def parse_fidelities(text: str) -> list[float]:
    """Read "0, 0.25, 1" as [0.0, 0.25, 1.0].

    Raises:
        SettingError: something that is no number.
    """
    values: list[float] = []
    for item in text.replace(",", " ").replace(";", " ").split():
        try:
            values.append(float(item))
        except ValueError:
            raise SettingError(
                f"{item!r} is no fidelity: write numbers from 0 to 1, for example 0, 0.5, 1"
            ) from None
    return values


def choose_codes(encoded: EncodedCrops, source: CodeSource) -> EncodedCrops:
    """The same encoding with its codes chosen in one way or the other.

    Args:
        encoded: what `encode_crops` returned.
        source: "transformer" or "nearest".

    Raises:
        SettingError: no such source.
    """
    codes, base = encoded.codes, encoded.base
    device = base.quantize.embedding.weight.device
    if source == "transformer":
        chosen, drawn = codes.logits.argmax(2), base.code_features(codes.logits.to(device))
    elif source == "nearest":
        chosen = base.quantize.nearest(codes.latents)
        drawn = base.quantize.lookup(chosen.to(device), base.config.vqgan.code_size)
    else:
        raise SettingError(f"codes come from transformer or nearest, not from {source!r}")
    codes = dataclasses.replace(codes, codes=chosen, code_features=drawn.to(codes.latents))
    return dataclasses.replace(encoded, codes=codes)


def draw_codes(encoded: EncodedCrops, side: int) -> Tensor:
    """Draw code maps: like codes get like colours.

    The colour of a code is its place along the three directions in which the codebook varies most.

    Args:
        encoded: what `encode_crops` or `choose_codes` returned.
        side: pixels of each picture; made a multiple of h, at least h.

    Returns:
        (N, S, S, 3) in 0..1.
    """
    codes, rows = encoded.codes.codes.cpu(), encoded.base.config.vqgan.code_size
    colours = _code_colours(encoded.base.quantize.embedding.weight.detach().float().cpu())
    maps = colours[codes].unflatten(1, (rows, rows))
    block = max(1, side // rows)
    return maps.repeat_interleave(block, 1).repeat_interleave(block, 2)


def _coder(network: CodeFormer | PeopleRestorer, whom: Sequence[Whom]) -> CodeFormer | Told:
    """What encodes and decodes faces that show these people."""
    return Told(network, whom) if isinstance(network, PeopleRestorer) else network


def _code_colours(codebook: Tensor) -> Tensor:
    """(K, C) vectors to (K, 3) colours in 0..1."""
    centred = codebook - codebook.mean(0)
    # Codes that were never trained lie far out or at 0: ranks spread the colours all the same.
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    places = centred @ directions[:3].T
    ranks = places.argsort(0).argsort(0).float() / max(1, len(codebook) - 1)
    return torch.nn.functional.pad(ranks, (0, 3 - ranks.shape[1]), value=0.5)
