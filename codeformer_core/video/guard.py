"""Notice frames in which a restored face stops looking like its person."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ..metrics.identity import IdentityNetwork
from ..runtime import Runtime
from .motion import Picture

Descriptor = NDArray[np.float32]

REMEMBERED = 25
"""Frames of a face whose median says what it looks like."""
LEAST_REMEMBERED = 5

STRAY = 0.35
"""A descriptor further from the median has strayed (two people are 0.6 apart and more) ..."""
UNUSUAL = 2.5
"""... unless its face is that restless: this many times its usual distance."""


class IdentityGuard:
    """Remembers what the faces of a segment look like."""

    def __init__(self, identity: IdentityNetwork) -> None:
        """Start without memories; `identity` describes faces."""
        self._identity = identity
        self._known: dict[Hashable, deque[Descriptor]] = defaultdict(
            lambda: deque(maxlen=REMEMBERED)
        )

    def describe(self, pictures: Sequence[Picture], runtime: Runtime) -> list[Descriptor]:
        """Describe restored faces, (S, S, C) each, their colours first."""
        if not pictures:
            return []
        faces = torch.from_numpy(np.stack([picture[..., :3] for picture in pictures]))
        identity, side = self._identity, faces.shape[1]
        batches = runtime.batches(
            identity,
            len(faces),
            lambda part: identity.embed(faces[part].to(runtime.device(identity))),
            bytes_per_item=identity.bytes_per_pair(side, side),
        )
        return [each for _, batch in batches for each in batch.float().cpu().numpy()]

    def remember(self, face: Hashable, descriptor: Descriptor) -> None:
        """Take a frame of a face into its memory."""
        self._known[face].append(descriptor)

    def distance(self, face: Hashable, descriptor: Descriptor) -> float:
        """How far a descriptor is from what the face usually looks like."""
        return float(np.linalg.norm(descriptor - np.median(self._known[face], 0)))

    def has_strayed(self, face: Hashable, descriptor: Descriptor) -> bool:
        """Whether a frame of a face does not look like it."""
        known = self._known[face]
        if len(known) < LEAST_REMEMBERED:
            return False
        usual = np.median([self.distance(face, each) for each in known])
        return self.distance(face, descriptor) > max(STRAY, UNUSUAL * float(usual))
