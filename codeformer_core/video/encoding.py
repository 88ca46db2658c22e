"""Choose how a result is encoded: codec, sample format, quality; and say what gets lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..errors import SettingError, VideoError
from .information import PixelFormat, VideoInformation
from .library import FFmpegError, av
from .names import CONTAINERS
from .reading import describe_format
from .scheduling import usual_scheduling

DEFAULT_QUALITY = 16
"""On the scale of H.264: nobody sees a difference, and restored faces keep their texture."""
LOSSLESS = 0
WORST_QUALITY = 51


@dataclass(frozen=True)
class Encoder:
    """An encoder of FFmpeg and how it is asked for quality."""

    name: str
    """FFmpeg's name."""
    options: dict[str, str] = field(default_factory=dict)
    """Beside the quality."""
    slope: float = 1.0
    """Its quality scale against that of H.264."""
    offset: float = 0.0
    """What is added on its scale for the same look."""
    alpha: bool = False
    """Whether its opacity is understood by players."""
    quality: str | None = "crf"
    """Name of the option that sets it; None if there is none."""


ENCODERS = {
    # Without its macroblock tree, which in builds for AVX-512 reads memory that nobody has set: no
    # two runs would give the same file. 1.5 more give the same look.
    "h264": Encoder("libx264", {"preset": "fast", "mbtree": "0"}, offset=1.5),
    "hevc": Encoder("libx265", {"preset": "veryfast", "x265-params": "log-level=error"}, 1.0, 3.0),
    "av1": Encoder("libsvtav1", {"preset": "8"}, 1.25, 3.0),
    "vp9": Encoder(
        "libvpx-vp9",
        {"b": "0", "cpu-used": "5", "row-mt": "1", "auto-alt-ref": "0"},
        1.25,
        2.0,
        alpha=True,
    ),
    "ffv1": Encoder("ffv1", {"level": "3", "g": "1"}, alpha=True, quality=None),
    "prores": Encoder("prores_ks", alpha=True, quality=None),
}
"""One for each codec, in no order."""

UNUSUAL_VP9 = ("yuva422p", "yuva444p", "gbrap")
"""FFmpeg writes these only as an experiment."""

CODECS = ("auto", *ENCODERS)


@dataclass(frozen=True)
class Encoding:
    """How a video is encoded."""

    container: str
    """FFmpeg's name of the container."""
    codec: str
    """Name of the codec."""
    encoder: str
    """FFmpeg's name of the encoder."""
    format: PixelFormat
    """Of the frames it gets."""
    options: dict[str, str]
    """Of the encoder."""
    lost: tuple[str, ...]
    """What the result cannot hold, in the user's words."""


def choose_encoding(
    information: VideoInformation,
    target: str | Path,
    *,
    codec: str = "auto",
    quality: float = DEFAULT_QUALITY,
    grows: bool = False,
) -> Encoding:
    """Choose how a restored video is encoded.

    The source's codec is kept where it can be; another one is taken if it loses less.

    Args:
        information: the source.
        target: the result; its ending chooses the container.
        codec: auto, h264, hevc, av1, vp9, ffv1 or prores.
        quality: 0 (lossless, but AV1) to 51 (worst), the constant rate factor of H.264; brought to
            the same look in other codecs.
        grows: the result's size will be one that every format holds.

    Raises:
        SettingError: a quality out of range, or a codec that the container does not hold.
        VideoError: an ending of no container that is written, or no encoder is here.
    """
    if not LOSSLESS <= quality <= WORST_QUALITY:
        raise SettingError(f"quality is {quality}: it must be between 0 (best) and {WORST_QUALITY}")
    container, codecs = _container(Path(target))
    wanted = _wanted(codec, information.codec, codecs, Path(target))
    source = information.format
    choices = [
        (_losses(source, shape), order, _waste(source, shape), name, shape)
        for order, name in enumerate(wanted)
        for shape in _formats(name)
    ]
    if not choices:
        raise VideoError(
            f"this build of PyAV has no encoder for {', '.join(wanted)}: "
            "install av from PyPI (pip install av), or choose another codec"
        )
    if not grows:
        choices = [c for c in choices if _holds(c[3], c[4], information)] or choices
    losses, _, _, name, shape = min(choices, key=lambda choice: choice[:3])
    encoder = ENCODERS[name]
    options = dict(encoder.options) | _quality_option(encoder, quality)
    lost = _in_words(source, shape, name, losses) + _lost_aspect(information, container, name)
    if information.interlaced:
        lost += ("it is interlaced, and whole frames were restored: deinterlace it before",)
    return Encoding(container, name, encoder.name, shape, options, lost)


def check_size(encoding: Encoding, target: Path, height: int, width: int) -> None:
    """Raise a VideoError unless the encoder takes frames of a size."""
    context: Any = av.CodecContext.create(encoding.encoder, "w")
    context.width, context.height, context.pix_fmt = width, height, encoding.format.name
    context.time_base, context.options = Fraction(1, 25), encoding.options  # quiet, too
    try:
        with usual_scheduling():
            context.open()
    except (FFmpegError, ValueError) as error:
        raise VideoError(
            f"{target}: {encoding.codec} cannot hold frames of {width} x {height} pixels: choose "
            "another codec or ending, or another size"
        ) from error


