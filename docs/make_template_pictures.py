"""Make the pictures that the templates load, thumbnails of what comes out, and the pack's own icon.

Run from the repository, with the `test` extra: `python docs/make_template_pictures.py`, with names
of workflows to make only those. The photo
is scikit-image's astronaut (NASA, public domain). Templates that want files which are not shipped
have pictures of their graphs, from `make_node_pictures.py`.
"""

from __future__ import annotations

import importlib.util
import io
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image, ImageDraw, ImageFilter, ImageOps

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "web" / "examples"
WORKFLOWS = ROOT / "workflows"
QUALITY = 85
SIDE = 512
SMALL = 170
"""Pixels of the side that an old photo was once reduced to."""

SCRATCHES = (
    [(166, 56), (205, 92), (232, 114), (264, 154)],
    [(252, 62), (238, 104), (222, 136), (200, 164)],
)
SCRATCH = 3
"""Pixels across."""

CLIP = 320
"""Pixels of the side of the clip."""

THUMBNAIL = 600
FACE = (0.27, 0.01, 0.615, 0.355)
"""Around the face of the portrait: left, top, right, bottom in parts of its sides."""
NARROW = (0.356, 0.03, 0.5185, 0.355)
WIDE = (0.2425, 0.01, 0.6425, 0.355)
UPRIGHT = (1 / 6, 0.0, 5 / 6, 1.0)
WHOLE = (0.0, 0.0, 1.0, 1.0)

ICON = 400
BANNER = (1260, 540)
"""Pixels; what the registry of packs takes at most, and its 21 to 9."""


def main(names: list[str]) -> None:
    """Make all of them, or only the thumbnails of the named workflows."""
    if not names:
        make_examples()
        make_clip()
    with tempfile.TemporaryDirectory() as folder:
        host = _load_host()
        base = host.make_base(Path(folder) / "base")
        shutil.copytree(EXAMPLES, base / "input")
        with host.running(host.comfy_folder(), base) as server:
            for name, draw in THUMBNAILS.items():
                if not names or name in names:
                    _save(draw(Run(host, server, name)), WORKFLOWS / f"{name}.jpg")
            if names:
                return
            run = Run(host, server, "restore a photo")
            _save(halves(run.loaded(), run.saved(), FACE, ICON), ROOT / "docs" / "icon.jpg")
            wide = grid([run.loaded(), run.saved()], 2, WIDE, BANNER)
            _save(wide, ROOT / "docs" / "banner.jpg")


