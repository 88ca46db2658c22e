"""Random changes that keep a face a face, made to a whole batch where it lies."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import SettingError
from .occluders import Things, covered
from .warps import Moves, moved_grid, sample

MOVES = 13
"""Random numbers of a face's moves: those of `Moves`, and whether lids and mouth move at all."""
COLOURS = 5
"""Of its colours: gain, gamma and three channels."""
LOOK = MOVES + COLOURS + len(Things._fields)
"""Random numbers, 0 to 1, that make up a look of a face."""


@dataclass(frozen=True)
class Augmentation:
    """Random changes, the same for the clean and the degraded picture."""

    flip: float = 0.5
    """Probability of a mirror image."""
    warp: float = 0.5
    """Probability of a small turn, zoom and shift."""
    turn: float = 4.0
    """Largest turn in degrees."""
    zoom: float = 0.05
    """Largest zoom as a fraction."""
    shift: float = 0.02
    """Largest shift as a fraction of the side."""
    colour: float = 0.1
    """Largest change of the gain and of the gamma of all channels together."""
    hue: float = 0.03
    """Largest change of each channel's own gain: less than what tells brown eyes from blue."""
    eyelids: float = 0.0
    """Probability that eyes are closed, one or both, halfway or more."""
    mouth: float = 0.0
    """Probability that the mouth is opened, closed, moved or bent."""
    occluder: float = 0.0
    """Probability that something lies before the face."""
    melt: float = 0.0
    """Probability that the degraded picture's features are misplaced, as generators do."""
    variants: int = 0
    """Fixed variants of each face, so that stages II and III compute the codes of each clean
    variant once; 0 draws a new variant every time and computes its codes every time."""

    def __post_init__(self) -> None:
        """Refuse what would not keep a face a face.

        Raises:
            SettingError: a probability outside 0..1, or a negative amount.
        """
        for name in ("flip", "warp", "eyelids", "mouth", "occluder", "melt"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingError(f"augmentation: {name} is a probability, 0 to 1")
        if min(self.turn, self.zoom, self.shift, self.colour, self.hue, self.variants) < 0:
            raise SettingError("augmentation: no amount may be negative")
        if max(self.zoom, self.colour, self.hue) >= 1:
            raise SettingError("augmentation: zoom, colour and hue must be under 1")

    def apply(self, faces: Tensor, numbers: Tensor) -> Tensor:
        """Give each face its look.

        Args:
            faces: (B, S, S, 3) uint8 RGB.
            numbers: (B, LOOK) in 0..1.

        Returns:
            (B, 3, S, S) float32 in 0..1.
        """
        planes = faces.movedim(-1, 1) / 255
        move, colour, thing = numbers.split([MOVES, COLOURS, len(Things._fields)], dim=1)
        if self.flip or self.warp or self.eyelids or self.mouth:
            parts = bool(self.eyelids or self.mouth)
            planes = sample(planes, moved_grid(self._moves(move), planes.shape[-1], parts))
        planes = planes.clamp(0, 1)
        if self.occluder:
            things = Things(*thing.unbind(1))
            there = (things.there < self.occluder).float()
            planes = covered(planes, things._replace(there=there))
        if self.colour or self.hue:
            planes = self._recolour(planes, colour)
        return planes

    def _moves(self, numbers: Tensor) -> Moves:
        """Random numbers (B, MOVES) as moves of the asked sizes."""
        flip, warp, lids, mouth, *drawn = numbers.unbind(1)
        turn, zoom, x, y, closed, mouth_x, mouth_y, opening, smile = (
            2 * each - 1 for each in drawn
        )
        warped, moved = (warp < self.warp).float(), (mouth < self.mouth).float()
        # Beyond the probability of lids that move lies which of the two: mostly both.
        which = 2 * lids / max(self.eyelids, 1e-9)
        shut = (lids < self.eyelids).float() * (0.65 + 0.35 * closed)
        return Moves(
            mirrored=(flip < self.flip).float(),
            turn=warped * turn * math.radians(self.turn),
            zoom=warped * zoom * self.zoom,
            shift_x=warped * x * 2 * self.shift,
            shift_y=warped * y * 2 * self.shift,
            left_lids=shut * (2 * which).clamp(0, 1),
            right_lids=shut * (4 - 2 * which).clamp(0, 1),
            mouth_opening=moved * opening,
            mouth_x=moved * mouth_x,
            mouth_y=moved * mouth_y,
            smile=moved * smile,
        )

    def _recolour(self, planes: Tensor, numbers: Tensor) -> Tensor:
        change = 2 * numbers[..., None, None] - 1
        gamma = 1 + self.colour * change[:, :1]
        gain = (1 + self.colour * change[:, 1:2]) * (1 + self.hue * change[:, 2:])
        return (torch.pow(planes, gamma) * gain).clamp(0, 1)


UNCHANGED = Augmentation(flip=0.0, warp=0.0, colour=0.0, hue=0.0)
"""For validation."""
