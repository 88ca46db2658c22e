"""Encode crops once, decode them as often as wanted: a new fidelity costs no encoder pass."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from ..errors import SettingError
from ..images import resize, to_network
from ..networks import CodeFormerConfig, FaceCodes, Fidelity
from .crops import (
    CHUNK,
    FaceRestorer,
    Progress,
    RestoredCrops,
    check_crops,
    fidelity_per_face,
    finite_or_input,
    home_of,
    shortest,
)

CodeSource = Literal["transformer", "nearest"]
"""Codes as the transformer predicts them, or those nearest to the latents (paper, figure 3)."""


class FaceCoder(FaceRestorer, Protocol):
    """A CodeFormer whose two halves can be called apart."""

    def encode(self, crops: Tensor, /) -> FaceCodes:
        """Predict the codes of (N, 3, S, S) in -1..1."""
        ...

    def decode(
        self, face_codes: FaceCodes, fidelity: Fidelity = 0.5, adain: bool | None = None, /
    ) -> Tensor:
        """Generate (N, 3, S, S) in -1..1 from codes."""
        ...


@dataclass(frozen=True)
class EncodedCrops:
    """Crops and all that decoding needs of them."""

    crops: Tensor
    """(N, S, S, 3) float32 at the network's size, as they were encoded."""
    codes: FaceCodes
    """Their codes and features, on the device of `crops`."""

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.crops)


def encode_crops(
    network: FaceCoder, crops: Tensor, *, chunk: int = CHUNK, on_progress: Progress | None = None
) -> EncodedCrops:
    """Encode aligned faces.

    Args:
        network: a loaded CodeFormer.
        crops: (N, H, H, 3) RGB in 0..1; resized to the network's size if they differ.
        chunk: faces of one forward pass.
        on_progress: called with (faces done, faces in all) after every chunk.

    Raises:
        PictureError: crops of another shape.
        SettingError: a chunk under 1.
    """
    check_crops(crops, chunk)
    inputs = resize(crops.float(), network.size, network.size)
    device = home_of(network) or crops.device
    parts: list[FaceCodes] = []
    for start in range(0, len(inputs), chunk):
        part = inputs[start : start + chunk].clamp(0, 1)
        with torch.no_grad():
            codes = network.encode(to_network(part).to(device))
        parts.append(move_codes(codes, crops.device))
        if on_progress is not None:
            on_progress(start + len(part), len(inputs))
    return EncodedCrops(inputs, join_codes(parts) if parts else _no_codes(network.config))


def decode_crops(
    network: FaceCoder,
    encoded: EncodedCrops,
    fidelity: Fidelity = 0.5,
    *,
    adain: bool | None = None,
    chunk: int = CHUNK,
    on_progress: Progress | None = None,
) -> RestoredCrops:
    """Generate faces from their codes.

    Args:
        network: the CodeFormer that encoded them.
        encoded: what `encode_crops` returned.
        fidelity: 0 (quality) to 1 (identity), one number or one a face.
        adain: match colours in the network; None takes the variant's own setting.
        chunk: faces of one forward pass.
        on_progress: called with (faces done, faces in all) after every chunk.

    Returns:
        The faces; one that does not come out finite is reported and left as it was.

    Raises:
        SettingError: a fidelity outside 0..1 or not one a face, or a chunk under 1.
    """
    check_crops(encoded.crops, chunk)
    count, device = len(encoded), home_of(network)
    weights = fidelity_per_face(fidelity, count)
    restored, broken = torch.empty_like(encoded.crops), list[int]()
    for start in range(0, count, chunk):
        part = slice(start, start + chunk)
        codes = take_codes(encoded.codes, part)
        if device is not None:
            codes = move_codes(codes, device)
        with torch.no_grad():
            outputs = network.decode(codes, shortest(weights[part]), adain)
        restored[part], failed = finite_or_input(outputs.to(restored.device), encoded.crops[part])
        broken += [start + index for index in failed]
        if on_progress is not None:
            on_progress(min(start + chunk, count), count)
    return RestoredCrops(restored, tuple(broken))


