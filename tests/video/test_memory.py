"""A film takes the memory of a short clip."""

import multiprocessing
import sys
from pathlib import Path

import pytest

from codeformer_core.video.restore import restore_video
from tests.video.clips import Clip
from tests.video.standins import MarkerDetector, Painted

RATE = 25


def peak_mebibytes(source: Path, target: Path) -> float:
    """Restore a video in this process and say how much memory it took at most."""
    result = restore_video(source, target, Painted(lambda crops: crops), MarkerDetector())
    assert result.restored == result.frames
    status = Path("/proc/self/status").read_text()  # `getrusage` counts the parent's peak too
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


@pytest.mark.extended
@pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are read as Linux tells them")
def test_ten_minutes_take_the_memory_of_one(tmp_path: Path) -> None:
    peaks = []
    for seconds in (60, 600):
        clip = Clip(
            height=240,
            width=320,
            count=seconds * RATE,
            rate=RATE,
            centre=lambda index: (60 + index % 200, 120),
            audio=True,
        )
        source = clip.write(tmp_path / f"{seconds}.mp4")
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            peaks.append(pool.apply(peak_mebibytes, (source, tmp_path / f"{seconds}_out.mp4")))
    print(f"{peaks[0]:.0f} MiB for one minute, {peaks[1]:.0f} MiB for ten")
    assert peaks[1] < 1.1 * peaks[0]
