"""Whole files and malicious ones of every format that is read, as small as they can be."""

import gzip
import io
import pickle
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from damage import sealed_tar_header
from PIL import Image

from codeformer_core.images import Block, Picture, write_picture

Samples = dict[str, bytes]
NOISE = np.random.default_rng(0)
WITNESS = "opened-by-code-in-a-file"
"""A file that appears if a sample's code is run."""
METADATA: dict[str, Any] = {
    "exif": b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0",
    "dpi": (300.0, 300.0),
    "blocks": (
        Block("PNG", "text", b'tEXtworkflow\0{"nodes": []}'),
        Block("PNG", "text", b"zTXtparameters\0\0" + zlib.compress(b"steps: 20")),
        Block("JPEG", "IPTC", b"\xff\xed\0\x1aPhotoshop 3.0\x008BIM\4\4\0\0\0\0"),
        Block("TIFF", "artist", b"\1\x3bme"),
        Block("WEBP", "XMP", b'<rdf:Description tiff:Orientation="6"/>'),
    ),
}


def pictures(folder: Path) -> Samples:
    """Pictures of every format and depth, and files that only look like one."""
    samples = dict(_common_pictures())
    import torch

    for name in ("8.png", "8.jpg", "8.webp", "8.tif", "16.png", "16.tif", "32.tif"):
        path, bits = folder / f"rich{name}", int(Path(name).stem)
        write_picture(path, Picture(torch.rand(9, 7, 3), torch.rand(9, 7), bits=bits, **METADATA))
        samples[path.name] = path.read_bytes()
    return {**samples, **_bad_pictures()}


def _common_pictures() -> Samples:
    exif = Image.Exif()
    exif[0x0112] = 6
    samples: Samples = {}
    for mode, suffixes in {
        "RGB": (
            "png",
            "jpg",
            "webp",
            "tif",
            "bmp",
            "tga",
            "ppm",
            "gif",
            "jp2",
            "avif",
            "mpo",
            "pcx",
            "sgi",
            "qoi",
            "heic",
            "jxl",
        ),
        "RGBA": ("png", "webp", "tif"),
        "L": ("png", "jpg", "tif", "pgm"),
        "P": ("png", "gif", "bmp"),
        "1": ("png", "tif", "pbm"),
        "CMYK": ("jpg", "tif"),
        "I;16": ("png", "tif"),
    }.items():
        image = _noise(mode)
        for suffix in suffixes:
            kind = Image.registered_extensions().get(f".{suffix}", "")
            if kind in Image.SAVE:  # Pillow may know no AVIF, or have been built without
                buffer = io.BytesIO()
                options: dict[str, Any] = {"exif": exif} if suffix in ("png", "jpg") else {}
                image.save(buffer, kind, **options)
                samples[f"{mode.replace(';', '')}.{suffix}"] = buffer.getvalue()
    return {**samples, **_tiffs()}


def _tiffs() -> Samples:
    """TIFF files of other layouts, depths and compressions."""
    import tifffile

    deep = NOISE.integers(0, 65536, (33, 35, 4), dtype=np.uint16)
    kinds: dict[str, dict[str, Any]] = {
        "tiles": {"tile": (16, 16), "compression": "zlib", "predictor": True},
        "planes": {"planarconfig": "separate", "byteorder": ">"},
        "strips": {"rowsperstrip": 5, "compression": "lzma", "extrasamples": ["assocalpha"]},
    }
    samples: Samples = {}
    for name, options in kinds.items():
        buffer = io.BytesIO()
        pixels = np.moveaxis(deep, 2, 0) if name == "planes" else deep
        tifffile.imwrite(buffer, pixels, photometric="rgb", metadata=None, **options)
        samples[f"{name}.tif"] = buffer.getvalue()
    buffer = io.BytesIO()
    _noise("RGB").save(buffer, "TIFF", compression="tiff_lzw")
    return {**samples, "lzw.tif": buffer.getvalue(), "twelve.tif": _twelve_bits()}


def _twelve_bits() -> bytes:
    """A TIFF of 12 bits: what a reader packs by itself."""
    return _tiff(4, 4, samples=1, bits=12, compression=1, length=24)


