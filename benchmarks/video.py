"""How steady and how true restored videos are: frame by frame, with each step added, and all.

Portraits moved on a known path, portraits that stand still, and real clips (their own frames are
the truth) are made worse frame by frame, encoded with H.264, and restored through the whole of
`restore_video`. All is measured inside the face, in the aligned square of the true placement; the
cost is processor time, which other programs on the machine hardly change.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from scenes import cut_faces
from side_by_side import Row, parser, report
from torch import Tensor, nn
from torch.nn import functional
from video_clips import KnownClip, frames_of, moved_portrait, real_clips, still_portrait
from video_ways import PICTURES, WAYS, WINDOW

from codeformer_core import load_codeformer, load_detector
from codeformer_core.faces import FaceDetector, Placement, crop_face, geometry_mask
from codeformer_core.images import read_picture
from codeformer_core.metrics.identity import IdentityNetwork
from codeformer_core.networks import CodeFormer
from codeformer_core.runtime import fastest_dtype

SIDE = 128
"""Of the crops in which results are measured."""

EDGES = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
LUMINANCE = torch.tensor([0.299, 0.587, 0.114])


class Watched(nn.Module):
    """A restorer that remembers the codes of everything it restored."""

    def __init__(self, network: CodeFormer) -> None:
        super().__init__()
        self.network = network
        self.size, self.variant = network.size, network.variant
        self.bytes_per_face, self.notice = network.bytes_per_face, network.notice
        self.codes: list[Tensor] = []

    def forward(self, crops: Tensor, fidelity: Any = 0.5, adain: bool | None = None) -> Tensor:
        encoded = self.network.encode(crops)
        self.codes.append(encoded.codes)
        return self.network.decode(encoded, fidelity, adain)

    def flips(self) -> float:
        """Share of the codes that change from a frame to the next."""
        codes = torch.cat(self.codes)
        return float((codes[1:] != codes[:-1]).float().mean())


@dataclass(frozen=True)
class Measured:
    """What was measured of a result."""

    flicker: float
    """Mean change of the error from frame to frame, along the truth's motion, in 1/255."""
    borders: float
    """The same where windows meet."""
    psnr: float
    sharpness: float
    """Mean absolute Laplacian against the truth's."""
    flips: float
    """Share of the codes that change from frame to frame."""
    spread: float
    """Mean distance of the identity descriptors from their mean."""
    seconds: float
    """Of the processor for a frame."""


@dataclass(frozen=True)
class Tools:
    """What every result is made and measured with."""

    network: CodeFormer
    detector: FaceDetector
    identity: IdentityNetwork
    sheets: Path | None


def main() -> None:
    """Measure and print."""
    options = arguments()
    tools = Tools(
        load_codeformer("builtin", dtype=fastest_dtype("cpu")),
        load_detector(options.detector),
        IdentityNetwork(),
        options.sheets,
    )
    rows: list[Row] = []
    for kind, clips in clips_of(options, tools.detector):
        measured: dict[str, list[Measured]] = {way: [] for way in WAYS}
        for seed, clip in enumerate(clips):
            for way, result in results_of(clip, seed, tools).items():
                measured[way].append(result)
        rows += rows_of(kind, measured)
    report("Steadiness of video", rows, options.out)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    options = parser(__doc__)
    options.add_argument("--faces", type=Path, help="folder of aligned portraits; else one is made")
    options.add_argument("--clips", type=Path, help="folder of the real clips")
    options.add_argument("--portraits", type=int, default=4, help="how many are moved")
    options.add_argument("--frames", type=int, default=30, help="of every clip")
    options.add_argument("--detector", default="auto", help="as of the command line")
    options.add_argument("--sheets", type=Path, help="folder for contact sheets of the results")
    return options.parse_args()


