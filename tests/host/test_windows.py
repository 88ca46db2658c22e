"""A video that a batch manager sends through Restore in windows."""

from __future__ import annotations

import gc
import time
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from skimage import data

COUNT, WINDOW = 8, 3


def moving_face() -> torch.Tensor:
    """(COUNT, 160, 160, 3): the astronaut drifts, with noise of its own in every frame."""
    photo, random = data.astronaut()[:256, 96:352] / 255, np.random.default_rng(0)
    frames = []
    for index in range(COUNT):
        shift = np.float32([[0.6, 0, index], [0, 0.6, index / 2]])
        frames.append(cv2.warpAffine(photo, shift, (160, 160)))
    noisy = np.stack(frames) + random.normal(0, 0.03, (COUNT, 160, 160, 3))
    return torch.from_numpy(noisy).float().clamp(0, 1)


def prompt(frames: Path, target: Path, *, connected: bool) -> dict[str, Any]:
    manager: dict[str, Any] = {"meta_batch": ["1", 0]}
    restoring = {"image": ["2", 0], "model": ["3", 0], "fidelity": 0.5, "video_frames": True}
    return {
        "1": {"class_type": "VHS_BatchManager", "inputs": {"frames_per_batch": WINDOW}},
        "2": {"class_type": "TestLoad", "inputs": {"path": str(frames), **manager}},
        "3": {"class_type": "CodeFormerLoader", "inputs": {"file": "tiny.safetensors"}},
        "4": {
            "class_type": "CodeFormerRestoreImage",
            "inputs": restoring | (manager if connected else {}),
        },
        "5": {
            "class_type": "TestSave",
            "inputs": {"images": ["4", 0], "path": str(target), **manager},
        },
    }


def run(server: Any, frames: Path, target: Path, *, connected: bool = True) -> torch.Tensor:
    """All frames, once the last window has gone through."""
    first = server.post(prompt(frames, target, connected=connected))
    assert server.wait(first)["status"]["status_str"] == "success"
    end = time.monotonic() + 60
    while not target.exists():
        assert time.monotonic() < end, server.tail()
        time.sleep(0.05)
    return torch.load(target)


def in_the_library(frames: torch.Tensor, model: Path, *, connected: bool) -> torch.Tensor:
    """The same windows, each given the past of the one before."""
    from codeformer_core import load_codeformer, load_detector
    from codeformer_core.metrics import IdentityNetwork
    from codeformer_core.pipeline import restore_image
    from codeformer_core.video.frames import SteadyFrames

    network, detector, past, windows = load_codeformer(model), load_detector("yunet"), None, []
    for window in frames.split(WINDOW):
        steady = SteadyFrames(identity=IdentityNetwork(), past=past if connected else None)
        windows.append(restore_image(window, network, detector, steady=steady).image)
        past = steady.past
    return torch.cat(windows)


def test_every_window_goes_on_where_the_last_one_ended(server: Any, tmp_path: Path) -> None:
    frames, path = moving_face(), tmp_path / "frames.pt"
    torch.save(frames, path)
    model = server.base / "models" / "facerestore_models" / "tiny.safetensors"
    wanted, apart = (in_the_library(frames, model, connected=each) for each in (True, False))
    assert (wanted - apart)[WINDOW:].abs().max() > 0.02
    # Twice: a new run begins anew.
    for name in ("first.pt", "second.pt"):
        torch.testing.assert_close(run(server, path, tmp_path / name), wanted, atol=2e-3, rtol=0)
    alone = run(server, path, tmp_path / "apart.pt", connected=False)
    torch.testing.assert_close(alone, apart, atol=2e-3, rtol=0)


class Manager(SimpleNamespace):
    """A batch manager in a run of several windows."""

    __hash__ = object.__hash__


def counted(requeue: int) -> dict[str, Any]:
    return {"1": {"inputs": {"requeue": requeue} if requeue else {}}}


def test_what_a_window_leaves_is_for_the_next_of_its_run(host: SimpleNamespace) -> None:
    recall, leave = host.adapter.recall, host.adapter.leave
    manager = Manager(unique_id="1", has_closed_inputs=False)
    assert recall(manager, "4", counted(0)) is None
    leave(manager, "4", "first")
    assert recall(manager, "9", counted(1)) is None
    assert recall(manager, "4", counted(1)) == "first"
    leave(manager, "4", "second")
    assert recall(manager, "4", counted(0)) is None  # a new run


@pytest.mark.parametrize("ends", ["the last window", "the manager"])
def test_nothing_waits_for_ever(host: SimpleNamespace, ends: str) -> None:
    manager = Manager(unique_id="1", has_closed_inputs=ends == "the last window")
    known = Manager()
    waiting = weakref.ref(known)
    host.adapter.leave(manager, "4", known)
    if ends == "the manager":
        del manager
    del known
    gc.collect()
    assert waiting() is None
