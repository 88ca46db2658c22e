"""Whole videos: what must stay stays, what must change does, whatever the file."""

from __future__ import annotations

import os
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from codeformer_core.errors import PictureError, SettingError, VideoError
from codeformer_core.networks.references import ReferenceConditioning
from codeformer_core.people import Person
from codeformer_core.people.conditioning import Conditioning
from codeformer_core.people.knowing import References, with_conditioning
from codeformer_core.people.refinement import ReferenceRefinement
from codeformer_core.pipeline.automatic import LADDER, Automatic
from codeformer_core.runtime import Runtime
from codeformer_core.video import segments
from codeformer_core.video.encoding import choose_encoding
from codeformer_core.video.engine import FaceSettings
from codeformer_core.video.reading import inspect_video
from codeformer_core.video.restore import VideoSettings, restore_video
from codeformer_core.video.steady import Steadiness
from tests.video.clips import Clip, duration, packets, pictures, timing
from tests.video.standins import ByColour, Painted, Weighed

LOSSLESS = VideoSettings(codec="ffv1")


def restored(clip, tmp_path, network, detector, settings=None, suffix=None):
    target = tmp_path / f"result{suffix or clip.suffix}"
    return restore_video(clip, target, network, detector, settings)


VARIABLE = [0, 40, 200, 240, 250, 400, 700, 703, 800, 900, 1000, 2000]


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("even.mp4", Clip(audio=True)),
        ("variable.mp4", Clip(audio=True, times=VARIABLE)),
        ("variable.mkv", Clip(audio=True, subtitles=True, times=VARIABLE)),
        ("late.mkv", Clip(times=[900 + 100 * index for index in range(12)])),
        ("hevc.mov", Clip(codec="libx265", options={"x265-params": "log-level=none"}, audio=True)),
        ("vp9.webm", Clip(codec="libvpx-vp9", options={"cpu-used": "8"})),
        ("av1.mp4", Clip(codec="libsvtav1", options={"preset": "12"}, audio=True)),
        ("one_frame.mp4", Clip(count=1)),
    ],
)
def test_times_sound_and_subtitles_stay_as_they_are(name, clip, tmp_path, same, detector):
    source = clip.write(tmp_path / name)
    result = restored(source, tmp_path, same, detector)
    assert result.restored == clip.count
    assert timing(result.path) == timing(source)
    if clip.times is None:  # else the length of the last frame is not known
        assert duration(result.path) == pytest.approx(duration(source), abs=0.041)
    for kind in ("audio", "subtitle"):
        assert packets(result.path, kind) == packets(source, kind)
    assert inspect_video(result.path).codec == inspect_video(source).codec


@pytest.mark.skipif(sys.platform != "linux", reason="threads are listed by Linux")
def test_no_encoder_puts_the_process_before_others(tmp_path, same, detector):
    clip = Clip(codec="libsvtav1", options={"preset": "12"}).write(tmp_path / "clip.mp4")
    restore_video(clip, tmp_path / "result.mp4", same, detector)
    threads = [int(each.name) for each in Path("/proc/self/task").iterdir()]
    assert {os.sched_getscheduler(each) for each in threads} == {os.SCHED_OTHER}


def test_faces_change_and_nothing_else_does(tmp_path, white, detector):
    source = Clip(codec="ffv1", options={}).write(tmp_path / "clip.mkv")
    result = restored(source, tmp_path, white, detector)
    before, after = pictures(source, "yuv444p"), pictures(result.path, "yuv444p")
    changed = (before != after).any(1)
    for index, frame in enumerate(changed):
        rows, columns = frame.nonzero()
        assert abs(columns.mean() - (50 + index)) < 3
        assert np.ptp(rows) < 80
    shown = pictures(result.path)
    assert (shown[5, 48, 55] > 250).all()


def test_a_restorer_that_changes_nothing_gives_the_same_samples(tmp_path, same, detector):
    source = Clip(codec="ffv1", options={}, centre=lambda index: (60, 48)).write(
        tmp_path / "clip.mkv"
    )
    result = restored(source, tmp_path, same, detector)
    before, after = pictures(source).astype(int), pictures(result.path).astype(int)
    inside = (slice(None), slice(38, 58), slice(50, 70))  # away from the marker's hard edge
    assert abs(before[inside] - after[inside]).max() <= 2


