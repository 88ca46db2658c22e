"""Make the clip of the README and its contact sheet: the astronaut on a camera path.

Every frame is shown made worse, restored, and as it was.

python docs/make_video_pictures.py
"""

import math
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from skimage import data
from torch import Tensor

DOCS = Path(__file__).parent
sys.path += [str(DOCS.parent), str(DOCS.parent / "benchmarks")]

from video_clips import RATE, KnownClip, frames_of  # noqa: E402

from codeformer_core import load_codeformer, load_detector  # noqa: E402
from codeformer_core.video.placements import placement_of  # noqa: E402
from codeformer_core.video.restore import restore_video  # noqa: E402

COUNT = 50
"""Frames: two seconds."""
SIDE = 224
"""Of a frame in pixels."""
MOMENTS = 5
"""Of the sheet."""
MIDDLE, FACE_SIDE = (223.0, 122.0), 190.0
"""Of her face in the photo, and of the aligned square around it."""


def main() -> None:
    """Restore the clip, write it as an animated WebP and some of its frames as a sheet."""
    clip = camera_path()
    with tempfile.TemporaryDirectory() as folder:
        worse = clip.write_worse(Path(folder, "worse.mp4"), 0)
        result = restore_video(
            worse, Path(folder, "result.mp4"), load_codeformer("builtin"), load_detector("yunet")
        )
        columns = [frames_of(path) for path in (worse, result.path)]
    columns.append(clip.truth)
    write_clip(torch.cat(columns, 2))
    moments = range(0, COUNT, COUNT // MOMENTS)
    rows = [torch.cat([frames[moment] for moment in moments], 1) for frames in columns]
    picture(torch.cat(rows)).save(DOCS / "video_sheet.jpg", quality=82, optimize=True)


def picture(pixels: Tensor) -> Image.Image:
    """(H, W, 3) in 0..1 as a picture of Pillow."""
    return Image.fromarray((pixels.clamp(0, 1) * 255).round().byte().numpy())


def write_clip(frames: Tensor) -> None:
    """Write (B, H, W, 3) frames as the clip."""
    first, *others = [picture(frame) for frame in frames]
    first.save(
        DOCS / "video.webp",
        save_all=True,
        append_images=others,
        duration=1000 // RATE,
        loop=0,
        quality=55,
        method=6,
    )


def camera_path() -> KnownClip:
    """A camera that drifts, turns and comes nearer: there and back once, so that it can repeat."""
    photo = data.astronaut().astype(np.float32) / 255
    frames: list[Tensor] = []
    for phase in np.linspace(0, 2 * np.pi, COUNT, endpoint=False):
        turn = cv2.getRotationMatrix2D(MIDDLE, 5 * math.sin(phase), 1 + 0.08 * math.sin(phase + 1))
        turn[:, 2] += SIDE / 2 - np.array(MIDDLE) + (18 * math.cos(phase), 8 * math.sin(2 * phase))
        frame = cv2.warpAffine(
            photo, turn, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        frames.append(torch.from_numpy(frame.clip(0, 1)))
    scale = math.log(FACE_SIDE / 512)
    somewhere = placement_of((SIDE / 2, SIDE / 2, scale, 0.0), SIDE, SIDE)
    return KnownClip("astronaut", torch.stack(frames), [somewhere] * COUNT, "moved")


if __name__ == "__main__":
    main()
