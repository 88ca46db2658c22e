"""Pasting costs by the area of the faces, and gives what the reference helper gives.

The reference is facexlib's FaceRestoreHelper; with --facerestore-cf FOLDER also that pack's own.
All use the same crops, places and parsing mask; the parsing network is left out on every side.
"""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path
from typing import Any

import peers
import torch
from numpy.typing import NDArray
from scenes import group_photo, placed_faces, portraits, sides
from side_by_side import Row, compare, parser, report
from torch import Tensor

from codeformer_core.faces import PasteOptions, crop_faces, paste_faces
from codeformer_core.faces.parsing import soften
from codeformer_core.images import resize, to_uint8

MEGAPIXELS = (1, 4, 8, 16)
COMPARED = 8
"""Megapixels at which the others paste too: they take minutes for the rest."""
FACES = (1, 5, 20)
SIDE = 560
"""Of a face's crop in the picture: about the model's 512, as where nothing need be shrunk."""
LIKE_REFERENCE = PasteOptions(feather=0.0, resampling="bilinear")
"""The parser's mask alone, and the interpolation that OpenCV does."""


def main() -> None:
    """Measure and report."""
    options = parser(__doc__)
    options.add_argument("--facerestore-cf", type=Path, help="a checkout of that pack")
    options.add_argument("--photos", type=Path, help="folder with portrait_*.jpg")
    arguments = options.parse_args()
    others = {"facexlib": peers.Peer(peers.facexlib_helper)}
    if arguments.facerestore_cf is not None:
        build = partial(peers.facerestore_cf_helper, arguments.facerestore_cf)
        others["facerestore_cf"] = peers.Peer(build)
    people = portraits(arguments.photos)
    sizes, counts = ((0.4,), (1, 2)) if arguments.quick else (MEGAPIXELS, FACES)
    rows: list[Row] = []
    for megapixels, count in itertools.product(sizes, counts):
        here = others if arguments.quick or megapixels == COMPARED else {}
        rows.append(Scene(megapixels, count, people).measured(here, arguments.repeats))
    report("Paste-back", [*rows, doubled(), striped()], arguments.out)


class Scene:
    """A photo, crops of it made brighter, and where they belong."""

    def __init__(self, megapixels: float, count: int, people: list[Tensor]) -> None:
        height, width = sides(megapixels)
        self.title = f"{megapixels} MP"
        self.photo = eight_bits(group_photo(height, width, 6, people)[None])
        self.faces = placed_faces(height, width, count, SIDE)
        self.crops = eight_bits(crop_faces(self.photo, self.faces, 512) * 0.8 + 0.2)
        self.masks = soften(peers.oval()[None]).expand(count, -1, -1)

    def ours(self) -> Tensor:
        """Paste with our package, (H, W, 3)."""
        return paste_faces(self.photo, self.crops, self.faces, LIKE_REFERENCE, self.masks)[0][0]

    def measured(self, others: dict[str, peers.Peer], repeats: int) -> Row:
        """Time ours and theirs, and compare the results."""
        for other in others.values():
            other.give(to_uint8(self.photo[0]), to_uint8(self.crops), self.faces)
        ways = {name: other.paste for name, other in others.items()}
        times = compare({"ours": self.ours, **ways}, repeats)
        row: Row = {"case": self.title, "faces": self.faces.count}
        row["ours, s"] = times["ours"]
        # As they write it: rounded down to a byte.
        ours = (self.ours() * 255 + 1e-3).floor()
        for name, other in others.items():
            row[f"{name}, s"] = times[name]
            row[f"{name} / ours"] = times[name] / times["ours"]
            row[f"{name} apart, 1/255"] = float(
                (ours - torch.from_numpy(other.result())).abs().max()
            )
        return row


def doubled() -> Row:
    """Paste unchanged crops into the doubled picture: what comes out should be that picture."""
    picture, faces = waves(*sides(0.8)), placed_faces(*sides(0.8), 1, SIDE)
    right = resize(picture, *(2 * side for side in picture.shape[1:3]))
    crops, mask = crop_faces(picture, faces, 512), soften(peers.oval()[None])
    ours = paste_faces(right, crops, faces, LIKE_REFERENCE, mask)[0]
    helper = peers.facexlib_helper()
    helper.upscale_factor = 2
    theirs = peers.paste(helper, to_uint8(picture[0]), to_uint8(crops), faces)
    return {"case": "picture doubled, crop unchanged"} | off_by(right, ours, theirs)


def striped() -> Row:
    """Paste a crop of one-pixel stripes at a quarter of its size: it should come out gray."""
    gray, faces = waves(*sides(0.8)) * 0 + 0.5, placed_faces(*sides(0.8), 1, 128)
    stripes = (torch.arange(512) % 2).float().view(1, 1, -1, 1).expand(1, 512, -1, 3)
    mask = soften(peers.oval()[None])
    ours = paste_faces(gray, stripes, faces, LIKE_REFERENCE, mask)[0]
    helper = peers.facexlib_helper()
    theirs = peers.paste(helper, to_uint8(gray[0]), to_uint8(stripes), faces)
    return {"case": "stripes of a pixel, pasted at a quarter"} | off_by(gray, ours, theirs)


def waves(height: int, width: int) -> Tensor:
    """(1, H, W, 3) without detail that interpolation could lose."""
    x, y = torch.arange(width) / 6, torch.arange(height).view(-1, 1) / 6
    return (0.5 + 0.4 * torch.sin(x) * torch.sin(y)).expand(3, -1, -1).movedim(0, -1)[None]


def off_by(right: Tensor, ours: Tensor, theirs: NDArray[Any]) -> Row:
    """Largest distance of both from what is right, in steps of a byte."""
    rounded_down = torch.from_numpy(theirs) + 0.5
    return {
        "ours off by, 1/255": float((ours - right).abs().max()) * 255,
        "facexlib off by, 1/255": float((rounded_down - right[0] * 255).abs().max()),
    }


def eight_bits(images: Tensor) -> Tensor:
    """Round to what a byte can hold, as both sides get it."""
    return (images * 255).round() / 255


if __name__ == "__main__":
    main()