@pytest.mark.parametrize(
    ("codec", "pixels"),
    [
        ("ffv1", "yuv444p"), ("ffv1", "yuv422p10le"), ("ffv1", "bgr0"), ("ffv1", "gray"),
        ("ffv1", "bgra"), ("ffv1", "yuv420p16le"), ("qtrle", "rgb24"), ("libx264", "yuvj420p"),
        ("libx264", "nv12"), ("mpeg4", "yuv420p"), ("libx265", "yuv420p10le"),
    ],
)  # fmt: skip
def test_every_pixel_format_keeps_its_colours(codec, pixels, tmp_path, white, detector):
    clip = Clip(codec=codec, pixels=pixels, options={}, height=90, width=154)
    source = clip.write(tmp_path / ("clip.mov" if codec == "qtrle" else "clip.mkv"))
    result = restored(source, tmp_path, white, detector)
    before, after = pictures(source).astype(int), pictures(result.path).astype(int)
    outside = np.ones(before.shape[1:3], bool)
    outside[:, 5:110] = False
    assert abs(before - after)[:, outside].mean() < 2.5
    if pixels != "gray":
        assert after[5, 48, 55].min() > 230


def test_odd_sizes_are_kept(tmp_path, white, detector):
    source = Clip(codec="ffv1", options={}, height=75, width=121).write(tmp_path / "clip.mkv")
    result = restored(source, tmp_path, white, detector)
    assert pictures(result.path).shape == (12, 75, 121, 3)


def test_ten_bits_of_high_dynamic_range_keep_their_tags(tmp_path, same, detector):
    def tag(stream):
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = 9, 16, 9
        context.color_range = 1

    clip = Clip(
        codec="libx265", pixels="yuv420p10le", change=tag, options={"x265-params": "log-level=none"}
    )
    source = clip.write(tmp_path / "clip.mp4")
    result = restored(source, tmp_path, same, detector)
    before, after = inspect_video(source), inspect_video(result.path)
    assert before.colour.transfer == 16
    assert (after.colour, after.format) == (before.colour, before.format)


def test_opacity_of_vp9_is_kept(tmp_path, white, detector):
    clip = Clip(codec="libvpx-vp9", pixels="yuva420p", options={"crf": "10", "auto-alt-ref": "0"})
    clip.change = lambda stream: stream.metadata.update({"alpha_mode": "1"})
    source = clip.write(tmp_path / "clip.webm")
    assert inspect_video(source).format.alpha
    result = restored(source, tmp_path, white, detector)
    assert not any("transparency" in note for note in result.notes)
    before = pictures(source, "rgba", "libvpx-vp9")[..., 3].astype(int)
    after = pictures(result.path, "rgba", "libvpx-vp9")[..., 3].astype(int)
    assert abs(before - after).mean() < 2


def test_what_a_codec_cannot_hold_is_said(tmp_path):
    clip = Clip(codec="ffv1", pixels="yuva444p10le", options={})
    information = inspect_video(clip.write(tmp_path / "clip.mkv"))
    lost = choose_encoding(information, "result.mkv", codec="h264").lost
    assert any("transparency" in words for words in lost)
    assert choose_encoding(information, "result.mkv").lost == ()


def test_interlaced_sources_are_said(tmp_path):
    clip = Clip(options={"crf": "12", "x264-params": "tff=1"}).write(tmp_path / "clip.mp4")
    (said,) = choose_encoding(inspect_video(clip), "result.mp4").lost
    assert "deinterlace" in said


@pytest.mark.skipif(
    not hasattr(av.VideoStream, "set_display_rotation"), reason="this PyAV writes no rotation"
)
@pytest.mark.parametrize("degrees", [90, -90, 180])
def test_rotated_clips_come_out_upright(degrees, tmp_path, white, detector):
    def turn(stream):
        stream.set_display_rotation(degrees)

    clip = Clip(change=turn, centre=lambda index: (40, 30))
    source = clip.write(tmp_path / "clip.mp4")
    result = restored(source, tmp_path, white, detector)
    stored, shown = pictures(source), pictures(result.path)
    upright = np.rot90(stored, round(degrees / 90), (1, 2)).astype(int)
    assert shown.shape == upright.shape
    found = inspect_video(result.path)
    assert found.orientation.upright and found.height == upright.shape[1]
    marked = (abs(upright[6] - (240, 20, 240)) < 60).all(-1)
    assert (shown[6][marked] > 200).all(-1).mean() > 0.6


