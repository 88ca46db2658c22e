"""A batch of frames in memory becomes as steady as a file."""

import numpy as np
import pytest
import torch

from codeformer_core.errors import SettingError
from codeformer_core.pipeline import restore_image
from codeformer_core.pipeline.automatic import LADDER, Automatic
from codeformer_core.runtime import Runtime
from codeformer_core.video.frames import SteadyFrames
from tests.video.clips import scene
from tests.video.standins import USUAL, ByColour, Weighed


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


# ------------------------------------------------------------------------------- windows of a clip


def in_windows(clip, sizes, same, detector, *, carry=True) -> tuple[torch.Tensor, list[set]]:
    """The restored clip, and who was seen in each window."""
    past, windows, people = None, [], []
    for window in clip.split(sizes):
        steady = SteadyFrames(fps=25.0, past=past)
        result = restore_image(window, same, detector, steady=steady)
        past = steady.past if carry else None
        windows.append(result.image)
        people.append({face.track for face in result.faces})
    return torch.cat(windows), people


def changes(pictures: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
    """How much the left face's error changes from frame to frame, (B - 1,)."""
    error = (pictures - clean)[:, 42:54, 25:37]
    return (error[1:] - error[:-1]).square().mean((1, 2, 3)).sqrt()


def test_windows_show_no_jump_where_they_meet(detector, same) -> None:
    clip, clean = frames(32, noise=0.03), frames(32)
    steady, _ = in_windows(clip, 8, same, detector)
    jumps = [changes(pictures, clean) for pictures in (steady, clip)]
    borders = torch.tensor([7, 15, 23])
    inside = torch.tensor([place for place in range(31) if place not in borders])
    assert jumps[0][borders].mean() < jumps[0][inside].mean()
    assert jumps[0].max() < 0.5 * jumps[1].mean()
    apart, _ = in_windows(clip, 8, same, detector, carry=False)
    assert changes(apart, clean)[borders].mean() > 2 * jumps[0][borders].mean()


@pytest.mark.parametrize("sizes", [1, 3, [1, 12, 1]])
def test_windows_of_any_size_keep_who_is_who(sizes, detector, same) -> None:
    clip = frames(14, noise=0.03)
    steady, people = in_windows(clip, sizes, same, detector)
    assert len(steady) == 14
    assert all(seen == {1, 2} for seen in people)
    assert changes(steady, frames(14)).mean() < 0.6 * changes(clip, frames(14)).mean()


def test_the_past_of_other_frames_is_left_aside(detector, same) -> None:
    before, clip = SteadyFrames(), frames(4, noise=0.03)
    restore_image(torch.full((3, 50, 60, 3), 0.4), same, detector, steady=before)
    alone = restore_image(clip, same, detector, steady=SteadyFrames())
    after = restore_image(clip, same, detector, steady=SteadyFrames(past=before.past))
    assert torch.equal(after.image, alone.image)


def test_the_past_does_not_grow(detector, same) -> None:
    past = None
    for window in frames(32).split(4):
        steady = SteadyFrames(past=past)
        restore_image(window, same, detector, steady=steady)
        past = steady.past
    assert past is not None
    assert len(past) <= 0.6 * 24 + 1
    assert [len(each.crops) for each in past.memories.values()] == [4, 4]


def test_the_automatic_fidelity_is_one_for_a_person_in_all_windows(detector) -> None:
    network, past, chosen = Weighed(), None, []
    for window in frames(8).split(4):
        steady, places = SteadyFrames(past=past), []
        runtime = Runtime(lambda done, total, to=places: to.append(done / total))
        automatic = Automatic(ByColour())
        result = restore_image(
            window, network, detector, fidelity=automatic, steady=steady, runtime=runtime
        )
        chosen += result.fidelity
        assert f"fidelity chosen: person 1 {USUAL}, person 2 {USUAL}" in result.warnings
        assert places == sorted(places)
        assert {0.28, 0.36} <= set(places) or past is not None, "choosing tells how far it is"
        past = steady.past
    assert set(chosen) == {USUAL} and len(chosen) == 16
    tried = [each for each in network.asked if each != USUAL]
    assert len(tried) == 2 * (len(LADDER) - 1)  # once for each of two people
