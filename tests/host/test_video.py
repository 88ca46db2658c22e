"""The nodes for videos, inside the real host."""

from __future__ import annotations

import dataclasses
import io
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import torch

RATE, FRAMES, HEIGHT, WIDTH = 20, 20, 120, 160
MARKER = (240, 20, 240)
"""Colour of what the tests' detector takes for a face."""


def write_clip(path: Path, *, face: bool = True) -> Path:
    """A second of a square that moves to the right, with a tone."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", rate=RATE, options={"crf": "12"})
        pictures.width, pictures.height, pictures.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = container.add_stream("aac", rate=48_000, layout="mono")
        for index in range(FRAMES):
            pixels = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
            if face:
                pixels[40:80, 40 + index : 80 + index] = MARKER
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(pictures.encode())
        tone = 0.3 * np.sin(np.arange(48_000) / 20).astype(np.float32)
        for start in range(0, len(tone), 1024):
            part = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], "fltp", "mono")
            part.sample_rate, part.pts, part.time_base = 48_000, start, Fraction(1, 48_000)
            container.mux(sound.encode(part))
        container.mux(sound.encode())
    return path


def sound_of(path: str) -> list[tuple[int | None, bytes]]:
    with av.open(path) as container:
        (stream,) = container.streams.audio
        return [(each.pts, bytes(each)) for each in container.demux(stream) if each.size]


def pictures_of(path: str) -> np.ndarray:
    with av.open(path) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.fixture
def detector(host: SimpleNamespace, make_faces: Any) -> Any:
    """Takes the marker for a face, 40 px wide."""

    class Marker:
        name = "marker"

        def detect(self, frames: torch.Tensor, **_: Any) -> Any:
            marked = ((frames - torch.tensor(MARKER) / 255).abs() < 0.25).all(-1)
            places = []
            for index, frame in enumerate(marked):
                rows, columns = frame.nonzero(as_tuple=True)
                if len(rows) > 100:
                    places.append(
                        (float(columns.float().mean()), float(rows.float().mean()), index)
                    )
            height, width = frames.shape[1:3]
            return make_faces(*places, frames=len(frames), height=height, width=width)

    return Marker()


@pytest.fixture
def as_video() -> Any:
    from comfy_api.latest import InputImpl

    return InputImpl.VideoFromFile


def restore(host: SimpleNamespace, **inputs: Any) -> tuple[Any, str, torch.Tensor]:
    output = host.nodes["CodeFormerRestoreVideo"].execute(**{"fidelity": 0.5} | inputs)
    return output.args


def leftovers(host: SimpleNamespace) -> list[Path]:
    """What no user should find among the temporary files after a run: working folders."""
    temporary = Path(host.folder_paths.get_temp_directory())
    return [each for each in temporary.glob("*") if each.is_dir()]


@pytest.mark.parametrize("in_memory", [False, True])
def test_video_keeps_frames_rate_duration_and_sound(
    host: SimpleNamespace, tiny: Any, detector: Any, as_video: Any, tmp_path: Path, in_memory: bool
) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    given = as_video(io.BytesIO(clip.read_bytes()) if in_memory else str(clip))
    video, report, people = restore(host, video=given, model=tiny, detector=detector)
    assert video.get_frame_count() == FRAMES
    assert video.get_frame_rate() == RATE
    assert video.get_duration() == given.get_duration()
    result = video.get_stream_source()
    assert sound_of(result) == sound_of(str(clip))
    assert report.startswith(f"{FRAMES} frames, 1 people, 1 tracks, {FRAMES} faces restored")
    before, after = pictures_of(str(clip)).astype(int), pictures_of(result).astype(int)
    assert abs(after[:, 45:75, 60:70] - before[:, 45:75, 60:70]).mean() > 10  # a random model
    assert abs(after[:, :10] - before[:, :10]).mean() < 2
    assert people.shape == (1, 256, 256, 3)
    seen = people[0, 118:138, 118:138].mean((0, 1))
    assert torch.allclose(seen, torch.tensor(MARKER) / 255, atol=0.1)
    assert not leftovers(host)


def test_no_preview_stays_in_the_node(
    host: SimpleNamespace,
    tiny: Any,
    detector: Any,
    as_video: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The frontends would keep the last one beside the people: the panel shows them."""
    shown: list[Any] = []
    monkeypatch.setattr(
        "comfy.utils.ProgressBar.update_absolute", lambda *given: shown.append(given[1:])
    )
    clip = as_video(str(write_clip(tmp_path / "clip.mp4")))
    restore(host, video=clip, model=tiny, detector=detector)
    done, total, _ = shown[-1]
    assert done == total
    assert not any(preview for _, _, preview in shown)


def test_save_video_copies_the_result(
    host: SimpleNamespace, tiny: Any, detector: Any, as_video: Any, tmp_path: Path
) -> None:
    clip = as_video(str(write_clip(tmp_path / "clip.mp4")))
    video, _, _ = restore(host, video=clip, model=tiny, detector=detector)
    video.save_to(str(tmp_path / "saved.mp4"))
    kept, saved = (
        pictures_of(str(each)) for each in (video.get_stream_source(), tmp_path / "saved.mp4")
    )
    assert np.array_equal(kept, saved)


def test_frames_without_a_file(
    host: SimpleNamespace, tiny: Any, detector: Any, tmp_path: Path
) -> None:
    """What Create Video makes."""
    from comfy_api.latest import InputImpl, Types

    clip = write_clip(tmp_path / "clip.mp4")
    images = torch.from_numpy(pictures_of(str(clip))) / 255
    components = Types.VideoComponents(images=images, audio=None, frame_rate=Fraction(RATE))
    video = InputImpl.VideoFromComponents(components)
    restored, report, _ = restore(
        host, video=video, model=tiny, detector=detector, auto_fidelity=True, upscale_by=1.5
    )
    assert restored.get_frame_count() == FRAMES
    assert restored.get_dimensions() == (WIDTH * 1.5, HEIGHT * 1.5)
    assert "fidelity chosen: person 1 " in report