def test_pixels_that_are_not_square_are_respected(tmp_path, white, detector):
    """The marker is square as displayed, so the crop must be twice as high as wide in samples."""

    def squeeze(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(2)

    def frame(index):
        picture = Clip(width=160, centre=lambda _: (80, 48)).picture(index)
        return picture[:, ::2]

    clip = Clip(width=80, paint=frame, change=squeeze, options={"crf": "5"})
    source = clip.write(tmp_path / "clip.mkv")
    result = restored(source, tmp_path, white, detector, VideoSettings(quality=5))
    before, after = pictures(source).astype(int), pictures(result.path).astype(int)
    changed = abs(before - after)[5].max(-1) > 12
    rows, columns = changed.nonzero()
    face = 176 / 206  # width to height of what is pasted
    assert 2 * np.ptp(columns) == pytest.approx(face * np.ptp(rows), rel=0.15)


def test_lost_pixel_shapes_are_said(tmp_path):
    def squeeze(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(2)

    information = inspect_video(Clip(change=squeeze).write(tmp_path / "clip.mkv"))
    assert choose_encoding(information, "result.mkv").lost == ()
    assert "square" in choose_encoding(information, "result.mkv", codec="vp9").lost[0]


def test_a_clip_without_a_face_is_copied(tmp_path, white, detector):
    source = Clip(centre=lambda index: None, audio=True).write(tmp_path / "clip.mp4")
    result = restored(source, tmp_path, white, detector)
    assert result.tracks == 0 and white.calls == 0
    assert result.path.read_bytes() == source.read_bytes()


def test_no_face_is_painted_where_there_is_none(tmp_path, white, detector):
    """A cut to an empty scene: no frame after it may change."""

    def frame(index):
        if index < 8:
            return Clip().picture(index)
        return 255 - Clip(centre=lambda _: None).picture(index)

    source = Clip(count=16, paint=frame, codec="ffv1", options={}).write(tmp_path / "clip.mkv")
    result = restored(source, tmp_path, white, detector)
    before, after = pictures(source, "yuv444p"), pictures(result.path, "yuv444p")
    changed = (before != after).any((1, 2, 3))
    assert changed[:8].all() and not changed[8:].any()


def test_a_lost_face_fades_out(tmp_path, white, detector):
    clip = Clip(count=40, side=20, codec="ffv1", options={})
    clip.centre = lambda index: (60, 48) if index < 20 else None
    source = clip.write(tmp_path / "clip.mkv")
    result = restored(source, tmp_path, white, detector)
    green = pictures(result.path)[:, 48, 60, 1].astype(int)  # 20 in the marker, 255 restored
    assert green[12] > 250 and (np.diff(green[14:20]) < 0).all()
    assert abs(pictures(result.path)[20:].astype(int) - pictures(source)[20:]).max() == 0


def test_sound_alone_is_refused_with_a_word(tmp_path, same, detector):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        frame.sample_rate, frame.pts = 48_000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match="no moving pictures"):
        restored(path, tmp_path, same, detector)


@pytest.mark.parametrize("content", [b"", b"no video at all", bytes(5000)])
def test_files_that_are_no_videos_are_refused_with_their_name(content, tmp_path, same, detector):
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"broken\.mp4"):
        restored(path, tmp_path, same, detector)


