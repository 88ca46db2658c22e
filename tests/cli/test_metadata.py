"""What files hold beside their pixels survives `codeformer restore`, or its loss is said."""

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from codeformer_core.cli import main
from codeformer_core.images import read_picture, resize

FACE = (slice(46, 204), slice(144, 302))
"""Roughly the aligned crop of the astronaut, so small that nothing is said of its size."""
ORIENTATION, CAMERA, ARTIST, LAYERS = 0x0112, 0x010F, 315, 37724
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" '
    'dc:creator="me"/></x:xmpmeta>'
)
UPRIGHT_XMP = XMP.replace('"6"', '"1"').encode()
IPTC = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0b\x1c\x02\x50\0\x06me too\0"
WORKFLOW = '{"nodes": [{"type": "KSampler"}]}'
SIDEWAYS = Image.Transpose.ROTATE_90
"""How a camera stores what orientation 6 turns upright."""


def exif() -> Image.Exif:
    made = Image.Exif()
    made[ORIENTATION], made[CAMERA] = 6, "a camera"
    return made


def texts() -> PngInfo:
    made = PngInfo()
    made.add_text("workflow", WORKFLOW)
    made.add_text("parameters", "steps: 20", zip=True)
    made.add_itxt("Title", "Raumfahrerin Ä 宇宙", lang="de")
    made.add_itxt("XML:com.adobe.xmp", XMP)
    made.add(b"gAMA", (45455).to_bytes(4, "big"))
    return made


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def save_png(path: Path, image: Image.Image, **options: Any) -> None:
    rich = {"exif": exif(), "icc_profile": PROFILE, "dpi": (300, 300), "pnginfo": texts()}
    image.save(path, "PNG", **(rich | options))


def save_deep_png(path: Path, image: Image.Image) -> None:
    """16 bits from OpenCV, with the chunks that Pillow writes."""
    buffer = io.BytesIO()
    save_png(buffer, Image.new("L", (1, 1)))  # pyright: ignore[reportArgumentType]
    rich = buffer.getvalue()
    pixels = np.asarray(image.convert("RGBA"), np.uint16)[..., [2, 1, 0, 3]] * 257
    plain = cv2.imencode(".png", pixels)[1].tobytes()
    chunks = rich[33 : rich.index(b"IDAT") - 4]
    path.write_bytes(plain[:33] + chunks + plain[33:])


def save_jpeg(path: Path, image: Image.Image) -> None:
    extra = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP.encode())
    extra += segment(0xED, IPTC) + segment(0xFE, b"a remark")
    image.convert("RGB").save(
        path, "JPEG", exif=exif(), icc_profile=PROFILE, dpi=(300, 300), extra=extra
    )


def save_webp(path: Path, image: Image.Image) -> None:
    image.save(path, exif=exif(), icc_profile=PROFILE, xmp=XMP.encode())


def save_tiff(path: Path, pixels: np.ndarray, *more: tuple[int, int, int, int, bool]) -> None:
    tags = [
        *more,
        (ORIENTATION, 3, 1, 6, True),
        (ARTIST, 2, 3, b"\xc3\x84me", True),
        (700, 1, len(XMP), XMP.encode(), True),
        (33723, 7, len(IPTC), IPTC, True),
        (34675, 7, len(PROFILE), PROFILE, True),
    ]
    alpha = {"extrasamples": ["unassalpha"]} if pixels.shape[2] == 4 else {}
    resolution = {"resolution": (300, 300), "resolutionunit": "INCH"}
    tifffile.imwrite(
        path, pixels, photometric="rgb", metadata=None, extratags=tags, **resolution, **alpha
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, astronaut) -> tuple[Path, str]:
    """The folder of the results, which carry their sources' names, and what was printed."""
    folder, out = tmp_path_factory.mktemp("in"), tmp_path_factory.mktemp("out")
    face = Image.fromarray((astronaut[FACE] * 255).byte().numpy()).transpose(SIDEWAYS)
    veiled = face.copy()
    veiled.putalpha(Image.linear_gradient("L").resize(face.size).transpose(SIDEWAYS))
    save_png(folder / "a.png", veiled)
    save_deep_png(folder / "deep.png", veiled)
    save_jpeg(folder / "a.jpg", face)
    save_webp(folder / "a.webp", veiled)
    save_tiff(folder / "a.tif", np.asarray(veiled))
    save_tiff(folder / "deep.tif", np.asarray(veiled, np.uint16) * 257)
    save_tiff(folder / "float.tif", np.asarray(veiled, np.float32) / 255)
    save_png(folder / "png-named.jpg", veiled)
    save_png(folder / "png-named.bmp", face)
    save_jpeg(folder / "jpeg-named.png", face)
    save_deep_png(folder / "deep-named.webp", veiled)
    save_tiff(folder / "exif.tif", np.asarray(face), (LAYERS, 4, 1, 8, True))
    tags = (folder / "exif.tif").read_bytes()  # the place of an EXIF block tifffile never writes
    (folder / "exif.tif").write_bytes(tags.replace(b"\x5c\x93\4\0", b"\x69\x87\4\0"))
    face.save(folder / "remark.gif", comment=b"a remark")
    with redirect_stdout(io.StringIO()) as printed:
        assert main(["restore", str(folder), "-o", str(out), "--aligned", "--device", "cpu"]) == 0
    return out, printed.getvalue()