def test_no_face_gives_the_same_file_and_a_gray_square(
    host: SimpleNamespace, tiny: Any, detector: Any, as_video: Any, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", face=False)
    video, report, people = restore(
        host, video=as_video(str(clip)), model=tiny, detector=detector, people="2"
    )
    assert Path(video.get_stream_source()).read_bytes() == clip.read_bytes()
    assert " 0 people" in report
    assert (people == 0.5).all()


def test_a_person_who_is_not_there_is_named(
    host: SimpleNamespace, tiny: Any, detector: Any, as_video: Any, tmp_path: Path
) -> None:
    clip = as_video(str(write_clip(tmp_path / "clip.mp4")))
    with pytest.raises(Exception, match="no person 2 in this video"):
        restore(host, video=clip, model=tiny, detector=detector, people="2")


def test_cancel_stops_and_leaves_nothing(
    host: SimpleNamespace, tiny: Any, detector: Any, as_video: Any, tmp_path: Path
) -> None:
    clip = as_video(str(write_clip(tmp_path / "clip.mp4")))
    host.memory.interrupt_current_processing()
    with pytest.raises(host.memory.InterruptProcessingException):
        restore(host, video=clip, model=tiny, detector=detector)
    assert not leftovers(host)
    assert restore(host, video=clip, model=tiny, detector=detector)[0].get_frame_count() == FRAMES


# ------------------------------------------------------------------------------ track and smooth


def moving(make_faces: Any, *, jitter: float = 0.0, missing: tuple[int, ...] = ()) -> Any:
    """A face on its way to the right, and in the same frames one that stands still."""
    noise = np.random.default_rng(0).normal(0, jitter, (30, 2))
    places = [
        (60 + 2 * index + noise[index, 0], 60 + noise[index, 1], index)
        for index in range(30)
        if index not in missing
    ]
    return make_faces(*places, *((180.0, 180.0, index) for index in range(29)), frames=30)


def track(host: SimpleNamespace, faces: Any) -> tuple[Any, int]:
    frames = torch.rand(1, 240, 240, 3, generator=torch.manual_seed(0)).repeat(30, 1, 1, 1)
    return host.nodes["CodeFormerTrackFaces"].execute(frames, faces, 25.0).args


def test_tracks_are_numbered_and_gaps_filled(host: SimpleNamespace, make_faces: Any) -> None:
    tracked, people = track(host, moving(make_faces, missing=(10, 11)))
    assert people == 2
    for index, frame in enumerate(tracked.frames):
        still = [face for face in frame if face.box.centre[1] > 120]
        (goes,) = [face for face in frame if face.box.centre[1] < 120]
        assert goes.track == 1 if index else goes.track
        assert len(still) == (index < 29)
        assert goes.box.centre[0] == pytest.approx(60 + 2 * index, abs=0.1)
    numbers = {face.box.centre[1] > 120: set() for face in tracked}
    for face in tracked:
        numbers[face.box.centre[1] > 120].add(face.track)
    assert sorted(map(len, numbers.values())) == [1, 1]


def middles(faces: Any) -> np.ndarray:
    """Middle of the moving face's crop in every frame, (n, 2)."""
    first = [next(face for face in frame if face.box.centre[1] < 120) for frame in faces.frames]
    corners = np.array([face.placement.corners() for face in first])
    return corners.mean(1)


@pytest.mark.parametrize("tracked_before", [False, True])
def test_placements_are_steadier_and_follow_the_motion(
    host: SimpleNamespace, make_faces: Any, tracked_before: bool
) -> None:
    faces = moving(make_faces, jitter=0.5)
    given = track(host, faces)[0] if tracked_before else faces
    (steady,) = host.nodes["CodeFormerSmoothFaces"].execute(given, 25.0, 1.0).args
    truth = np.array([(60 + 2 * index, 60) for index in range(30)])
    before, after = (np.diff(middles(each) - truth, axis=0).std() for each in (faces, steady))
    assert after < 0.3 * before
    assert abs(middles(steady) - truth).max() < 0.6


def test_no_strength_changes_nothing(host: SimpleNamespace, make_faces: Any) -> None:
    tracked, _ = track(host, moving(make_faces, jitter=0.5))
    (steady,) = host.nodes["CodeFormerSmoothFaces"].execute(tracked, 25.0, 0.0).args
    assert steady == tracked


def test_nothing_is_smoothed_over_a_jump(host: SimpleNamespace, make_faces: Any) -> None:
    places = [(60.0 if index < 15 else 160.0, 60.0, index) for index in range(30)]
    faces = make_faces(*places, frames=30)
    one = tuple(tuple(dataclasses.replace(f, track=1) for f in frame) for frame in faces.frames)
    faces = dataclasses.replace(faces, frames=one)
    (steady,) = host.nodes["CodeFormerSmoothFaces"].execute(faces, 25.0, 1.0).args
    assert np.allclose(middles(steady), middles(faces), atol=0.01)


def test_no_faces_pass_through(host: SimpleNamespace, make_faces: Any) -> None:
    tracked, people = track(host, make_faces(frames=30))
    (steady,) = host.nodes["CodeFormerSmoothFaces"].execute(tracked, 25.0, 1.0).args
    assert people == steady.count == 0
    assert len(steady) == 30
