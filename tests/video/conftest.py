"""Fixtures for videos: a detector and restorers that need no weights."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from codeformer_core.video.restore import RestoredVideo, VideoSettings, restore_video
from tests.video.standins import MarkerDetector, Painted


@pytest.fixture
def detector() -> MarkerDetector:
    """Finds the markers of test clips."""
    return MarkerDetector()


@pytest.fixture
def same() -> Painted:
    """Restores nothing."""
    return Painted(lambda crops: crops)


@pytest.fixture
def white() -> Painted:
    """Makes every face white."""
    return Painted(torch.ones_like)


@pytest.fixture
def restored(tmp_path: Path, detector: MarkerDetector) -> Callable[..., RestoredVideo]:
    """Restore a clip by a network into a file of the same kind."""

    def restored(clip: Path, network: Painted, settings: VideoSettings | None = None):
        target = tmp_path / f"result{clip.suffix}"
        return restore_video(clip, target, network, detector, settings)

    return restored