def rate_factor(quality: int) -> float:
    """H.264's constant rate factor for a quality of 1 (worst) to 100 (best), as JPEG counts."""
    return round(WORST_QUALITY * (1 - quality / 100) ** 0.55, 1)


def _container(target: Path) -> tuple[str, tuple[str, ...]]:
    try:
        return CONTAINERS[target.suffix.lower()]
    except KeyError:
        raise VideoError(
            f"{target}: videos are written as {', '.join(sorted(CONTAINERS))}; "
            "choose one of these endings"
        ) from None


def _wanted(codec: str, source: str, codecs: tuple[str, ...], target: Path) -> list[str]:
    """Codecs to choose from, the most welcome first."""
    if codec == "auto":
        return sorted(codecs, key=lambda name: name != source)
    if codec not in ENCODERS:
        raise SettingError(f"the codec is {codec!r}: choose from {', '.join(CODECS)}")
    if codec not in codecs:
        raise SettingError(
            f"{target}: a {target.suffix} file does not hold {codec}; choose from "
            f"{', '.join(codecs)}, or another ending"
        )
    return [codec]


def _formats(codec: str) -> Iterator[PixelFormat]:
    """Formats with a plane a component that an encoder takes; none if it is not here."""
    encoder = ENCODERS[codec]
    try:
        offered = av.Codec(encoder.name, "w").video_formats or []
    except (FFmpegError, ValueError):
        return
    for each in offered:
        planar = each.name.startswith(("yuv4", "yuva4", "gbrp", "gbrap", "gray"))
        odd = each.name.startswith(("yuv410", "yuv411", "yuv440")) or "f" in each.name[4:]
        odd = odd or (codec == "vp9" and each.name in UNUSUAL_VP9)
        if planar and not odd and not each.is_big_endian:
            described = describe_format(each.name)
            if encoder.alpha or not described.alpha:
                yield described


def _holds(codec: str, target: PixelFormat, source: VideoInformation) -> bool:
    """Whether an encoder takes frames of the source's size.

    libx264 and libx265 want whole chroma samples, and would keep odd sizes of shared ones only in
    formats that hardly a player shows.
    """
    if codec not in ("h264", "hevc"):
        return True
    return all(
        source.height % shape.chroma_height == source.width % shape.chroma_width == 0
        for shape in (source.format, target)
    )


def _losses(source: PixelFormat, target: PixelFormat) -> tuple[float, ...]:
    """What is lost from one format to the other, the worst first."""
    chroma = (1, 1) if source.rgb else (source.chroma_width, source.chroma_height)
    missing = sum(
        max(0, theirs - ours)
        for theirs, ours in zip((target.chroma_width, target.chroma_height), chroma, strict=True)
    )
    return (
        source.alpha and not target.alpha,
        max(0, min(source.bits, 16) - target.bits),
        target.gray and not source.gray,
        0 if source.gray else missing,
        source.rgb != target.rgb,
    )


def _waste(source: PixelFormat, target: PixelFormat) -> tuple[float, ...]:
    """What a format has room for in vain."""
    return (
        target.alpha and not source.alpha,
        target.bits,
        not target.gray,
        -target.chroma_width - target.chroma_height,
    )


def _in_words(
    source: PixelFormat, target: PixelFormat, codec: str, losses: tuple[float, ...]
) -> tuple[str, ...]:
    lost: list[str] = []
    if losses[0]:
        lost.append(f"its transparency is not kept ({codec} in this container has none)")
    if losses[1]:
        lost.append(f"{source.bits} bits a channel became {target.bits} ({codec})")
    if losses[3]:
        lost.append(f"colours are kept at a lower resolution ({target.name})")
    return tuple(lost)


def _lost_aspect(information: VideoInformation, container: str, codec: str) -> tuple[str, ...]:
    """PyAV sets the shape of pixels in the codec only, where not all codecs have a place for it."""
    kept = container in ("mp4", "mov") or codec in ("h264", "hevc")
    if kept or information.sample_aspect == 1:
        return ()
    return (f"its pixels become square ({codec} in this container): choose another codec",)


def _quality_option(encoder: Encoder, quality: float) -> dict[str, str]:
    if encoder.quality is None:
        return {}
    if quality == LOSSLESS and encoder.name == "libx264":
        return {"crf": "0"}
    if quality == LOSSLESS and encoder.name == "libx265":
        return {"x265-params": encoder.options["x265-params"] + ":lossless=1"}
    if quality == LOSSLESS and encoder.name == "libvpx-vp9":
        return {"lossless": "1"}
    scaled = quality * encoder.slope + encoder.offset
    whole = encoder.name not in ("libx264", "libx265")
    return {encoder.quality: f"{round(scaled) if whole else scaled:g}"}