def _noise(mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(NOISE.integers(0, 65536, (9, 7), dtype=np.uint16))
    return Image.fromarray(NOISE.integers(0, 256, (9, 7, 3), dtype=np.uint8)).convert(mode)


def _bad_pictures() -> Samples:
    megabytes = zlib.compress(bytes(64 << 20))
    whole = _png(4, 4)
    return {
        "bomb.png": _png(100_000, 100_000),
        "bomb16.png": _png(100_000, 100_000, depth=16),
        "long.png": _png(1, 2**31 - 1),
        "profile.png": _png(4, 4, _chunk(b"iCCP", b"x\0\0" + megabytes)),
        "text.png": _png(4, 4, _chunk(b"zTXt", b"x\0\0" + megabytes)),
        "pixels.png": whole[:33] + _chunk(b"IDAT", megabytes) + _chunk(b"IEND", b""),
        "many.tif": _tiff(4, 4, samples=65535),
        "wide.tif": _tiff(2**31, 2**31),
        "bomb.bmp": b"BM" + struct.pack("<IHHI", 54, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 2**31 - 1, -(2**31), 1, 24, 0, 0, 0, 0, 0, 0),
        "bomb.gif": b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0) + bytes(6)
        + b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x02\x02\x44\x01\x00;",
        "bomb.tga": struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, 65535, 65535, 24, 0),
        "bomb.ppm": b"P6 99999999 99999999 255\n",
        "script.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
        b"(" + WITNESS.encode() + b") (w) file closefile showpage\n%%EOF\n",
        "page.jpg": b"<!doctype html><title>404</title>",
        "archive.png": _zip_bomb(),
        "empty.png": b"\0",
    }  # fmt: skip


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int, extra: bytes = b"", depth: int = 8) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0))
    rows = zlib.compress(bytes(4 * 13))
    return b"\x89PNG\r\n\x1a\n" + header + extra + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _tiff(
    width: int,
    height: int,
    samples: int = 3,
    bits: int = 16,
    compression: int = 8,
    length: int = 20,
) -> bytes:
    """A deep TIFF of one strip, which may say more of itself than it holds."""
    entries = [
        (256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, compression), (262, 3, 1),
        (273, 4, 8), (277, 3, samples), (278, 4, height), (279, 4, length),
    ]  # fmt: skip
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    body = zlib.compress(bytes(100))[:length].ljust(length, b"\0")
    return (
        b"II*\0" + struct.pack("<I", 8 + length) + body
        + struct.pack("<H", len(entries)) + directory + bytes(4)
    )  # fmt: skip


def _zip_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(64 << 20))
    return buffer.getvalue()