def test_a_file_that_is_cut_short_gives_what_there_is(tmp_path, white, detector):
    clip = Clip(count=40, options={"crf": "5", "g": "5"})
    source = clip.write(tmp_path / "clip.mkv")
    content = source.read_bytes()
    source.write_bytes(content[: len(content) // 2])
    result = restored(source, tmp_path, white, detector)
    assert 5 < result.frames < 40
    assert pictures(result.path).shape[0] == result.frames


def test_a_damaged_frame_is_named_and_the_others_are_restored(tmp_path, white, detector):
    clip = Clip(count=30, options={"crf": "5", "g": "1"})
    source = clip.write(tmp_path / "clip.mkv")
    content = bytearray(source.read_bytes())
    place = content.find(packets(source, "video")[0][15][2])
    content[place + 4 : place + 400] = bytes(396)
    source.write_bytes(content)
    result = restored(source, tmp_path, white, detector)
    assert result.frames >= 29
    assert any("damaged" in note and "0.6" in note for note in result.notes), result.notes


def test_an_interrupted_run_goes_on_to_the_same_file(tmp_path, detector, monkeypatch):
    monkeypatch.setattr(segments, "SECONDS", 0.4)
    source = Clip(count=48, audio=True).write(tmp_path / "clip.mp4")
    whole = restore_video(source, tmp_path / "whole.mp4", Painted(torch.neg), detector)
    target = tmp_path / "result.mp4"
    tired = Painted(torch.neg)

    def stop(crops):
        if tired.calls > 30:
            raise KeyboardInterrupt
        return torch.neg(crops)

    tired.change = stop
    with pytest.raises(KeyboardInterrupt):
        restore_video(source, target, tired, detector)
    assert not target.exists()
    fresh = Painted(torch.neg)
    result = restore_video(source, target, fresh, detector, resume=True)
    assert 0 < fresh.calls < 48
    assert result.path.read_bytes() == whole.path.read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "clip.mp4", "result.mp4", "whole.mp4"
    ]  # fmt: skip


def test_faces_that_failed_before_an_interruption_are_told_at_the_end(
    tmp_path, detector, monkeypatch
):
    monkeypatch.setattr(segments, "SECONDS", 0.4)
    source, target = Clip(count=24).write(tmp_path / "clip.mp4"), tmp_path / "result.mp4"
    network = Painted(torch.neg)

    def fail_and_stop(crops):
        if network.calls > 20:
            raise KeyboardInterrupt
        return crops * float("nan")

    network.change = fail_and_stop
    with pytest.raises(KeyboardInterrupt):
        restore_video(source, target, network, detector)
    network.change = torch.neg
    result = restore_video(source, target, network, detector, resume=True)
    assert any("10 faces left as in the source" in note for note in result.notes), result.notes


def test_other_settings_do_not_go_on_with_old_segments(tmp_path, detector, monkeypatch):
    monkeypatch.setattr(segments, "SECONDS", 0.4)
    source = Clip(count=24).write(tmp_path / "clip.mp4")
    target, network = tmp_path / "result.mp4", Painted(torch.neg)

    def stop(crops):
        if network.calls > 20:
            raise KeyboardInterrupt
        return torch.neg(crops)

    network.change = stop
    with pytest.raises(KeyboardInterrupt):
        restore_video(source, target, network, detector)
    network.change, network.calls = torch.neg, 0
    restore_video(source, target, network, detector, VideoSettings(quality=30), resume=True)
    assert network.calls >= 24


@pytest.fixture
def two_people(tmp_path):
    """A clip of two, the left one for longer."""

    def two(index):
        picture = Clip(width=200, centre=lambda _: (50, 48)).picture(index)
        if index < 20:
            picture[:, 110:] = Clip(width=200, centre=lambda _: (150, 48)).picture(index)[:, 110:]
        return picture

    clip = Clip(count=30, width=200, paint=two, codec="ffv1", options={})
    return clip.write(tmp_path / "clip.mkv")


def test_people_are_chosen_by_number(two_people, tmp_path, white, detector):
    result = restored(two_people, tmp_path, white, detector, VideoSettings(people=(2,)))
    shown = pictures(result.path)
    assert shown[8, 48, 50, 1] < 40 and shown[8, 48, 150, 1] > 250
    with pytest.raises(SettingError, match="no person 3"):
        restored(two_people, tmp_path, white, detector, VideoSettings(people=(3,)))


def test_gray_faces_stay_gray(tmp_path, detector):
    red = Painted(lambda crops: torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1).expand_as(crops))
    clip = Clip(codec="ffv1", options={})
    source = clip.write(tmp_path / "clip.mkv")
    coloured = restored(source, tmp_path, red, detector)
    assert pictures(coloured.path)[5, 48, 55].tolist() == pytest.approx([255, 0, 0], abs=4)


def test_faces_without_finite_pixels_are_left_and_named(tmp_path, detector):
    broken = Painted(lambda crops: crops * float("nan"))
    source = Clip(codec="ffv1", options={}).write(tmp_path / "clip.mkv")
    result = restored(source, tmp_path, broken, detector)
    assert any("12 faces left as in the source" in note for note in result.notes)
    assert (pictures(result.path) == pictures(source)).all()


class Forgetful(Painted):
    """Turns a face black now and then, unless it must stay close to its input."""

    def forward(self, crops, fidelity=0.5, adain=None, /):
        self.calls += len(crops)
        crops = crops.clone()
        if fidelity < 0.6 and self.calls > 8:
            crops[-1] = -1
        return crops


@pytest.mark.parametrize("guarded", [False, True])
def test_a_face_that_leaves_its_person_is_restored_closer_to_its_frame(guarded, tmp_path, detector):
    clip = Clip(codec="ffv1", options={}, count=20, centre=lambda index: (60, 48))
    source = clip.write(tmp_path / "clip.mkv")
    steady = FaceSettings(steadiness=Steadiness(1.0, 0.0, 0.0))
    result = restore_video(
        source,
        tmp_path / "result.mkv",
        Forgetful(lambda crops: crops),
        detector,
        VideoSettings(steady),
        identity=ByColour() if guarded else None,
    )
    dark = (pictures(result.path)[:, 48, 60] < 60).all(-1)
    assert dark.any() != guarded
    assert any("look like" in note for note in result.notes) == guarded


