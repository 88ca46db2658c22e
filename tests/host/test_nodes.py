"""What the nodes do with pictures, called as the host calls them, without a server."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from skimage import data


@pytest.fixture(scope="module")
def portrait() -> torch.Tensor:
    """(256, 256, 3): the astronaut's head and shoulders."""
    return torch.from_numpy(data.astronaut()[:256, 96:352].copy()).float() / 255


@pytest.fixture(scope="module")
def frames(portrait: torch.Tensor) -> torch.Tensor:
    """Three frames with one face, none, and one in another place."""
    empty = torch.full_like(portrait, 0.4)
    return torch.stack([portrait, empty, portrait.roll(20, dims=1)])


def run(host: SimpleNamespace, node: str, **inputs: Any) -> Any:
    """Outputs of a node's `execute`, with the defaults the host would fill in."""
    with torch.inference_mode():
        return host.nodes[node].execute(**inputs)


@pytest.fixture(scope="module")
def found(host: SimpleNamespace, frames: torch.Tensor) -> Any:
    """Detect Faces on the three frames."""
    return run(host, "CodeFormerDetectFaces", image=frames, min_size=40)


def test_detection_counts_faces_frame_by_frame(found: Any) -> None:
    faces, _, boxes, count = found.args
    assert [len(frame) for frame in faces.frames] == [1, 0, 1]
    assert [len(frame) for frame in boxes] == [1, 0, 1]
    assert count == 2


def test_boxes_and_mask_agree(found: Any) -> None:
    _, mask, boxes, _ = found.args
    box = boxes[0][0]
    assert mask.shape == (3, 256, 256)
    assert mask[0].sum() == pytest.approx(box["width"] * box["height"], rel=0.05)
    assert mask[0, round(box["y"] + box["height"] / 2), round(box["x"] + box["width"] / 2)] == 1
    assert mask[1].sum() == 0
    assert 0.5 < box["score"] <= 1
    assert box["label"] == "face"


def test_preview_is_a_picture_for_every_frame(found: Any) -> None:
    assert len(found.ui["images"]) == 3


def test_batch_preview_is_limited(host: SimpleNamespace) -> None:
    many = torch.zeros(12, 8, 8, 3)
    result = run(host, "CodeFormerDetectFaces", image=many)
    assert len(result.args[0]) == 12
    assert len(result.ui["images"]) == 8


def test_blocks_do_what_the_single_node_does(
    host: SimpleNamespace, tiny: Any, frames: torch.Tensor, found: Any
) -> None:
    faces = found.args[0]
    (crops,) = run(host, "CodeFormerCropFaces", image=frames, faces=faces, model=tiny).args
    (restored,) = run(host, "CodeFormerRestoreFaces", crops=crops, fidelity=0.3, model=tiny).args
    pasted, mask = run(host, "CodeFormerPasteFaces", image=frames, crops=restored, faces=faces).args
    whole = run(
        host, "CodeFormerRestoreImage", image=frames, fidelity=0.3, model=tiny, min_size=40
    ).args
    assert crops.shape == (2, 64, 64, 3)
    torch.testing.assert_close(pasted, whole[0])
    torch.testing.assert_close(mask, whole[1])
    assert whole[2] == faces


TAKING_CROPS: list[dict[str, Any]] = [
    {"node": "CodeFormerRestoreFaces", "fidelity": 0.5},
    {"node": "CodeFormerEncodeFaces"},
]
VARIANTS: list[dict[str, Any]] = [
    {"node": "CodeFormerInpaintFaces", "fidelity": 1.0, "mask": torch.ones(3, 256, 256)},
    {"node": "CodeFormerColorizeFaces", "fidelity": 0.0},
]


def softened(host: SimpleNamespace, caplog: pytest.LogCaptureFixture, node: str, **inputs: Any):
    """First output of a node, and what it said about faces larger than the model."""
    caplog.clear()
    output = run(host, node, **inputs)
    assert output.ui["codeformer_notes"] == [record.message for record in caplog.records]
    said = [note for note in output.ui["codeformer_notes"] if "may get softer" in note]
    return output.args[0], said


