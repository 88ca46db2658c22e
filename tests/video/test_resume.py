"""A run that was cut off goes on to the same file."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from codeformer_core.faces import FaceParser
from codeformer_core.jobs.gather import Gathering
from codeformer_core.metrics import IdentityNetwork
from codeformer_core.networks import CodeFormer
from codeformer_core.people.recogniser import Recogniser
from codeformer_core.people.restorer import PeopleRestorer
from codeformer_core.video import segments
from codeformer_core.video.encoding import choose_encoding
from codeformer_core.video.reading import inspect_video
from codeformer_core.video.restore import VideoSettings, _digest, restore_video
from tests.video.clips import Clip
from tests.video.standins import Painted


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


def test_what_no_weight_tells_of_a_network_counts(tmp_path, tiny_codeformer):
    source = Clip(count=4).write(tmp_path / "clip.mp4")
    information, encoding = inspect_video(source), choose_encoding(inspect_video(source), source)
    settings = VideoSettings()
    warm = CodeFormer(replace(tiny_codeformer.config, code_temperature=0.5))
    warm.load_state_dict(tiny_codeformer.state_dict())
    recogniser = Recogniser(IdentityNetwork())
    networks = [
        tiny_codeformer,
        warm,
        PeopleRestorer(warm, recogniser),
        PeopleRestorer(warm, replace(recogniser, sureness=0.2)),
    ]
    digests = [_digest(information, encoding, settings, each, ()) for each in networks]
    assert len(set(digests)) == 4
    assert digests[0] == _digest(information, encoding, settings, tiny_codeformer, ())
    gathering = Gathering(tiny_codeformer)  # a cluster may go on with what one process began
    assert digests[0] == _digest(information, encoding, settings, gathering, ())


def test_weights_of_helpers_count(tmp_path, tiny_codeformer):
    source = Clip(count=4).write(tmp_path / "clip.mp4")
    information, encoding = inspect_video(source), choose_encoding(inspect_video(source), source)

    parsers = [FaceParser(torch.nn.Conv2d(3, 3, 3), "parsenet") for _ in range(2)]
    digests = {
        _digest(information, encoding, VideoSettings(), tiny_codeformer, (helper,))
        for helper in (None, *parsers)
    }
    assert len(digests) == 3