def clips_of(
    options: argparse.Namespace, detector: FaceDetector
) -> Iterator[tuple[str, Iterable[KnownClip]]]:
    """Yield every kind of clip."""
    count, portraits = (6, 1) if options.quick else (options.frames, options.portraits)
    faces = faces_of(options.faces, portraits)
    yield "moved", (moved_portrait(*face, count, seed) for seed, face in enumerate(faces))
    yield "still", (still_portrait(*face, count) for face in faces[: max(1, portraits // 2)])
    if options.clips is not None:
        yield "real", real_clips(options.clips, count, detector)


def faces_of(folder: Path | None, count: int) -> list[tuple[str, Tensor]]:
    """Aligned portraits spread over a folder, by name; without one the astronaut."""
    if folder is None:
        return [("astronaut", cut_faces(None, 256, 1)[0])]
    paths = sorted(folder.glob("*.jpg"))
    chosen = paths[len(paths) // (2 * count) :: max(1, len(paths) // count)][:count]
    return [(path.stem, read_picture(path).pixels) for path in chosen]


def results_of(clip: KnownClip, seed: int, tools: Tools) -> dict[str, Measured]:
    """Restore a clip in every way."""
    measured: dict[str, Measured] = {}
    sheet: list[Tensor] = [crops_at(clip.truth, clip.placements)]
    with tempfile.TemporaryDirectory() as folder:
        source = clip.write_worse(Path(folder, "clip.mp4"), seed)
        sheet.append(crops_at(frames_of(source), clip.placements))
        for way, restored in WAYS.items():
            watched = Watched(tools.network)
            start = time.process_time()
            result = restored(source, watched, tools.detector, Path(folder))
            cost = (time.process_time() - start) / len(clip.truth)
            crops = crops_at(as_frames(result), clip.placements)
            measured[way] = measure(clip, crops, watched, tools.identity, cost)
            sheet.append(crops)
    if tools.sheets is not None:
        draw(tools.sheets / f"{clip.kind} {clip.name}.png", sheet)
    return measured


def as_frames(result: Tensor | Path) -> Tensor:
    """A result, (B, H, W, 3), read back if it is a file: at no cost of the way that made it."""
    return result if isinstance(result, Tensor) else frames_of(result)


def measure(
    clip: KnownClip, crops: Tensor, watched: Watched, identity: IdentityNetwork, cost: float
) -> Measured:
    """Compare a result with the truth, both (B, S, S, 3) at the true placements."""
    truth = crops_at(clip.truth, clip.placements)
    face = (geometry_mask(SIDE) > 0.5).float()
    error = crops - truth
    psnr = -10 * torch.log10((error.square().mean(-1) * face).sum() / (face.sum() * len(error)))
    edges = [(laplacian(pictures).abs() * face).sum() for pictures in (crops, truth)]
    with torch.no_grad():
        descriptors = identity.embed(crops)
    changes = flicker(error, truth, clip.kind, face)
    return Measured(
        float(np.mean(changes)),
        float(np.mean(changes[WINDOW - 1 :: WINDOW] or [np.nan])),
        float(psnr),
        float(edges[0] / edges[1]),
        watched.flips(),
        float((descriptors - descriptors.mean(0)).norm(dim=1).mean()),
        cost,
    )


def flicker(error: Tensor, truth: Tensor, kind: str, face: Tensor) -> list[float]:
    """Mean change of the error from frame to frame along the truth's own motion, in 1/255."""
    changes: list[float] = []
    search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grays = (truth @ LUMINANCE * 255).round().byte().numpy()
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    for now in range(1, len(error)):
        flow = np.zeros((SIDE, SIDE, 2), np.float32)
        if kind == "real":  # aligned portraits do not move
            flow = search.calc(grays[now], grays[now - 1], None)
        places = np.stack([columns, rows], -1) + flow

        def moved(picture: Tensor, places: np.ndarray = places) -> Tensor:
            warped = cv2.remap(picture.numpy(), places, None, cv2.INTER_CUBIC, borderMode=1)
            return torch.from_numpy(warped)

        followed = (moved(truth[now - 1]) - truth[now]).abs().mean(-1) < 0.06
        share = followed.float() * face
        change = (error[now] - moved(error[now - 1])).abs().mean(-1)
        changes.append(255 * float((change * share).sum() / share.sum()))
    return changes


def laplacian(pictures: Tensor) -> Tensor:
    """Second differences of the luminance: (B, S, S, 3) to (B, S, S)."""
    return functional.conv2d((pictures @ LUMINANCE)[:, None], EDGES, padding=1)[:, 0]


def crops_at(frames: Tensor, placements: Sequence[Placement]) -> Tensor:
    """The aligned squares, (B, SIDE, SIDE, 3)."""
    pairs = zip(frames, placements, strict=True)
    return torch.stack([crop_face(frame, each.rescaled(SIDE)) for frame, each in pairs])


def rows_of(kind: str, measured: dict[str, list[Measured]]) -> list[Row]:
    """One line a way: means over clips, and against frame by frame."""
    means = {
        way: Measured(*np.mean([astuple(each) for each in results], 0))
        for way, results in measured.items()
        if results
    }
    first = next(iter(means.values()), None)
    return [
        {
            "clips": f"{len(measured[way])} {kind}",
            "way": way,
            "flicker, 1/255": mean.flicker,
            "times": mean.flicker / first.flicker,
            f"at every {WINDOW}th frame": mean.borders,
            "PSNR, dB": f"{mean.psnr:.2f}",
            "more, dB": f"{mean.psnr - first.psnr:+.2f}",
            "sharpness": f"{mean.sharpness:.3f}",
            "times sharpness": f"{mean.sharpness / first.sharpness:.3f}",
            "codes that flip": f"{mean.flips:.3f}",
            "identity spread": f"{mean.spread:.3f}",
            "cost of a frame, s": mean.seconds,
            "times that of a picture": f"{mean.seconds / means[PICTURES].seconds:.2f}",
        }
        for way, mean in means.items()
        if first is not None
    ]


def draw(path: Path, sheet: Sequence[Tensor]) -> None:
    """A contact sheet: truth, source and every way, one below the other, every second frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [torch.cat([*crops[::2]], 1) for crops in sheet]
    cv2.imwrite(str(path), (torch.cat(lines) * 255).round().byte().numpy()[..., ::-1])


if __name__ == "__main__":
    main()
