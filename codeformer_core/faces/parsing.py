"""Masks from face parsing, on the networks ParseNet and BiSeNet of the package facexlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from ..checkpoints.building import Fits, Target, filled, has_keys
from ..checkpoints.reader import WeightFile
from ..errors import PictureError
from ..packages import needed_for
from ..runtime import Runtime
from .masks import gaussian_blur

ParserKind = Literal["parsenet", "bisenet"]

PARSER_SIZE = 512
"""Side in pixels of the crops both networks were trained on."""

LABELS: dict[ParserKind, Sequence[str]] = {
    "parsenet": (
        "background skin nose glasses left_eye right_eye left_brow right_brow left_ear right_ear "
        "mouth upper_lip lower_lip hair hat earring necklace neck cloth"
    ).split(),
    "bisenet": (
        "background skin left_brow right_brow left_eye right_eye glasses left_ear right_ear "
        "earring nose mouth upper_lip lower_lip neck necklace cloth hair hat"
    ).split(),
}
"""What each network's classes mean, in the order of its outputs."""

NOT_FACE = frozenset({"background", "hat", "necklace", "neck", "cloth"})

FITS: dict[ParserKind, Fits] = {
    "parsenet": has_keys("out_mask_conv.", "encoder.0."),
    "bisenet": has_keys("cp.resnet.", "ffm.", "conv_out."),
}
"""Whether a file is of a kind."""

NORMALISATION: dict[ParserKind, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "parsenet": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "bisenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Mean and deviation by which each network's RGB input is normalised."""

BLUR_SIGMA = 15.556
"""Pixels at 512: the published helper blurs twice with 11, which is once with 11 * sqrt(2)."""

RIM = 10
"""Pixels at 512 on every side of a crop that never count as face."""

BYTES_PER_CROP = 3e8
"""Memory that the activations of one crop take."""


class FaceParser:
    """Marks the face in aligned crops.

    Attributes:
        network: facexlib's ParseNet or BiSeNet; whoever owns the memory may move it.
        kind: which of the two it is.
        name: short name for messages and menus.
    """

    def __init__(self, network: nn.Module, kind: ParserKind) -> None:
        """Wrap a network of one of the kinds."""
        self.network = network
        self.kind: ParserKind = kind
        self.name: str = self.kind

    def masks(
        self,
        crops: Tensor,
        *,
        runtime: Runtime | None = None,
        hair: bool = True,
        glasses: bool = True,
        hat: bool = False,
        neck: bool = False,
    ) -> Tensor:
        """Return a soft mask of each face.

        Args:
            crops: (N, S, S, 3) aligned crops, RGB, 0..1; best after restoration.
            runtime: where the network runs and progress goes, counted in faces.
            hair: whether hair belongs to the face.
            glasses: whether glasses do.
            hat: whether a hat does.
            neck: whether the neck does, with a necklace.

        Returns:
            (N, 512, 512) float32, 0..1, on the crops' device.

        Raises:
            OutOfMemoryError: there is no room even for one crop.
            PictureError: not a batch of RGB crops.
        """
        if crops.ndim != 4 or crops.shape[-1] != 3:
            raise PictureError(
                f"face crops (faces, side, side, 3) are needed, not {tuple(crops.shape)}"
            )
        wanted = {"hair": hair, "glasses": glasses, "hat": hat, "neck": neck, "necklace": neck}
        runtime = runtime or Runtime()
        device = runtime.device(self.network)

        def parse(part: slice) -> Tensor:
            labels = self.labels(crops[part].to(device))
            return soften(self._is_face(labels, wanted)).to(crops.device)

        masks = crops.new_zeros(crops.shape[0], PARSER_SIZE, PARSER_SIZE, dtype=torch.float32)
        for part, parsed in runtime.batches(
            self.network, len(crops), parse, bytes_per_item=BYTES_PER_CROP
        ):
            masks[part] = parsed
        return masks

    def labels(self, crops: Tensor) -> Tensor:
        """Return the most likely class at every pixel of crops.

        Args:
            crops: (N, S, S, 3) aligned crops, RGB, 0..1, on the network's device.

        Returns:
            (N, 512, 512) integers, an index into ``LABELS[kind]``, on that device.
        """
        planes = crops.movedim(-1, 1).float().clamp(0.0, 1.0)
        if planes.shape[-1] != PARSER_SIZE:
            size = (PARSER_SIZE, PARSER_SIZE)
            planes = functional.interpolate(planes, size, mode="bilinear", antialias=True)
        mean, deviation = (
            torch.tensor(values, device=planes.device).view(1, 3, 1, 1)
            for values in NORMALISATION[self.kind]
        )
        dtype = next(self.network.parameters()).dtype
        outputs: Any = self.network(((planes - mean) / deviation).to(dtype))
        return outputs[0].argmax(dim=1)

    def _is_face(self, labels: Tensor, wanted: Mapping[str, bool]) -> Tensor:
        parts = (wanted.get(label, label not in NOT_FACE) for label in LABELS[self.kind])
        face = [float(part) for part in parts]
        return torch.tensor(face, device=labels.device)[labels]


def soften(masks: Tensor) -> Tensor:
    """Blur hard (N, 512, 512) masks and clear their rim, as the published helper does."""
    soft = gaussian_blur(masks, BLUR_SIGMA)
    inner = slice(RIM, PARSER_SIZE - RIM)
    cleared = torch.zeros_like(soft)
    cleared[:, inner, inner] = soft[:, inner, inner]
    return cleared


def build_parser(file: WeightFile, target: Target, *, kind: ParserKind) -> FaceParser:
    """Build the parser of a file.

    Args:
        file: published keys.
        target: how it is wanted.
        kind: which of the two it is.

    Returns:
        The parser; its network is in eval mode, without gradients.

    Raises:
        MissingModelError: facexlib is not installed.
        CheckpointError: the tensors are not those of this kind of parser.
    """
    network = filled(_empty_network(kind), file.state, target)
    # A parser costs more than the restoration; convolutions read this layout faster.
    return FaceParser(network.to(memory_format=torch.channels_last), kind)  # pyright: ignore


def _empty_network(kind: ParserKind) -> nn.Module:
    with needed_for("face parsing", "facexlib", "go without a parser"):
        from facexlib.parsing import BiSeNet, ParseNet
    if kind == "bisenet":
        return BiSeNet(num_class=len(LABELS[kind]))
    return ParseNet(in_size=PARSER_SIZE, out_size=PARSER_SIZE, parsing_ch=len(LABELS[kind]))