def test_faces_larger_than_the_model_are_said_once(
    host: SimpleNamespace,
    tiny: Any,
    frames: torch.Tensor,
    found: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pictures = {"image": frames, "faces": found.args[0]}
    crops, said = softened(host, caplog, "CodeFormerCropFaces", **pictures, model=tiny)
    assert len(said) == 1
    assert "2 of 2 faces are larger than the model's 64 px" in said[0]
    assert "codeformer.pth" in said[0]
    for node in TAKING_CROPS:
        assert softened(host, caplog, **node, crops=crops, model=tiny)[1] == []
    for node in VARIANTS:
        assert softened(host, caplog, **node, **pictures, model=tiny)[1] == said


def test_crops_larger_than_the_model_are_said_where_it_shrinks_them(
    host: SimpleNamespace,
    tiny: Any,
    frames: torch.Tensor,
    found: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pictures = {"image": frames, "faces": found.args[0]}
    crops, said = softened(host, caplog, "CodeFormerCropFaces", **pictures, size=512)
    assert said == []
    for node in TAKING_CROPS:
        said = softened(host, caplog, **node, crops=crops, model=tiny)[1]
        assert len(said) == 1
        assert "2 of 2 faces are larger than the model's 64 px (up to 512 px)" in said[0]
    few = crops[:, :80, :80]
    assert softened(host, caplog, "CodeFormerEncodeFaces", crops=few, model=tiny)[1] == []


def test_pixels_outside_of_the_mask_are_untouched(
    host: SimpleNamespace, tiny: Any, frames: torch.Tensor, found: Any
) -> None:
    image, mask, _ = run(
        host, "CodeFormerRestoreImage", image=frames, fidelity=0.5, model=tiny, faces=found.args[0]
    ).args
    assert 0 < mask[0].mean() < 0.9
    assert torch.equal(image[mask == 0], frames[mask == 0])
    assert not torch.equal(image[0], frames[0])
    assert torch.equal(image[1], frames[1])


def test_no_face_passes_through_every_block(
    host: SimpleNamespace, tiny: Any, frames: torch.Tensor
) -> None:
    blank = frames[1:2]
    faces = run(host, "CodeFormerDetectFaces", image=blank).args[0]
    (crops,) = run(host, "CodeFormerCropFaces", image=blank, faces=faces, size=128).args
    (restored,) = run(host, "CodeFormerRestoreFaces", crops=crops, fidelity=0.5, model=tiny).args
    pasted, mask = run(host, "CodeFormerPasteFaces", image=blank, crops=restored, faces=faces).args
    assert crops.shape == (1, 128, 128, 3)
    assert crops.unique().tolist() == [0.5]
    assert restored.shape == (1, 64, 64, 3)
    assert torch.equal(pasted, blank)
    assert mask.sum() == 0


def test_given_faces_need_no_detector(
    host: SimpleNamespace, tiny: Any, frames: torch.Tensor, found: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(host.shared, "detector_or_default", pytest.fail)
    faces = found.args[0]
    image, _, used = run(
        host, "CodeFormerRestoreImage", image=frames, fidelity=0.5, model=tiny, faces=faces
    ).args
    assert used == faces
    assert not torch.equal(image[2], frames[2])


def test_fidelity_changes_the_face(host: SimpleNamespace, tiny: Any) -> None:
    crops = torch.rand(2, 64, 64, 3, generator=torch.Generator().manual_seed(3))
    low, high = (
        run(host, "CodeFormerRestoreFaces", crops=crops, fidelity=value, model=tiny).args[0]
        for value in (0.0, 1.0)
    )
    assert (low - high).abs().max() > 1e-3


def test_opacity_zero_gives_the_picture_back(
    host: SimpleNamespace, tiny: Any, frames: torch.Tensor, found: Any
) -> None:
    image, mask, _ = run(
        host,
        "CodeFormerRestoreImage",
        image=frames,
        fidelity=0.5,
        model=tiny,
        faces=found.args[0],
        opacity=0.0,
    ).args
    assert torch.equal(image, frames)
    assert mask.sum() == 0


def test_upscaling_gives_exact_sizes(
    host: SimpleNamespace, tiny: Any, frames: torch.Tensor, found: Any
) -> None:
    image, mask, _ = run(
        host,
        "CodeFormerRestoreImage",
        image=frames,
        fidelity=0.5,
        model=tiny,
        faces=found.args[0],
        upscale_by=1.5,
    ).args
    assert image.shape == (3, 384, 384, 3)
    assert mask.shape == (3, 384, 384)


def test_opacity_channel_survives(
    host: SimpleNamespace, tiny: Any, frames: torch.Tensor, found: Any
) -> None:
    alpha = torch.linspace(0, 1, 256).expand(3, 256, 256)[..., None]
    layered = torch.cat([frames, alpha], dim=-1)
    image = run(host, "CodeFormerRestoreImage", image=layered, fidelity=0.5, model=tiny).args[0]
    assert torch.equal(image[..., 3:], alpha)


def test_one_broken_face_is_left_as_it_was_and_said(
    host: SimpleNamespace,
    tiny: Any,
    frames: torch.Tensor,
    found: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    forward = tiny.forward

    def broken(crops: torch.Tensor, *rest: Any) -> torch.Tensor:
        restored = forward(crops, *rest)
        restored[0] = float("nan")
        return restored

    monkeypatch.setattr(tiny, "forward", broken)
    image = run(
        host,
        "CodeFormerRestoreImage",
        image=frames,
        fidelity=0.5,
        model=tiny,
        faces=found.args[0],
    ).args[0]
    assert torch.equal(image[0], frames[0])
    assert not torch.equal(image[2], frames[2])
    assert "face 1" in caplog.text


def test_frames_of_another_batch_are_refused(
    host: SimpleNamespace, frames: torch.Tensor, found: Any
) -> None:
    with pytest.raises(host.core("errors").PictureError, match="3 frames"):
        run(host, "CodeFormerCropFaces", image=frames[:2], faces=found.args[0])


def test_gray_faces_stay_gray(
    host: SimpleNamespace, tiny: Any, frames: torch.Tensor, found: Any
) -> None:
    gray = frames.mean(dim=-1, keepdim=True).expand_as(frames)
    (crops,) = run(host, "CodeFormerCropFaces", image=gray, faces=found.args[0], size=64).args
    (restored,) = run(host, "CodeFormerRestoreFaces", crops=crops, fidelity=0.5, model=tiny).args
    torch.testing.assert_close(restored[..., 0], restored[..., 2])


def test_not_square_crops_are_refused(host: SimpleNamespace, tiny: Any) -> None:
    with pytest.raises(host.core("errors").PictureError, match="square"):
        run(
            host,
            "CodeFormerRestoreFaces",
            crops=torch.zeros(1, 64, 48, 3),
            fidelity=0.5,
            model=tiny,
        )


@pytest.mark.parametrize("value", [float("nan"), 7.0, -3.0])
def test_pixels_out_of_range_survive_outside_of_faces(
    host: SimpleNamespace, tiny: Any, frames: torch.Tensor, found: Any, value: float
) -> None:
    marked = frames.clone()
    marked[0, 0, 0] = value
    image, mask, _ = run(
        host, "CodeFormerRestoreImage", image=marked, fidelity=0.5, model=tiny, faces=found.args[0]
    ).args
    assert mask.max() > 0.5
    assert torch.equal(image[0, 0, 0].nan_to_num(9.0), marked[0, 0, 0].nan_to_num(9.0))
    assert torch.isfinite(image[0, 1:]).all()


def test_one_pixel_picture_comes_back(host: SimpleNamespace, tiny: Any) -> None:
    pixel = torch.full((1, 1, 1, 3), 0.3)
    image = run(host, "CodeFormerRestoreImage", image=pixel, fidelity=0.5, model=tiny).args[0]
    assert torch.equal(image, pixel)


def test_boxes_of_another_detector_give_the_same_faces(
    host: SimpleNamespace, frames: torch.Tensor, found: Any
) -> None:
    faces, _, boxes, _ = found.args
    again = run(host, "CodeFormerDetectFaces", image=frames, known_boxes=boxes).args[0]
    assert [len(frame) for frame in again.frames] == [1, 0, 1]
    for face, expected in zip(again, faces, strict=True):
        tenth = 0.1 * math.dist(expected.landmarks.left_eye, expected.landmarks.right_eye)
        for point, other in zip(face.landmarks.points, expected.landmarks.points, strict=True):
            assert point == pytest.approx(other, abs=tenth)


@pytest.mark.parametrize(("wanted", "used"), [(0.8, 0.3), (0.1, 0.1)])
def test_given_boxes_need_no_sure_detector(
    host: SimpleNamespace, frames: torch.Tensor, found: Any, wanted: float, used: float
) -> None:
    seen: list[float] = []

    class Detector:
        def detect(self, region: torch.Tensor, *, confidence: float, **_: Any) -> Any:
            seen.append(confidence)
            return host.core("faces").Faces(((),), *region.shape[1:3])

    boxes, detector = found.args[2], Detector()
    run(
        host,
        "CodeFormerDetectFaces",
        image=frames,
        known_boxes=boxes,
        detector=detector,
        confidence=wanted,
    )
    assert seen == [used, used]


def test_boxes_without_a_face_are_said(
    host: SimpleNamespace, frames: torch.Tensor, caplog: pytest.LogCaptureFixture
) -> None:
    box = {"x": 5, "y": 5, "width": 30, "height": 30}
    count = run(host, "CodeFormerDetectFaces", image=frames[1:2], known_boxes=box).args[3]
    assert count == 0
    assert "1 of the given boxes" in caplog.text
