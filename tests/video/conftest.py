"""Fixtures for videos: a detector and restorers that need no weights."""

import pytest
import torch

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