def parse_fidelities(text: str) -> list[float]:
    """Read "0, 0.25, 1" as [0.0, 0.25, 1.0].

    Raises:
        SettingError: something that is no number, or one outside 0..1.
    """
    values: list[float] = []
    for item in text.replace(",", " ").replace(";", " ").split():
        try:
            value = float(item)
        except ValueError:
            raise SettingError(
                f"{item!r} is no fidelity: write numbers from 0 to 1, for example 0, 0.5, 1"
            ) from None
        if not 0 <= value <= 1:
            raise SettingError(f"fidelity {item} is out of range: it goes from 0 to 1")
        values.append(value)
    return values


def take_codes(codes: FaceCodes, part: slice) -> FaceCodes:
    """The codes of some of the faces."""
    return _each(codes, lambda tensor: tensor[part])


def move_codes(codes: FaceCodes, device: torch.device) -> FaceCodes:
    """The same codes on a device."""
    return _each(codes, lambda tensor: tensor.to(device))


def join_codes(parts: Sequence[FaceCodes]) -> FaceCodes:
    """The codes of consecutive batches as those of one; at least one batch is needed."""
    if len(parts) == 1:
        return parts[0]
    return FaceCodes(
        torch.cat([part.latents for part in parts]),
        torch.cat([part.logits for part in parts]),
        torch.cat([part.codes for part in parts]),
        {size: torch.cat([part.features[size] for part in parts]) for size in parts[0].features},
    )


def choose_codes(codes: FaceCodes, codebook: Tensor, source: CodeSource) -> FaceCodes:
    """The same encoding with its codes chosen in one way or the other.

    Args:
        codes: what the encoder and the transformer made.
        codebook: (K, C) the code vectors.
        source: "transformer" or "nearest".

    Raises:
        SettingError: no such source.
    """
    if source == "transformer":
        return dataclasses.replace(codes, codes=codes.logits.argmax(2))
    if source != "nearest":
        raise SettingError(f"codes come from transformer or nearest, not from {source!r}")
    # (N, C, h, h) -> (N, h*h, C)
    vectors = codes.latents.flatten(2).transpose(1, 2).float()
    book = codebook.to(vectors)
    distances = book.square().sum(1) - 2 * vectors @ book.T
    return dataclasses.replace(codes, codes=distances.argmin(2))


def draw_codes(codes: Tensor, codebook: Tensor, side: int) -> Tensor:
    """Draw code maps: like codes get like colours.

    The colour of a code is its place along the three directions in which the codebook varies most.

    Args:
        codes: (N, h*h) indices.
        codebook: (K, C) the code vectors.
        side: pixels of each picture; made a multiple of h, at least h.

    Returns:
        (N, S, S, 3) in 0..1.
    """
    rows = round(codes.shape[1] ** 0.5)
    colours = _code_colours(codebook.float().cpu())
    maps = colours[codes.cpu()].unflatten(1, (rows, rows))
    block = max(1, side // rows)
    return maps.repeat_interleave(block, 1).repeat_interleave(block, 2)


def _code_colours(codebook: Tensor) -> Tensor:
    """(K, C) vectors to (K, 3) colours in 0..1."""
    centred = codebook - codebook.mean(0)
    # Codes that were never trained lie far out or at 0: ranks spread the colours all the same.
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    places = centred @ directions[:3].T
    ranks = places.argsort(0).argsort(0).float() / max(1, len(codebook) - 1)
    return torch.nn.functional.pad(ranks, (0, 3 - ranks.shape[1]), value=0.5)


def _each(codes: FaceCodes, change: Callable[[Tensor], Tensor]) -> FaceCodes:
    return FaceCodes(
        change(codes.latents),
        change(codes.logits),
        change(codes.codes),
        {size: change(feature) for size, feature in codes.features.items()},
    )


def _no_codes(config: CodeFormerConfig) -> FaceCodes:
    """The codes of no face at all."""
    vqgan = config.vqgan
    side, channels = (
        vqgan.code_size,
        dict(zip(vqgan.level_sizes, vqgan.level_channels, strict=True)),
    )
    return FaceCodes(
        torch.zeros(0, vqgan.code_channels, side, side),
        torch.zeros(0, side**2, vqgan.codebook_size),
        torch.zeros(0, side**2, dtype=torch.int64),
        {size: torch.zeros(0, channels[size], size, size) for size in config.fusion_sizes},
    )