def shards(folder: Path) -> Samples:
    """WebDataset shards of every tar dialect, and shards that mean harm."""
    formats = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
    samples = {f"{name}.tar": _shard(kind) for name, kind in formats.items()}
    whole = samples["ustar.tar"]
    return {
        **samples,
        "zipped.tar": gzip.compress(bytes(64 << 20)),
        "links.tar": _links(),
        "inside.tar": _members(("bomb.png", _png(100_000, 100_000)), ("x.jpg", b"nonsense")),
        "negative.tar": _resized(whole, b"\xff" * 11 + b"\x00"),
        "endless.tar": _resized(whole, b"\x80" + b"\x7f" * 11),
        "long-name.tar": _resized(whole, b"77777777777\0", kind=b"L"),
        "pax-digits.tar": _pax(b"1" * 200_000),
        "pax-negative.tar": _pax(b"18 size=-99999999\n"),
        "pax-sparse.tar": _pax(b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"),
        "bytes-name.tar": _resized(whole, None, name=b"\xff\xfe.png"),
    }


def _shard(kind: int) -> bytes:
    faces = {}
    for index, suffix in enumerate(("png", "jpg", "webp", "png")):
        buffer = io.BytesIO()
        _noise("RGB").resize((16, 16)).save(buffer, Image.registered_extensions()[f".{suffix}"])
        faces[f"{index}.{suffix}"] = buffer.getvalue()
    faces["../../" + WITNESS + ".png"] = faces["0.png"]
    faces["/" + WITNESS + ".png"] = faces["0.png"]
    if kind != tarfile.USTAR_FORMAT:
        faces["ü/" * 60 + "long.png"] = faces["0.png"]
    return _members(*faces.items(), ("0.json", b"{}"), kind=kind)


def _members(*members: tuple[str, bytes], kind: int = tarfile.USTAR_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for name, body in members:
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return buffer.getvalue()


def _links() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for kind, name, target in (
            (tarfile.SYMTYPE, "a.png", "/etc/passwd"),
            (tarfile.SYMTYPE, "b.png", "b.png"),
            (tarfile.LNKTYPE, "c.png", "c.png"),
            (tarfile.LNKTYPE, "d.png", "../../e.png"),
            (tarfile.CHRTYPE, "f.png", ""),
            (tarfile.FIFOTYPE, "g.png", ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    return buffer.getvalue()


def _resized(
    shard: bytes, size: bytes | None, kind: bytes | None = None, name: bytes | None = None
) -> bytes:
    """A shard whose first header says something else."""
    header = bytearray(shard[:512])
    if size is not None:
        header[124:136] = size
    if kind is not None:
        header[156:157] = kind
    if name is not None:
        header[:100] = name.ljust(100, b"\0")
    return sealed_tar_header(bytes(header)) + shard[512:]


def _pax(records: bytes) -> bytes:
    """A shard that begins with an extended header of these records."""
    header = bytearray(512)
    header[:4] = b"pax\0"
    header[100:108] = b"0000644\0"
    header[124:136] = b"%011o\0" % len(records)
    header[156:157] = b"x"
    header[257:265] = b"ustar\x0000"
    padded = records.ljust(-(-len(records) // 512) * 512, b"\0")
    return sealed_tar_header(bytes(header)) + padded + _shard(tarfile.USTAR_FORMAT)


def weights(folder: Path) -> Samples:
    """A few tensors in each format, small so that the tables of contents are hit often."""
    import torch
    from safetensors.torch import save

    state = {
        "encoder.blocks.0.weight": torch.ones(4, 3),
        "quantize.embedding.weight": torch.ones(2),
    }
    samples = {"flat.safetensors": save(state, {"variant": "inpainting"})}
    for name, is_archive in (("archive.pth", True), ("legacy.pth", False)):
        buffer = io.BytesIO()
        torch.save({"params_ema": state}, buffer, _use_new_zipfile_serialization=is_archive)
        samples[name] = buffer.getvalue()
    return {
        **samples,
        "code.pth": pickle.dumps(_Code()),
        "code-legacy.pth": samples["legacy.pth"][:15] + pickle.dumps(_Code()),
        "code-archive.pth": with_pickle(samples["archive.pth"], pickle.dumps(_Code())),
        "bomb.pth": _zip_bomb(),
        **_graphs(),
        "header.safetensors": struct.pack("<Q", 2**40) + b"{" * 100,
        "deep.safetensors": struct.pack("<Q", 100_002) + b'{"' + b"[" * 100_000,
    }  # fmt: skip


def _graphs() -> Samples:
    """ONNX graphs, written by hand: field by field, as the format numbers them."""
    name, lengths = _field(8, b"a"), b"\x08\x02\x08\x03"  # 2 x 3
    numbers = _field(9, bytes(24))
    picture = _field(1, b"x") + _field(
        2, _field(1, b"\x08\x01" + _field(2, _field(1, b"\x08\x40")))
    )
    node = _field(1, b"x") + _field(2, b"y") + _field(4, b"Relu")
    inner = _field(1, node + _field(5, _field(6, _field(1, node))))

    def whole(tensor: bytes) -> bytes:
        graph = inner + _field(5, tensor) + _field(11, picture) + _field(12, picture)
        return b"\x08\x08" + _field(7, graph) + _field(8, b"\x10\x11")

    outside = _field(13, _field(1, b"location") + _field(2, b"../" + WITNESS.encode()))
    return {
        "graph.onnx": whole(lengths + b"\x10\x01" + numbers + name),
        "false.onnx": whole(b"\x08\xff\xff\xff\x7f" + b"\x10\x01" + numbers + name),
        "outside.onnx": whole(lengths + b"\x10\x01" + outside + b"\x70\x01" + name),
    }


def _field(number: int, body: bytes) -> bytes:
    assert number < 16 and len(body) < 128
    return bytes([number << 3 | 2, len(body)]) + body


class _Code:
    """Pickled, it opens a file when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (WITNESS, "w")


def with_pickle(archive: bytes, pickled: bytes) -> bytes:
    """A PyTorch archive with another pickle in it; its checksums are right."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            new.writestr(name, pickled if name.endswith(".pkl") else old.read(name))
    return buffer.getvalue()


def pickle_of(archive: bytes) -> bytes:
    """The pickle of a PyTorch archive."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return next(opened.read(name) for name in opened.namelist() if name.endswith(".pkl"))
