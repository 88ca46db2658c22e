"""What a degradation is made of, and the ranges it is drawn from."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ..errors import SettingError

Interval = tuple[float, float]
"""Lowest and highest value that may be drawn."""


@dataclass(frozen=True)
class Degradation:
    """One drawn degradation; the defaults change nothing. Lengths are in pixels of the picture."""

    blur_x: float = 0.0
    """Deviation of the Gaussian blur along its first axis; 0 leaves the blur out."""
    blur_y: float | None = None
    """Deviation along the second axis; None is isotropic, like `blur_x`."""
    blur_angle: float = 0.0
    """Direction of the first axis (and of motion) in degrees."""
    motion: float = 0.0
    """Length of a straight motion blur, applied beside the Gaussian one."""
    downsample: float = 1.0
    """Factor r by which the picture is shrunk and enlarged back."""
    gaussian_noise: float = 0.0
    """Deviation of the Gaussian noise, in 1/255 of the range."""
    sensor_noise: float = 0.0
    """Deviation of the Poisson noise of a white pixel, in 1/255 of the range."""
    jpeg_quality: int | None = None
    """Quality of the JPEG compression, 1..100; None leaves it out."""
    colour_shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """What is added to red, green and blue, in 1/255 of the range: a colour cast."""
    brightness: float = 1.0
    """Factor on every value."""
    contrast: float = 1.0
    """Factor on the distance to the mean luminance; 0 is flat."""
    saturation: float = 1.0
    """Factor on the distance to the pixel's own gray; 0 is gray."""
    hue: float = 0.0
    """Turn of the colours around the gray axis, in degrees."""
    gray: bool = False
    """Whether the colours are taken away, after all other colour changes."""
    strokes: int = 0
    """Number of white brush strokes that hide parts of the picture."""
    stroke_width: float = 0.0
    """Width of the brush."""
    stroke_length: float = 0.0
    """Length of a whole stroke."""

    def __post_init__(self) -> None:
        """Refuse what no picture can undergo.

        Raises:
            SettingError: a negative amount, a factor r under 1 or a quality outside 1..100.
        """
        for item in fields(self):
            value = getattr(self, item.name)
            numbers = value if isinstance(value, tuple) else (value,)
            if not all(np.isfinite(number) for number in numbers if number is not None):
                raise SettingError(f"degradation: {item.name} is {value}: it must be finite")
        for name in NEVER_NEGATIVE:
            if (getattr(self, name) or 0) < 0:
                raise SettingError(f"degradation: {name} is {getattr(self, name)}: at least 0")
        if self.downsample < 1:
            raise SettingError(f"degradation: downsample is {self.downsample}: at least 1")
        if self.jpeg_quality is not None and not 1 <= self.jpeg_quality <= 100:
            raise SettingError(f"JPEG quality must be 1 to 100, got {self.jpeg_quality}")

    @property
    def changes_colour(self) -> bool:
        """Whether any of the colour parameters does something."""
        return self.gray or any(
            getattr(self, name) != neutral for name, neutral in COLOUR_NEUTRAL.items()
        )


NEVER_NEGATIVE = (
    "blur_x",
    "blur_y",
    "motion",
    "gaussian_noise",
    "sensor_noise",
    "brightness",
    "contrast",
    "saturation",
    "strokes",
    "stroke_width",
    "stroke_length",
)
COLOUR_NEUTRAL = {
    "colour_shift": (0.0, 0.0, 0.0),
    "brightness": 1.0,
    "contrast": 1.0,
    "saturation": 1.0,
    "hue": 0.0,
}
"""The colour parameters and the values at which they do nothing."""


