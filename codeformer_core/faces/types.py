"""What detection finds and the other blocks of the package pass on: values that never change."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from ..errors import SettingError
from . import affine
from .affine import Affine, Point

TEMPLATE_SIZE = 512
"""Side in pixels of the square in which the five-point template is given."""


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle in picture pixels; edges may lie outside the picture."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Horizontal side, never negative."""
        return max(0.0, self.right - self.left)

    @property
    def height(self) -> float:
        """Vertical side, never negative."""
        return max(0.0, self.bottom - self.top)

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    @property
    def size(self) -> float:
        """The longer side: what ``min_size`` limits."""
        return max(self.width, self.height)

    @property
    def centre(self) -> Point:
        """The middle (x, y)."""
        return (0.5 * (self.left + self.right), 0.5 * (self.top + self.bottom))


@dataclass(frozen=True, slots=True)
class Landmarks:
    """The five template points of one face, (x, y) in picture pixels.

    Left and right are the sides of the picture, not of the person.
    """

    left_eye: Point
    right_eye: Point
    nose: Point
    mouth_left: Point
    mouth_right: Point

    @property
    def points(self) -> tuple[Point, Point, Point, Point, Point]:
        """All five in the order of the template."""
        return (self.left_eye, self.right_eye, self.nose, self.mouth_left, self.mouth_right)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the aligned square crop of a face lies in its picture.

    Attributes:
        matrix: the 2x3 map from picture pixels to crop pixels, (x, y), pixel centres at integers.
        crop_size: side of the square crop in pixels.
        picture_height: height in pixels of the picture that the matrix belongs to.
        picture_width: width of that picture.
    """

    matrix: Affine
    crop_size: int
    picture_height: int
    picture_width: int

    @property
    def inverse(self) -> Affine:
        """The 2x3 map from crop pixels to picture pixels."""
        return affine.invert(self.matrix)

    @property
    def scale(self) -> float:
        """Crop pixels per picture pixel; under 1 the face is larger than its crop."""
        return affine.mean_scale(self.matrix)

    @property
    def face_size(self) -> float:
        """Side of the crop's square measured in picture pixels."""
        return self.crop_size / self.scale

    def corners(self) -> tuple[Point, Point, Point, Point]:
        """Return the outer corners of the crop in the picture, clockwise from the crop's top left.

        These are corners of the crop's area: half a pixel outside its outermost pixel centres.
        """
        low, high = -0.5, self.crop_size - 0.5
        inverse = self.inverse
        square = ((low, low), (high, low), (high, high), (low, high))
        first, second, third, fourth = (affine.apply(inverse, corner) for corner in square)
        return (first, second, third, fourth)

    def rescaled(self, crop_size: int) -> Placement:
        """Return the same square of the picture as a crop of another size."""
        if crop_size < 1:
            raise SettingError(f"crop size is {crop_size}: it must be at least 1 pixel")
        factor = crop_size / self.crop_size
        matrix = affine.compose(affine.scaling(factor, factor), self.matrix)
        return dataclasses.replace(self, matrix=matrix, crop_size=crop_size)

    def in_upscaled_picture(self, height: int, width: int) -> Placement:
        """Return the placement of the same crop in a resized copy of the picture.

        Args:
            height: height of the resized copy in pixels, any ratio, whole or not.
            width: width of the resized copy in pixels.
        """
        if (height, width) == (self.picture_height, self.picture_width):
            return self
        shrink = affine.scaling(self.picture_width / width, self.picture_height / height)
        matrix = affine.compose(self.matrix, shrink)
        return dataclasses.replace(self, matrix=matrix, picture_height=height, picture_width=width)


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face.

    Attributes:
        box: the face from forehead to chin, in picture pixels.
        score: the detector's confidence, 0 to 1.
        landmarks: the five template points.
        placement: where the aligned crop lies.
        track: number of the person in a video, None if the face was not tracked.
    """

    box: Box
    score: float
    landmarks: Landmarks
    placement: Placement
    track: int | None = None


@dataclass(frozen=True, slots=True)
class Faces:
    """The faces of a batch of frames of one size.

    Attributes:
        frames: per frame the tuple of its faces; a frame without faces has an empty tuple.
        height: height of the frames in pixels.
        width: width of the frames in pixels.
        misfits: how many more findings of the detector were left out because their points are
            those of no face.
    """

    frames: tuple[tuple[Face, ...], ...]
    height: int
    width: int
    misfits: int = 0

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.frames)

    def __iter__(self) -> Iterator[Face]:
        """Yield every face, frame by frame: the order of crops in a batch."""
        for frame in self.frames:
            yield from frame

    @property
    def count(self) -> int:
        """Number of faces in all frames together."""
        return sum(len(frame) for frame in self.frames)

    def in_frames(self) -> Iterator[tuple[int, Face]]:
        """Yield every face in the same order with the index of its frame."""
        for index, frame in enumerate(self.frames):
            for face in frame:
                yield index, face

    def take(self, places: Iterable[int]) -> Faces:
        """Return the faces at these places of the flat order, counted from 0."""
        flat, wanted = enumerate(self), set(places)
        frames = (
            tuple(face for place, face in islice(flat, len(frame)) if place in wanted)
            for frame in self.frames
        )
        return dataclasses.replace(self, frames=tuple(frames))

    def without(self, places: Iterable[int]) -> Faces:
        """Return the faces at all other places."""
        return self.take(set(range(self.count)).difference(places))
