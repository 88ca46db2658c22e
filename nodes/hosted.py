"""Our networks in the hands of the host's memory manager, one patcher each.

A hosted network is called like the network it holds. Each call brings the weights to the device
first, so nothing breaks when the host evicted them in between, and an out-of-memory halves the
batch and tries again.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .host import Hosted, Progress, free_memory, in_parts, is_cpu, network_dtype, say

if TYPE_CHECKING:
    from ..codeformer_core.faces import FaceDetector, FaceParser, Faces
    from ..codeformer_core.metrics import PerceptualDistance
    from ..codeformer_core.networks import CodeFormer, CodeFormerConfig, FaceCodes, Fidelity

MOST_ON_GPU = 32
"""Faces in one forward pass; more gains nothing and delays progress and Cancel."""


class HostedCodeFormer(Hosted):
    """CodeFormer under the memory manager; called as the network itself, crops from any device."""

    def __init__(self, network: CodeFormer, name: str) -> None:
        super().__init__(network, name, casting=True)
        self.network: CodeFormer = network

    @property
    def config(self) -> CodeFormerConfig:
        """Sizes and variant of the network."""
        return self.network.config

    @property
    def size(self) -> int:
        """Side of the crops in pixels."""
        return self.network.size

    @property
    def memory_per_crop(self) -> float:
        """Bytes that the activations of one crop take at their peak, estimated from the sizes."""
        vqgan = self.config.vqgan
        widest = max(
            side**2 * channels
            for side, channels in zip(vqgan.level_sizes, vqgan.level_channels, strict=True)
        )
        bytes_per_number = next(self.network.parameters()).element_size()
        return ACTIVATIONS_AT_PEAK * widest * bytes_per_number

    def chunk(self) -> int:
        """Number of crops for one forward pass: what is free now, within reason."""
        if is_cpu(self.device):
            # A batch is no faster on a CPU: as much as one 512 px face, so that progress moves.
            return max(1, min(16, (512 // self.size) ** 2))
        return max(1, min(MOST_ON_GPU, int(0.8 * free_memory(self.device) / self.memory_per_crop)))

    def __call__(
        self, crops: Tensor, fidelity: Fidelity = 0.5, adain: bool | None = None
    ) -> Tensor:
        """Restore aligned faces as the network does, in parts that fit into memory.

        Args:
            crops: (N, 3, S, S) in -1..1 on any device.
            fidelity: one number or one a face.
            adain: None takes the variant's own setting.

        Returns:
            (N, 3, S, S) on the device and in the type of `crops`.
        """
        values = torch.as_tensor(fidelity, dtype=torch.float32, device="cpu").reshape(-1)

        def restore(part: slice) -> Tensor:
            chosen = crops[part]
            self.load(self.memory_per_crop * len(chosen))
            weight = values[part] if values.numel() > 1 else values
            return self.network(chosen.to(self.device), weight, adain).to(crops)

        with torch.no_grad():
            parts = in_parts(restore, len(crops))
        return torch.cat(parts) if parts else crops.clone()

    def codebook(self) -> Tensor:
        """The code vectors, (K, C) float32 on the CPU."""
        return self.network.quantize.embedding.weight.detach().float().cpu()

    def encode(self, crops: Tensor) -> FaceCodes:
        """Predict codes as the network does, in parts that fit into memory.

        Args:
            crops: (N, 3, S, S) in -1..1 on any device.

        Returns:
            The codes, on the device of `crops`.
        """
        from ..codeformer_core.pipeline.codes import join_codes, move_codes

        def encode(part: slice) -> FaceCodes:
            chosen = crops[part]
            self.load(self.memory_per_crop * len(chosen))
            return move_codes(self.network.encode(chosen.to(self.device)), crops.device)

        with torch.no_grad():
            return join_codes(in_parts(encode, len(crops)))

    def decode(
        self, face_codes: FaceCodes, fidelity: Fidelity = 0.5, adain: bool | None = None
    ) -> Tensor:
        """Generate faces as the network does, in parts that fit into memory.

        Args:
            face_codes: from `encode`, of at least one face, on any device.
            fidelity: one number or one a face.
            adain: None takes the variant's own setting.

        Returns:
            (N, 3, S, S) float32 on the device of the codes.
        """
        from ..codeformer_core.pipeline.codes import move_codes, take_codes

        count, home = len(face_codes.codes), face_codes.codes.device
        values = torch.as_tensor(fidelity, dtype=torch.float32, device="cpu").reshape(-1)

        def decode(part: slice) -> Tensor:
            codes = take_codes(face_codes, part)
            self.load(self.memory_per_crop * len(codes.codes))
            weight = values[part] if values.numel() > 1 else values
            decoded = self.network.decode(move_codes(codes, self.device), weight, adain)
            return decoded.to(home, torch.float32)

        with torch.no_grad():
            return torch.cat(in_parts(decode, count))


ACTIVATIONS_AT_PEAK = 9.0
"""Feature maps of the widest level alive at once: 7.9 were counted for the published sizes, 9.1 for
a small network; the rest is for what convolutions need to work in."""


class Watched:
    """A hosted CodeFormer whose newest face goes to the progress bar as preview."""

    def __init__(self, model: Any, progress: Progress) -> None:
        """Watch a hosted CodeFormer, or a face model of others."""
        self._model = model
        self._progress = progress
        notice = getattr(model, "notice", None)
        if notice is not None:
            say(notice)
        self.size = model.size
        self.config = model.config

    def __call__(
        self, crops: Tensor, fidelity: Fidelity = 0.5, adain: bool | None = None
    ) -> Tensor:
        """Restore as the model does and remember the last face for the preview."""
        return self._shown(self._model(crops, fidelity, adain))

    def encode(self, crops: Tensor) -> FaceCodes:
        """Encode as the model does."""
        return self._model.encode(crops)

    def decode(
        self, face_codes: FaceCodes, fidelity: Fidelity = 0.5, adain: bool | None = None
    ) -> Tensor:
        """Decode as the model does and remember the last face for the preview."""
        return self._shown(self._model.decode(face_codes, fidelity, adain))

    def _shown(self, restored: Tensor) -> Tensor:
        if len(restored):
            self._progress.show(restored[-1])
        return restored


class HostedDetector:
    """A face detector; if it is a network, under the memory manager.

    Attributes:
        name: what the user knows it by.
    """

    def __init__(self, detector: FaceDetector) -> None:
        """Wrap a detector of the core; one with an attribute `network` is a network."""
        self.name = detector.name
        self._detector = detector
        network = getattr(detector, "network", None)
        # Plain layers in float32: the host has no casting BatchNorm, and detection is cheap.
        self.hosted = None if network is None else Hosted(network, detector.name, casting=False)

    def detect(self, frames: Tensor, *, runtime: Any = None, **settings: Any) -> Faces:
        """Find faces as the detector does; see `FaceDetector.detect` of the core."""
        if self.hosted is None:
            return self._detector.detect(frames, runtime=runtime, **settings)
        hosted = self.hosted

        def find(part: slice) -> Faces:
            hosted.load(DETECTION_MEMORY)
            return self._detector.detect(frames[part], runtime=runtime, **settings)

        return _joined(in_parts(find, max(1, len(frames))))


class HostedParser:
    """A face parser under the memory manager; called as the parser itself.

    Attributes:
        name: what the user knows it by.
    """

    def __init__(self, parser: FaceParser) -> None:
        """Take over a parser of the core."""
        self.name = parser.name
        self._parser = parser
        # It costs more than the restoration; labels are the largest of many scores, and blurred.
        network: Any = parser.network
        network.to(network_dtype(), memory_format=torch.channels_last)
        self.hosted = Hosted(network, parser.name, casting=False)

    def masks(self, crops: Tensor, **parts: Any) -> Tensor:
        """Make masks as the parser does; see `FaceParser.masks` of the core."""

        def parse(part: slice) -> Tensor:
            self.hosted.load(PARSING_MEMORY)
            return self._parser.masks(crops[part], **parts)

        return torch.cat(in_parts(parse, max(1, len(crops))))


class HostedDistance:
    """A perceptual distance under the memory manager."""

    def __init__(self, network: PerceptualDistance) -> None:
        """Take over a distance of the core."""
        self._network = network
        self.hosted = Hosted(network, "perceptual distance", casting=False)

    def distance(self, first: Tensor, second: Tensor) -> Tensor:
        """Compare (N, H, W, 3) in 0..1 pair by pair: (N,) on the CPU."""

        def compare(part: slice) -> Tensor:
            pixels = first[part].shape[:3].numel()
            self.hosted.load(DISTANCE_MEMORY_PER_PIXEL * pixels)
            pair = (each[part].to(self.hosted.device) for each in (first, second))
            return self._network.distance(*pair).cpu()

        return torch.cat([compare(slice(start, start + 1)) for start in range(len(first))])


DISTANCE_MEMORY_PER_PIXEL = 1000
"""Bytes for the activations of the perceptual distance; both pictures, all depths."""

DETECTION_MEMORY = 1.2e9
"""Bytes for the activations of RetinaFace on as many pixels as it searches at once."""

PARSING_MEMORY = 1.2e9
"""Bytes for the activations of a parser on as many crops as it takes at once."""


def _joined(parts: list[Faces]) -> Faces:
    """The faces of consecutive parts of a batch as those of the whole batch."""
    if len(parts) == 1:
        return parts[0]
    frames = tuple(frame for part in parts for frame in part.frames)
    return dataclasses.replace(parts[0], frames=frames)