@dataclass(frozen=True)
class DegradationRange:
    """What may be drawn; the defaults are stage II's published ranges for 512 px faces."""

    blur: Interval = (1.0, 15.0)
    """Deviation of the Gaussian blur in pixels."""
    anisotropic: float = 0.5
    """Probability that the two axes of the blur are drawn apart."""
    motion: Interval = (0.0, 0.0)
    """Length of the motion blur in pixels."""
    downsample: Interval = (4.0, 30.0)
    """Factor r."""
    gaussian_noise: Interval = (0.0, 20.0)
    """Deviation in 1/255."""
    sensor_noise: Interval = (0.0, 0.0)
    """Deviation at white in 1/255."""
    jpeg_quality: Interval = (30.0, 80.0)
    """Quality of the JPEG compression; (0, 0) leaves it out."""
    colour_probability: float = 0.0
    """How often the colours are changed at all (the five intervals that follow)."""
    colour_shift: Interval = (-20.0, 20.0)
    """What is added to each channel by itself, in 1/255."""
    brightness: Interval = (0.7, 1.3)
    """Factor on every value."""
    contrast: Interval = (0.7, 1.3)
    """Factor on the distance to the mean luminance."""
    saturation: Interval = (0.0, 1.5)
    """Factor on the distance to gray."""
    hue: Interval = (-18.0, 18.0)
    """Turn of the colours in degrees."""
    gray_probability: float = 0.0
    """How often the picture loses its colours; 1 for the colorization variant."""
    strokes: tuple[int, int] = (0, 0)
    """Number of brush strokes, both ends included."""
    stroke_width: Interval = (20.0, 80.0)
    """Width of the brush in pixels."""
    stroke_length: Interval = (100.0, 600.0)
    """Length of a stroke in pixels."""

    def __post_init__(self) -> None:
        """Refuse ranges that cannot be drawn from.

        Raises:
            SettingError: an interval that is not (low, high), or a probability outside 0..1.
        """
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, tuple):
                if len(value) != 2 or not value[0] <= value[1]:
                    raise SettingError(f"{item.name} must be [low, high], got {list(value)}")
            elif not 0 <= value <= 1:
                raise SettingError(f"{item.name} is a probability, 0 to 1, got {value}")

    @classmethod
    def none(cls) -> "DegradationRange":
        """What leaves a picture as it is."""
        return cls(
            blur=(0.0, 0.0),
            anisotropic=0.0,
            downsample=(1.0, 1.0),
            gaussian_noise=(0.0, 0.0),
            jpeg_quality=(0.0, 0.0),
        )

    def scaled(self, factor: float) -> "DegradationRange":
        """The same look on faces of another size: lengths times `factor`, r at least 1."""
        lengths = ("blur", "motion", "stroke_width", "stroke_length", "downsample")
        scaled = {name: tuple(factor * end for end in getattr(self, name)) for name in lengths}
        scaled["downsample"] = tuple(max(1.0, factor) for factor in scaled["downsample"])
        return replace(self, **scaled)

    def draw(self, random: np.random.Generator) -> Degradation:
        """Draw one degradation, every parameter uniformly from its interval."""
        blur_x = random.uniform(*self.blur)
        blur_y = random.uniform(*self.blur) if random.random() < self.anisotropic else None
        return Degradation(
            blur_x=blur_x,
            blur_y=blur_y,
            blur_angle=random.uniform(0.0, 180.0),
            motion=random.uniform(*self.motion),
            downsample=random.uniform(*self.downsample),
            gaussian_noise=random.uniform(*self.gaussian_noise),
            sensor_noise=random.uniform(*self.sensor_noise),
            jpeg_quality=round(random.uniform(*self.jpeg_quality)) or None,
            **self._draw_colour(random),
            gray=random.random() < self.gray_probability,
            strokes=int(random.integers(self.strokes[0], self.strokes[1] + 1)),
            stroke_width=random.uniform(*self.stroke_width),
            stroke_length=random.uniform(*self.stroke_length),
        )

    def _draw_colour(self, random: np.random.Generator) -> dict[str, Any]:
        if random.random() >= self.colour_probability:
            return {}
        red, green, blue = random.uniform(*self.colour_shift, size=3)
        return {
            "colour_shift": (red, green, blue),
            "brightness": random.uniform(*self.brightness),
            "contrast": random.uniform(*self.contrast),
            "saturation": random.uniform(*self.saturation),
            "hue": random.uniform(*self.hue),
        }


STAGE_TWO = DegradationRange()
"""Strong degradation, which stage II learns to see through (512 px)."""
STAGE_THREE_MILD = DegradationRange(
    blur=(0.1, 10.0), downsample=(1.0, 12.0), gaussian_noise=(0.0, 15.0), jpeg_quality=(60.0, 100.0)
)
"""Mild degradation, which stage III mixes with stage II's (512 px)."""
