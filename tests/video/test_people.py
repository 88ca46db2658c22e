"""Each person of a video is restored as one: chosen, guarded, at one fidelity, by references."""

from __future__ import annotations

import pytest
import torch

from codeformer_core.errors import SettingError
from codeformer_core.networks.references import ReferenceConditioning
from codeformer_core.people import Person
from codeformer_core.people.conditioning import Conditioning
from codeformer_core.people.knowing import References, with_conditioning
from codeformer_core.people.refinement import ReferenceRefinement
from codeformer_core.pipeline.automatic import LADDER, Automatic
from codeformer_core.runtime import Runtime
from codeformer_core.video import segments
from codeformer_core.video.engine import FaceSettings
from codeformer_core.video.restore import VideoSettings, restore_video
from codeformer_core.video.steady import Steadiness
from tests.video.clips import Clip, pictures
from tests.video.standins import USUAL, ByColour, Painted, Weighed


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


def test_people_are_chosen_by_number(two_people, white, restored):
    result = restored(two_people, white, VideoSettings(people=(2,)))
    shown = pictures(result.path)
    assert shown[8, 48, 50, 1] < 40 and shown[8, 48, 150, 1] > 250
    with pytest.raises(SettingError, match="no person 3"):
        restored(two_people, white, VideoSettings(people=(3,)))


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


def test_the_automatic_fidelity_is_one_for_a_whole_video(tmp_path, monkeypatch, restored):
    monkeypatch.setattr(segments, "SECONDS", 0.2)
    source, network = Clip().write(tmp_path / "clip.mp4"), Weighed()
    settings = VideoSettings(FaceSettings(Automatic(ByColour())))
    result = restored(source, network, settings)
    tried, used = network.asked[: len(LADDER)], set(network.asked[len(LADDER) :])
    assert tuple(tried) == LADDER
    assert used == {USUAL}
    assert f"fidelity chosen: person 1 {USUAL}" in result.notes


@pytest.mark.parametrize(
    ("people", "chosen", "told"),
    [((), f"person 1 {USUAL}, person 2 {USUAL}", {0.175, 0.2}), ((2,), f"person 2 {USUAL}", {0.2})],
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
    assert len([each for each in network.asked if each != USUAL]) == len(told) * (len(LADDER) - 1)
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
