"""Restore the crops that a video's faces give, whoever they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn import functional

from ..faces import FaceParser, PasteOptions, match_gray
from ..metrics.identity import IdentityNetwork
from ..models.restorer import Restorer
from ..pipeline import try_restore_crops
from ..pipeline.automatic import Automatic
from ..pipeline.recognition import Recognition
from ..runtime import Runtime
from .motion import Picture
from .steady import Steadiness

UNKNOWN = 0.5
"""Fidelity of somebody for whom none could be chosen."""


@dataclass(frozen=True)
class FaceSettings:
    """How the faces of a video are restored."""

    fidelity: float | Automatic = 0.5
    """0 (quality) to 1 (identity), or what chooses one for each person."""
    steadiness: Steadiness = field(default_factory=Steadiness)
    """How much frames help each other."""
    paste: PasteOptions = field(default_factory=PasteOptions)
    """How faces are blended into frames."""
    keep_gray: bool = True
    """Whether faces without colours stay so."""


class FaceEngine:
    """A restorer with a parser and settings.

    Attributes:
        settings: how faces are restored.
        fidelities: what was chosen for each person, by number.
        recognition: whom each person is restored as.
        identity: describes faces, if anything does.
        runtime: where the networks run; another may take its place between two batches.
        restored: how many came out.
        failed: how many did not: their results were not finite.
        helped: how many were restored closer to the input, or they would not look like themselves.
    """

    def __init__(
        self,
        network: Restorer,
        settings: FaceSettings,
        *,
        parser: FaceParser | None = None,
        identity: IdentityNetwork | None = None,
        fidelities: Mapping[int, float] | None = None,
        recognition: Recognition | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        """Put the networks together.

        Args:
            network: restores aligned faces.
            settings: how.
            parser: cuts masks out along hair and neck; without one they follow the geometry.
            identity: notices faces that stop looking like themselves.
            fidelities: what was chosen for each person, if they are chosen.
            recognition: whom each person of the video is restored as, in the order of their
                numbers.
            runtime: where they run.
        """
        self.identity = identity
        self.settings = settings
        self.fidelities = fidelities or {}
        self.recognition = recognition or Recognition()
        self.restored = self.failed = self.helped = 0
        self._network, self._parser = network, parser
        self.runtime = runtime or Runtime()

    @property
    def size(self) -> int:
        """Side of the crops in pixels."""
        return self._network.size

    @property
    def at_once(self) -> int:
        """How many crops are best restored together."""
        return self.runtime.batch_size(self._network, self._network.bytes_per_face)

    def fidelity(self, person: int) -> float:
        """How a person is restored."""
        fixed = self.settings.fidelity
        if isinstance(fixed, Automatic):
            return self.fidelities.get(person, UNKNOWN)
        return fixed

    def restore(
        self,
        crops: Sequence[Picture],
        gray: Sequence[bool],
        fidelity: Sequence[float],
        people: Sequence[int],
    ) -> list[Picture | None]:
        """Restore crops.

        Args:
            crops: (S, S, 3) each, in 0..1.
            gray: whether each is to stay without colours.
            fidelity: of each, 0 to 1.
            people: number of each one's person in the video.

        Returns:
            (S, S, 3) each, or (S, S, 4) with the parser's mask; None for one that failed.
        """
        inputs, known = torch.from_numpy(np.stack(crops)), self.recognition.whom
        whom = [known[person - 1] for person in people] if known else ()
        result = try_restore_crops(self._network, inputs, fidelity, whom=whom, runtime=self.runtime)
        faces = result.crops
        if self.settings.keep_gray and self._network.variant != "colorization":
            faces = match_gray(faces, inputs, torch.tensor(gray))
        self.runtime.show(faces[-1])
        if self._parser is not None:
            masks = self._parser.masks(faces, runtime=self.runtime, **self.settings.paste.parts)
            masks = functional.interpolate(masks[:, None], faces.shape[1:3], mode="area")
            faces = torch.cat([faces, masks.movedim(1, -1)], -1)
        pictures = faces.cpu().numpy()
        return [
            None if place in result.failed else picture for place, picture in enumerate(pictures)
        ]