def test_the_automatic_fidelity_is_one_for_a_whole_video(tmp_path, detector, monkeypatch):
    monkeypatch.setattr(segments, "SECONDS", 0.2)
    source, network = Clip().write(tmp_path / "clip.mp4"), Weighed()
    settings = VideoSettings(FaceSettings(Automatic(ByColour())))
    result = restored(source, tmp_path, network, detector, settings)
    tried, used = network.asked[: len(LADDER)], set(network.asked[len(LADDER) :])
    assert tuple(tried) == LADDER
    assert used == {0.8}  # the usual one, where a face keeps its person at all of them
    assert "fidelity chosen: person 1 0.8" in result.notes


@pytest.mark.parametrize(
    ("people", "chosen", "told"),
    [((), "person 1 0.8, person 2 0.8", {0.175, 0.2}), ((2,), "person 2 0.8", {0.2})],
)
def test_fidelities_are_chosen_for_those_who_are_restored_and_told(
    people, chosen, told, two_people, tmp_path, detector
):
    places: list[float] = []
    network, faces = Weighed(), FaceSettings(Automatic(ByColour()))
    result = restore_video(
        two_people,
        tmp_path / "result.mkv",
        network,
        detector,
        VideoSettings(faces, people),
        runtime=Runtime(lambda done, total: places.append(done / total)),
    )
    assert f"fidelity chosen: {chosen}" in result.notes
    assert len([each for each in network.asked if each != 0.8]) == len(told) * (len(LADDER) - 1)
    assert {place for place in places if 0.15 < place <= 0.2} == told
    assert places == sorted(places), "progress only rises"


@pytest.mark.parametrize(
    ("people", "whom", "note"),
    [
        ((), {0}, "without the references: no person surely looks like"),
        ((2,), {1}, "with the references: person 2, the only one, although"),
    ],
)
def test_whom_references_show_is_settled_for_a_whole_video(
    people, whom, note, two_people, tmp_path, detector, tiny_codeformer, monkeypatch
):
    seen = set()

    def drawn(_, numbers):
        seen.update(numbers.tolist())
        return {}

    monkeypatch.setattr(ReferenceRefinement, "of", drawn)
    network = ReferenceConditioning.of(tiny_codeformer.config, (16,)).requires_grad_(False)
    stranger = Person(torch.zeros(1, 8, 8, 3), torch.full((1, 128), -1.0))
    references = References((stranger,), ByColour())
    conditioning = Conditioning.beside(tiny_codeformer, network)
    restorer = with_conditioning(tiny_codeformer, conditioning, references)
    result = restore_video(
        two_people,
        tmp_path / "result.mkv",
        restorer,
        detector,
        VideoSettings(people=people),
        identity=ByColour(),
    )
    assert seen == whom
    assert any(note in each for each in result.notes)


@pytest.mark.parametrize("quality", [-1, 52])
def test_a_quality_out_of_range_is_refused(quality, tmp_path, same, detector):
    source = Clip(count=2).write(tmp_path / "clip.mp4")
    with pytest.raises(SettingError, match="quality"):
        restored(source, tmp_path, same, detector, VideoSettings(quality=quality))


def test_a_missing_folder_is_named(tmp_path, same, detector):
    source = Clip(count=2).write(tmp_path / "clip.mp4")
    (tmp_path / "file").touch()
    with pytest.raises((PictureError, VideoError), match="file"):
        restore_video(source, tmp_path / "file" / "result.mp4", same, detector)


@pytest.mark.parametrize(("search_size", "seen"), [(None, (96, 160)), (48, (48, 80))])
def test_frames_are_searched_at_the_size_asked_for(search_size, seen, tmp_path, same, detector):
    class Recorded(type(detector)):
        def detect(self, frames, *, search_size=None, **settings):
            self.seen = (*frames.shape[1:3], search_size)
            return super().detect(frames, **settings)

    source = Clip(96, 160, count=2).write(tmp_path / "clip.mkv")
    detector = Recorded()
    restored(source, tmp_path, same, detector, VideoSettings(search_size=search_size))
    assert detector.seen == (*seen, search_size)