def _load_host() -> ModuleType:
    """The tests' own ComfyUI; they are no package."""
    path = ROOT / "tests" / "host" / "real_host.py"
    spec = importlib.util.spec_from_file_location("real_host", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules["real_host"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _save(picture: Image.Image, path: Path) -> None:
    # Exact: WebP's pixels are kept where they are transparent.
    picture.save(path, quality=QUALITY, optimize=True, exact=True)
    print(path.name, picture.size, path.stat().st_size)


# ---------------------------------------------------------------------------------------- examples


def make_examples() -> None:
    """A portrait, the same as old, gray and scratched photos, and two faces side by side."""
    from skimage import data

    portrait = Image.fromarray(data.astronaut())
    pair = Image.new("RGB", (3 * SIDE // 2, SIDE))
    pair.paste(portrait.crop((50, 0, 434, SIDE)))
    nearer = ImageOps.mirror(portrait).crop((130, 0, 460, 440))
    pair.paste(nearer.resize((384, SIDE), Image.Resampling.LANCZOS), (384, 0))
    _save(portrait, EXAMPLES / "codeformer_portrait.jpg")
    _save(worn(portrait), EXAMPLES / "codeformer_old_photo.jpg")
    _save(ImageOps.grayscale(worn(portrait)), EXAMPLES / "codeformer_gray_photo.jpg")
    _save(scratched(portrait), EXAMPLES / "codeformer_scratched_photo.webp")
    _save(worn(pair), EXAMPLES / "codeformer_two_faces.jpg")


def make_clip() -> None:
    """Two seconds in which the old photo sways and its grain dances."""
    import av
    import numpy

    photo = Image.open(EXAMPLES / "codeformer_old_photo.jpg")
    noise = numpy.random.default_rng(0)
    with av.open(EXAMPLES / "codeformer_clip.mp4", "w") as file:
        stream = file.add_stream("libx264", rate=12, options={"crf": "26"})
        stream.width = stream.height = CLIP
        stream.pix_fmt = "yuv420p"
        for turn in numpy.linspace(0, 2 * numpy.pi, 24, endpoint=False):
            left, top = 95 + 25 * numpy.sin(turn), 10 + 10 * numpy.cos(turn)
            window = (left, top, left + 256, top + 256)
            part = photo.transform((CLIP, CLIP), Image.Transform.EXTENT, window)
            grain = noise.normal(0, 8, (CLIP, CLIP, 1))
            pixels = (numpy.asarray(part) + grain).clip(0, 255).astype(numpy.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        file.mux(stream.encode())


def worn(picture: Image.Image) -> Image.Image:
    """Blurred, and enlarged from a third of its size."""
    small = picture.filter(ImageFilter.GaussianBlur(1.5))
    small = small.resize((picture.width * SMALL // SIDE, picture.height * SMALL // SIDE))
    return small.resize(picture.size, Image.Resampling.BICUBIC)


def scratched(picture: Image.Image) -> Image.Image:
    """With white lines, transparent together with their edges: Load Image makes a mask of that."""
    lines = Image.new("L", picture.size)
    for line in SCRATCHES:
        ImageDraw.Draw(lines).line(line, 255, SCRATCH, "curve")
    result = picture.copy()
    result.paste("white", mask=lines)
    result.putalpha(ImageOps.invert(lines.filter(ImageFilter.MaxFilter(5))))
    return result


# -------------------------------------------------------------------------------------- thumbnails


class Run:
    """A template that has run, and its pictures."""

    def __init__(self, host: ModuleType, server: Any, name: str) -> None:
        self.prompt = host.as_prompt(host.load_workflow(name), server.json("/object_info"))
        self.server = server
        self.outputs = server.run(self.prompt)

    def loaded(self, place: int = 0) -> Image.Image:
        """What a Load Image loads."""
        node = self.prompt[self._nodes("LoadImage")[place]]
        return Image.open(EXAMPLES / node["inputs"]["image"]).convert("RGB")

    def saved(self, place: int = 0) -> Image.Image:
        """One of the batch that the template's Save Image saves."""
        return self._picture(self.outputs[self._nodes("SaveImage")[0]]["images"][place])

    def previewed(self, place: int = 0) -> Image.Image:
        """What a Preview Image shows."""
        return self._picture(self.outputs[self._nodes("PreviewImage")[place]]["images"][0])

    def clips(self) -> list[Image.Image]:
        """Three frames of what a Load Video loads, and the same of what the template saves."""
        saved = self.outputs[self._nodes("SaveVideo")[0]]["images"][0]
        before = (EXAMPLES / "codeformer_clip.mp4").read_bytes()
        return [*three_frames(before), *three_frames(self.server.picture(saved))]

    def steps(self) -> list[Image.Image]:
        """What a Fidelity Sweep shows."""
        shown = self.outputs[self._nodes("CodeFormerFidelitySweep")[0]]["codeformer_strip"]
        return [self._picture(step["picture"]) for step in shown]

    def _nodes(self, kind: str) -> list[str]:
        return [key for key, node in self.prompt.items() if node["class_type"] == kind]

    def _picture(self, entry: dict[str, str]) -> Image.Image:
        return Image.open(io.BytesIO(self.server.picture(entry))).convert("RGB")


def three_frames(video: bytes) -> list[Image.Image]:
    """From the first third of a video, so that the places differ."""
    import av

    with av.open(io.BytesIO(video)) as file:
        return [frame.to_image() for frame in islice(file.decode(video=0), 0, 9, 4)]


Box = tuple[float, float, float, float]


def cut(picture: Image.Image, box: Box, width: int, height: int) -> Image.Image:
    """A part of a picture, given in parts of its sides, at a size."""
    sides = (picture.width, picture.height) * 2
    part = picture.crop(tuple(round(at * side) for at, side in zip(box, sides, strict=True)))
    return part.resize((width, height), Image.Resampling.LANCZOS)


def halves(before: Image.Image, after: Image.Image, box: Box, side: int = THUMBNAIL) -> Image.Image:
    """One face, its left half before and its right half after."""
    sheet = cut(before, box, side, side)
    sheet.paste(cut(after, box, side, side).crop((side // 2, 0, side, side)), (side // 2, 0))
    ImageDraw.Draw(sheet).line((side // 2, 0, side // 2, side), "white", 3)
    return sheet


def grid(
    pictures: Sequence[Image.Image],
    columns: int,
    box: Box,
    size: tuple[int, int] = (THUMBNAIL, THUMBNAIL),
) -> Image.Image:
    """The same part of every picture, row by row."""
    width, height = size[0] // columns, size[1] * columns // len(pictures)
    sheet = Image.new("RGB", size)
    for place, picture in enumerate(pictures):
        row, column = divmod(place, columns)
        sheet.paste(cut(picture, box, width, height), (column * width, row * height))
    return sheet


def panels(sheet: Image.Image, width: int = 256, gap: int = 12) -> list[Image.Image]:
    """The square pictures in the first row of a labelled sheet, without their captions."""
    lefts = range(gap, sheet.width - width + 1, width + gap)
    return [sheet.crop((left, gap, left + width, gap + width)) for left in lefts]


THUMBNAILS: dict[str, Callable[[Run], Image.Image]] = {
    "restore a photo": lambda run: halves(run.loaded(), run.saved(), FACE),
    "blocks": lambda run: halves(run.previewed(0), run.previewed(1), WHOLE),
    "batch": lambda run: grid([run.loaded(0), run.loaded(1), run.saved(0), run.saved(1)], 2, FACE),
    "restore a video": lambda run: grid(run.clips(), 3, UPRIGHT),
    "steady crops for another model": lambda run: grid(run.clips(), 3, UPRIGHT),
    "select faces": lambda run: grid([run.loaded(), run.saved()], 1, (0.1, 0.0, 0.9, 0.6)),
    "fidelity sweep": lambda run: grid(
        [cut(run.loaded(), FACE, SIDE, SIDE), *run.steps()], 3, UPRIGHT
    ),
    "degrade and restore": lambda run: halves(run.previewed(), run.saved(), FACE),
    "inpaint faces": lambda run: grid([run.loaded(), run.saved()], 2, NARROW),
    "old photo": lambda run: halves(run.loaded(), run.saved(), FACE),
    "compare restorers": lambda run: grid(panels(run.saved()), 3, UPRIGHT),
}
"""What comes out of the templates that run with nothing but what is shipped."""


if __name__ == "__main__":
    main(sys.argv[1:])
