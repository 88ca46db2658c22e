"""A batch of frames in memory becomes as steady as a file."""

import numpy as np
import pytest
import torch

from codeformer_core.errors import SettingError
from codeformer_core.pipeline import restore_image
from codeformer_core.runtime import Runtime
from codeformer_core.video.frames import SteadyFrames
from tests.video.clips import scene


def frames(count: int = 14, noise: float = 0.0) -> torch.Tensor:
    """Two faces that move apart, (count, 96, 160, 3)."""
    pictures = []
    for index in range(count):
        picture = scene(96, 160, (40 - index / 2, 48), 36)
        right = scene(96, 160, (110 + index / 2, 50), 36)
        picture[:, 80:] = right[:, 80:]
        random = np.random.default_rng(index)
        pictures.append(picture / 255 + noise * random.normal(size=picture.shape))
    return torch.from_numpy(np.stack(pictures)).float().clamp(0, 1)


def test_without_stability_every_frame_is_restored_by_itself(detector, same) -> None:
    clip = frames()
    alone = restore_image(clip, same, detector)
    steady = restore_image(clip, same, detector, steady=SteadyFrames(0.0))
    assert steady.faces.count == alone.faces.count == 28
    torch.testing.assert_close(steady.image, alone.image, atol=1e-5, rtol=0)


@pytest.mark.parametrize("batch_size", [1, 3, 28])
def test_noise_is_averaged_away_whatever_the_batch(batch_size: int, detector, same) -> None:
    clip, clean = frames(noise=0.03), frames()
    runtime = Runtime(batch_size=batch_size)
    steady = restore_image(clip, same, detector, steady=SteadyFrames(), runtime=runtime)
    middle = slice(None), slice(44, 54), slice(30, 40)  # of the left face, in all frames
    before, after = ((each - clean)[middle].std() for each in (clip, steady.image))
    assert after < 0.7 * before
    assert {face.track for face in steady.faces} == {1, 2}


def test_a_face_that_fails_is_left_alone_and_named(detector, same) -> None:
    def fail_once(crops: torch.Tensor) -> torch.Tensor:
        first, same.change = same.calls == 1, lambda crops: crops
        return crops * float("nan") if first else crops

    same.change = fail_once
    runtime = Runtime(batch_size=1)
    steady = restore_image(frames(6), same, detector, steady=SteadyFrames(), runtime=runtime)
    assert steady.restored == 11
    assert any("face 1 of 12" in note for note in steady.warnings)


def test_memory_that_runs_out_loses_no_frame(detector, same) -> None:
    def large_batches_fail(crops: torch.Tensor) -> torch.Tensor:
        if len(crops) > 2:
            raise torch.cuda.OutOfMemoryError
        return crops

    clip = frames(noise=0.03)
    wanted = restore_image(clip, same, detector, steady=SteadyFrames())
    same.change = large_batches_fail
    got = restore_image(clip, same, detector, steady=SteadyFrames(), runtime=Runtime(batch_size=8))
    torch.testing.assert_close(got.image, wanted.image, atol=1e-5, rtol=0)


def test_frames_without_faces_stay_as_they_are(detector, same) -> None:
    clip = torch.full((3, 96, 128, 3), 0.4)
    assert torch.equal(restore_image(clip, same, detector, steady=SteadyFrames()).image, clip)


def test_a_wrong_rate_is_refused() -> None:
    with pytest.raises(SettingError, match="fps"):
        SteadyFrames(fps=0.0)
