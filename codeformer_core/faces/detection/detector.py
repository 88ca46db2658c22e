"""What detectors have in common: the search, and running a network over working copies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from ...runtime import Runtime
from ..types import Faces
from .base import DEFAULT_CONFIDENCE, DEFAULT_MIN_SIZE, Finding, WorkingCopy, in_picture
from .search import search


class SearchingDetector(ABC):
    """Looks at working copies; tiles, turns and second looks are those of `search`."""

    search_size = 640
    """Pixels of a frame's shorter side where nothing else is asked for."""

    def detect(
        self,
        frames: Tensor,
        *,
        confidence: float = DEFAULT_CONFIDENCE,
        min_size: float = DEFAULT_MIN_SIZE,
        search_size: int | None = None,
        runtime: Runtime | None = None,
    ) -> Faces:
        """Find the faces of every frame; see ``FaceDetector.detect``."""
        return search(
            frames,
            partial(self.find, confidence=confidence),
            confidence=confidence,
            min_size=min_size,
            search_size=self.search_size if search_size is None else search_size,
            runtime=runtime,
        )

    @abstractmethod
    def find(
        self,
        count: int,
        copy: Callable[[int], WorkingCopy],
        pixels: int,
        runtime: Runtime,
        *,
        confidence: float,
    ) -> Iterator[list[Finding]]:
        """Search working copies; see `Find`."""
        ...


class NetworkDetector(SearchingDetector):
    """Finds faces with a network of PyTorch, as many working copies at once as memory holds.

    Attributes:
        network: whoever owns the memory may move it.
        name: short name for messages and menus.
    """

    bytes_per_pixel = 480.0
    """Memory that the activations of a working pixel take."""

    def __init__(self, network: nn.Module, name: str) -> None:
        """Wrap a network."""
        self.network = network
        self.name = name

    def find(
        self,
        count: int,
        copy: Callable[[int], WorkingCopy],
        pixels: int,
        runtime: Runtime,
        *,
        confidence: float,
    ) -> Iterator[list[Finding]]:
        """Search working copies; see `Find`."""

        def step(part: slice) -> list[list[Finding]]:
            copies = [copy(index) for index in range(part.start, part.stop)]
            stacked = torch.stack([each.pixels for each in copies])
            seen = self.look(stacked.to(runtime.device(self.network)), confidence)
            return [
                [in_picture(finding, each.to_picture) for finding in findings]
                for findings, each in zip(seen, copies, strict=True)
            ]

        for _, findings in runtime.batches(
            self.network, count, step, bytes_per_item=self.bytes_per_pixel * pixels, item="picture"
        ):
            yield from findings

    @abstractmethod
    def look(self, pictures: Tensor, confidence: float) -> list[list[Finding]]:
        """Find the faces of each picture that are scored as high.

        Args:
            pictures: (B, 3, h, w) RGB in 0..1, on the network's device.
            confidence: 0 to 1.

        Returns:
            B lists, in pixels of these pictures.
        """
        ...
