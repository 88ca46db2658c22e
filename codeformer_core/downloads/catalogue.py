"""Files known by name: where they are published, how long they are, their hash and their licence.

Nothing here is downloaded by itself; see `download`.
"""

from dataclasses import dataclass

from ..errors import MissingModelError

_CODEFORMER = "https://github.com/sczhou/CodeFormer/releases/download/v0.1.0/"
_FACEXLIB = "https://github.com/xinntao/facexlib/releases/download/"
_GFPGAN = "https://github.com/TencentARC/GFPGAN/releases/download/"

S_LAB = "S-Lab License 1.0 (non-commercial)"
"""Licence of everything the CodeFormer authors trained."""


@dataclass(frozen=True)
class KnownFile:
    """A published weight file."""

    name: str
    """File name, as users have it in their folders."""
    kind: str
    """What it is, as the registry of models calls it."""
    urls: tuple[str, ...]
    """Where it is published; tried in order."""
    bytes: int | None
    """Its length; None if nobody stated it."""
    sha256: str | None
    """Its hash, lower case; None if nobody stated it, and then `download` asks for a yes."""
    licence: str
    """Under what terms its publisher gives it."""
    folder: str
    """The host's model folder it belongs in."""
    aliases: tuple[str, ...] = ()
    """Other names it goes by."""


KNOWN_FILES = (
    KnownFile(
        name="codeformer.pth",
        kind="codeformer",
        urls=(_CODEFORMER + "codeformer.pth",),
        bytes=376637898,
        sha256="1009e537e0c2a07d4cabce6355f53cb66767cd4b4297ec7a4a64ca4b8a5684b7",
        licence=S_LAB,
        folder="facerestore_models",
        aliases=("codeformer-v0.1.0.pth", "codeformer"),
    ),
    KnownFile(
        name="codeformer_inpainting.pth",
        kind="codeformer",
        urls=(_CODEFORMER + "codeformer_inpainting.pth",),
        bytes=None,
        sha256="b0d1b868c3dacf75d637bbcc0d4b3dd4ce2a064a338dfb4d35c740d3b4ae8797",
        licence=S_LAB,
        folder="facerestore_models",
    ),
    KnownFile(
        name="codeformer_colorization.pth",
        kind="codeformer",
        urls=(_CODEFORMER + "codeformer_colorization.pth",),
        bytes=None,
        sha256=None,
        licence=S_LAB,
        folder="facerestore_models",
    ),
    KnownFile(
        name="detection_Resnet50_Final.pth",
        kind="retinaface_resnet50",
        urls=(
            _FACEXLIB + "v0.1.0/detection_Resnet50_Final.pth",
            _CODEFORMER + "detection_Resnet50_Final.pth",
        ),
        bytes=109497761,
        sha256="6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
        licence="MIT",
        folder="facedetection",
        aliases=("retinaface_resnet50",),
    ),
    KnownFile(
        name="detection_mobilenet0.25_Final.pth",
        kind="retinaface_mobile0.25",
        urls=(
            _FACEXLIB + "v0.1.0/detection_mobilenet0.25_Final.pth",
            _CODEFORMER + "detection_mobilenet0.25_Final.pth",
        ),
        bytes=1789735,
        sha256="2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220",
        licence="MIT",
        folder="facedetection",
        aliases=("retinaface_mobile0.25",),
    ),
    KnownFile(
        name="parsing_parsenet.pth",
        kind="parsenet",
        urls=(
            _FACEXLIB + "v0.2.2/parsing_parsenet.pth",
            _CODEFORMER + "parsing_parsenet.pth",
        ),
        bytes=85331193,
        sha256="3d558d8d0e42c20224f13cf5a29c79eba2d59913419f945545d8cf7b72920de2",
        licence="not stated; the network is of PSFR-GAN, which is CC BY-NC-SA 4.0 (non-commercial)",
        folder="facedetection",
        aliases=("parsenet",),
    ),
    KnownFile(
        name="parsing_bisenet.pth",
        kind="bisenet",
        urls=(_FACEXLIB + "v0.2.0/parsing_bisenet.pth",),
        bytes=53289463,
        sha256="468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567",
        licence="MIT",
        folder="facedetection",
        aliases=("bisenet",),
    ),
    KnownFile(
        name="GFPGANv1.4.pth",
        kind="gfpgan",
        urls=(_GFPGAN + "v1.3.4/GFPGANv1.4.pth",),
        bytes=348632874,
        sha256="e2cd4703ab14f4d01fd1383a8a8b266f9a5833dacee8e6a79d3bf21a1b6be5ad",
        licence="Apache-2.0",
        folder="facerestore_models",
    ),
    KnownFile(
        name="yolov5l-face.pth",
        kind="yolov5-face",
        urls=(_CODEFORMER + "yolov5l-face.pth",),
        bytes=None,
        sha256="1ba9d2125fda4d823df5152b9fc2903c59aa76c0d3771e02bcf13a56a282cf96",
        licence="GPL-3.0",
        folder="facedetection",
        aliases=("YOLOv5l",),
    ),
    KnownFile(
        name="yolov5n-face.pth",
        kind="yolov5-face",
        urls=(_CODEFORMER + "yolov5n-face.pth",),
        bytes=None,
        sha256="d2bbfbe9f36cf1ec345dc69658d7209e5448a676d946f1bf7818ac50d4489357",
        licence="GPL-3.0",
        folder="facedetection",
        aliases=("YOLOv5n",),
    ),
)
"""Every file this library knows by name, including some it only recognises."""


def find(name: str) -> KnownFile:
    """The known file of a name or alias, upper and lower case alike.

    Raises:
        MissingModelError: no file is known by that name; the message lists all.
    """
    file = known(name)
    if file is None:
        names = ", ".join(file.name for file in KNOWN_FILES)
        raise MissingModelError(f"{name[:80]!r} is not a known file. Known are: {names}")
    return file


def published(sha256: str) -> KnownFile | None:
    """The known file with this hash, or None."""
    return next((file for file in KNOWN_FILES if file.sha256 == sha256), None)


def known(name: str) -> KnownFile | None:
    """The known file of a name or alias, or None."""
    names = {each.lower(): file for file in KNOWN_FILES for each in (file.name, *file.aliases)}
    return names.get(name.lower())
