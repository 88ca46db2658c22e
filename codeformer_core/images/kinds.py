"""Kinds of picture files: which can be read here, written, and what to do about the others."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path, PurePath

from PIL import Image

from ..errors import PictureError

READ = (
    "AVIF", "BMP", "DIB", "GIF", "HEIF", "JPEG", "JPEG2000", "JXL", "MPO", "PCX", "PNG", "PPM",
    "QOI", "SGI", "TGA", "TIFF", "WEBP",
)  # fmt: skip
"""Pillow's names of what it may open here; it would run Ghostscript for others."""


@dataclass(frozen=True)
class PictureFormat:
    """What a file format can hold."""

    name: str
    """Pillow's name of the format."""
    bits: int
    """Most bits of a channel it can be written with."""
    alpha: bool
    """Whether it holds opacity."""
    exif: int
    """Most bytes of an EXIF block that can be written to it here; 0 for none."""
    icc_profile: bool
    """Whether it holds a colour profile."""
    dpi: bool
    """Whether it holds a resolution."""
    extra: bool = False
    """Whether it holds channels that are neither colour nor opacity."""
    lossless: bool = True
    """Whether it can give every pixel back."""


@dataclass(frozen=True)
class Unread:
    """A kind of picture that cannot be read here."""

    name: str
    """In the user's words."""
    suffixes: tuple[str, ...]
    """Its endings, lower case with the dot."""
    remedy: str
    """What to do about it."""
    signatures: tuple[tuple[int, bytes], ...] = ()
    """Places in its first bytes, and what stands there."""
    package: str = ""
    """What pip calls the package that reads it, if there is one."""


_ANY = 1 << 30
_JPEG = PictureFormat(
    "JPEG", 8, alpha=False, exif=65533, icc_profile=True, dpi=True, lossless=False
)
_PNG = PictureFormat("PNG", 16, alpha=True, exif=_ANY, icc_profile=True, dpi=True)
_WEBP = PictureFormat("WEBP", 8, alpha=True, exif=_ANY, icc_profile=True, dpi=False)
_TIFF = PictureFormat("TIFF", 32, alpha=True, exif=0, icc_profile=True, dpi=True, extra=True)
_BMP = PictureFormat("BMP", 8, alpha=False, exif=0, icc_profile=False, dpi=True)
_WRITTEN = {
    ".jpg": _JPEG, ".jpeg": _JPEG, ".jpe": _JPEG, ".jfif": _JPEG, ".png": _PNG, ".webp": _WEBP,
    ".tif": _TIFF, ".tiff": _TIFF, ".bmp": _BMP,
}  # fmt: skip
WRITABLE_SUFFIXES = frozenset(_WRITTEN)
"""File name endings that `write_picture` knows, lower case with the dot."""

_BOX = 4
"""Where the first box of an ISO media file names its kind."""
UNREAD = (
    Unread(
        "HEIC", (".heic", ".heics", ".heif", ".heifs", ".hif"), "pip install pillow-heif",
        tuple((_BOX, b"ftyp" + brand) for brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1")),
        package="pillow-heif",
    ),
    Unread(
        "JPEG XL", (".jxl",), "pip install pillow-jxl-plugin",
        ((0, b"\xff\x0a"), (_BOX, b"JXL \r\n\x87\n")), package="pillow-jxl-plugin",
    ),
    Unread(
        "AVIF", (".avif", ".avifs"), "pip install --upgrade pillow",
        ((_BOX, b"ftypavif"), (_BOX, b"ftypavis")), package="pillow",
    ),
    Unread(
        "camera raw",
        (".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".nef", ".nrw", ".orf", ".pef", ".raf",
         ".raw", ".rw2", ".srw"),
        "develop it into a TIFF or JPEG first", ((_BOX, b"ftypcrx"), (0, b"FUJIFILMCCD-RAW")),
    ),
    Unread(
        "a file with layers",
        (".afphoto", ".clip", ".kra", ".ora", ".pdn", ".psb", ".psd", ".xcf"),
        "export it as PNG or TIFF first", ((0, b"8BPS"), (0, b"gimp xcf")),
    ),
    Unread(
        "OpenEXR or Radiance", (".exr", ".hdr"), "save it as a TIFF of floats first",
        ((0, b"v/1\x01"), (0, b"#?RADIANCE")),
    ),
    Unread(
        "a drawing or document", (".ai", ".eps", ".pdf", ".svg"), "export it as PNG first",
        ((0, b"%PDF"), (0, b"%!PS")),
    ),
)  # fmt: skip


@cache
def readable_suffixes() -> frozenset[str]:
    """Endings that count as pictures when a folder is searched, lower case with the dot."""
    _load_plugins()
    return frozenset(each for each, kind in Image.registered_extensions().items() if kind in READ)


@cache
def readable_formats() -> tuple[str, ...]:
    """Pillow's names of the formats that can be read here."""
    _load_plugins()
    return tuple(kind for kind in READ if kind in Image.OPEN)


def _load_plugins() -> None:
    """Let Pillow know what the extra packages read, those that are here."""
    Image.init()
    with suppress(ImportError, OSError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    with suppress(ImportError, OSError):
        import_module("pillow_jxl")


def format_of(path: Path) -> PictureFormat:
    """What the file format named by a path's ending can hold.

    Raises:
        PictureError: the ending names no format that can be written.
    """
    try:
        return _WRITTEN[path.suffix.lower()]
    except KeyError:
        choices = ", ".join(sorted(WRITABLE_SUFFIXES))
        raise PictureError(
            f"{path}: cannot write this kind of file; use one of {choices}"
        ) from None


def unread_kind(path: PurePath, start: bytes = b"") -> Unread | None:
    """The kind of a picture that cannot be read here, by its first bytes or else by its ending."""
    for kind in UNREAD:
        if any(start.startswith(mark, place) for place, mark in kind.signatures):
            return kind
    suffix = path.suffix.lower()
    return next((kind for kind in UNREAD if suffix in kind.suffixes), None)


def picture_files(folder: Path, suffixes: Collection[str] | None = None) -> list[Path]:
    """Files of a folder and its subfolders with these endings, in order of name.

    Hidden files are left out, and so are pipes and devices, whose end may never come; a link that
    leads nowhere is not.

    Args:
        folder: where to look.
        suffixes: lower case with the dot; those of all pictures that can be read if left out.
    """
    suffixes = readable_suffixes() if suffixes is None else suffixes
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
        if path.is_file() or path.is_symlink()
    ]