PNGS, TIFFS = ["a.png", "deep.png"], ["a.tif", "deep.tif", "float.tif"]
WITH_EXIF = [*PNGS, "a.jpg", "a.webp", "png-named.jpg", "jpeg-named.png", "deep-named.webp"]


@pytest.mark.parametrize("name", [*PNGS, "a.webp", *TIFFS])
def test_xmp(run, name):
    assert UPRIGHT_XMP in (run[0] / name).read_bytes()


def test_xmp_of_a_jpeg_says_how_it_is_turned(run):
    assert XMP.encode() in (run[0] / "a.jpg").read_bytes()


@pytest.mark.parametrize("name", [*WITH_EXIF, *TIFFS])
def test_colour_profile(run, name):
    path = run[0] / name
    if name in TIFFS:
        assert tifffile.TiffFile(path).pages[0].tags[34675].value == PROFILE
    else:
        assert Image.open(path).info["icc_profile"] == PROFILE


@pytest.mark.parametrize("name", WITH_EXIF)
def test_exif(run, name):
    kept = Image.open(run[0] / name).getexif()
    turned = 6 if name == "a.jpg" else 1  # a JPEG stays stored as its source is
    assert (kept[CAMERA], kept[ORIENTATION]) == ("a camera", turned)


@pytest.mark.parametrize("name", [*WITH_EXIF, *TIFFS])
def test_orientation_is_applied_once(run, astronaut, name):
    result = read_picture(run[0] / name).pixels
    upright = resize(astronaut[FACE][None], *result.shape[:2])[0]
    turned = torch.stack([upright.rot90(quarters) for quarters in range(4)])
    assert int((turned - result).abs().mean((1, 2, 3)).argmin()) == 0


@pytest.mark.parametrize("name", [*PNGS, "a.jpg", "png-named.bmp", "a.tif", "deep.tif"])
def test_resolution(run, name):
    assert Image.open(run[0] / name).info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("name", [*PNGS, "a.webp", *TIFFS])
def test_opacity(run, name):
    alpha = read_picture(run[0] / name).alpha
    assert float(alpha[0].mean()) < 0.05
    assert float(alpha[-1].mean()) > 0.95


@pytest.mark.parametrize(("name", "bits"), [("deep.png", 16), ("deep.tif", 16), ("float.tif", 32)])
def test_bits(run, name, bits):
    assert read_picture(run[0] / name).bits == bits


@pytest.mark.parametrize("name", PNGS)
def test_text_of_a_png(run, name):
    image = Image.open(run[0] / name)
    assert image.info["workflow"] == WORKFLOW
    assert image.info["parameters"] == "steps: 20"
    assert image.info["Title"] == "Raumfahrerin Ä 宇宙"
    assert image.info["Title"].lang == "de"
    assert image.info["gamma"] == pytest.approx(0.45455)


def test_iptc_and_comment_of_a_jpeg(run):
    segments = dict(Image.open(run[0] / "a.jpg").applist)
    assert segments["APP13"] == IPTC
    assert segments["COM"] == b"a remark"


@pytest.mark.parametrize("name", TIFFS)
def test_tags_of_a_tiff(run, name):
    tags = tifffile.TiffFile(run[0] / name).pages[0].tags
    assert tags[ARTIST].value == "Äme"
    assert tags[33723].value == IPTC


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        (
            "png-named.jpg",
            [
                "transparency",
                "stored without loss and are not",
                "text 'workflow', text 'parameters', text 'Title', text 'XML:com.adobe.xmp'",
            ],
        ),
        ("png-named.bmp", ["colour profile", "text 'workflow'", "EXIF"]),
        ("jpeg-named.png", ["XMP, IPTC, comment"]),
        ("deep-named.webp", ["16 bits a channel became 8", "dpi", "text 'workflow'"]),
        ("exif.tif", ["EXIF"]),
        ("remark.gif", ["comment"]),
    ],
)
def test_loss_is_said(run, name, lost):
    said = " ".join(line for line in run[1].splitlines() if name in line)
    assert [words for words in lost if words not in said] == []


@pytest.mark.parametrize("name", [*PNGS, "a.jpg", "a.webp", *TIFFS])
def test_nothing_is_said_where_nothing_is_lost(run, name):
    assert f"{name}: " not in run[1]
