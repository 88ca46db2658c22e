"""Every node on pictures nobody expects: the result is right, or an error in the user's words."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch

SIDE = 240
NAN = float("nan")


@dataclass
class Case:
    """Some pictures, the faces in them, and the host to show them to."""

    host: SimpleNamespace
    model: Any
    image: torch.Tensor
    faces: Any

    def run(self, node: str, **inputs: Any) -> tuple[Any, ...]:
        """Outputs of a node."""
        with torch.inference_mode():
            return self.host.nodes[f"CodeFormer{node}"].execute(**inputs).args

    @property
    def crops(self) -> torch.Tensor:
        """The faces, cut out."""
        return self.run("CropFaces", image=self.image, faces=self.faces, model=self.model)[0]

    @property
    def codes(self) -> Any:
        """The faces, encoded."""
        return self.run("EncodeFaces", crops=self.crops, model=self.model)[0]

    def pasted(self, **settings: Any) -> tuple[Any, ...]:
        """Gray crops in the place of the faces."""
        gray = torch.full((self.faces.count, 64, 64, 3), 0.5)
        return self.run("PasteFaces", image=self.image, crops=gray, faces=self.faces, **settings)

    def whole(self, node: str, **settings: Any) -> tuple[Any, ...]:
        """A node that takes whole pictures and faces."""
        given = {"image": self.image, "faces": self.faces, "model": self.model, "fidelity": 0.5}
        return self.run(node, **given, **settings)


DEGRADATION = {"blur": 2.0, "motion": 3.0, "downsample": 4.0, "noise": 5.0, "sensor_noise": 2.0}
DEGRADATION |= {"jpeg_quality": 60, "seed": 1}

Step = Callable[[Case], tuple[Any, ...]]

WHOLE: dict[str, Step] = {
    "CodeFormer Restore": lambda case: case.whole("RestoreImage"),
    "Paste Faces": lambda case: case.pasted(),
    "Paste Faces, matched": lambda case: case.pasted(colour_match="lab"),
    "Inpaint Faces": lambda case: case.whole("InpaintFaces", mask=torch.ones(1, SIDE, SIDE)),
    "Colorize Faces": lambda case: case.whole("ColorizeFaces", keep_light=True),
}
"""Nodes that give the pictures back and a mask of what they changed."""

FACES: dict[str, Step] = {
    "Crop Faces": lambda case: (case.crops,),
    "Restore Faces": lambda case: case.run(
        "RestoreFaces", crops=case.crops, fidelity=0.5, model=case.model
    ),
    "Encode and Decode Faces": lambda case: case.run("DecodeFaces", codes=case.codes, fidelity=0.5),
    "Codes to Image": lambda case: case.run(
        "CodesToImage", codes=case.codes, source="nearest", size=64
    ),
}
"""Nodes that give one square for each face."""

PARTS = float("nan"), float("inf"), -float("inf"), 7.0, -3.0, 1e30


def coloured(*shape: int) -> torch.Tensor:
    """Noise of a shape, 0 to 0.9."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(8)) * 0.9


def spoiled(value: float) -> torch.Tensor:
    """Noise with one value in many places, inside the face and outside of it."""
    image = coloured(1, SIDE, SIDE, 3)
    image[:, ::7, ::5] = value
    return image


PICTURES: dict[str, torch.Tensor] = {
    "one pixel": coloured(1, 1, 1, 3),
    "a line": coloured(1, 1, 300, 3),
    "with opacity": coloured(1, SIDE, SIDE, 4),
    "gray": coloured(1, SIDE, SIDE, 1),
    "half precision": coloured(1, SIDE, SIDE, 3).half(),
    "no frames": torch.zeros(0, SIDE, SIDE, 3),
    "all NaN": torch.full((1, SIDE, SIDE, 3), NAN),
    **{f"some {value}": spoiled(value) for value in PARTS},
}


@pytest.fixture
def case(host: SimpleNamespace, tiny: Any, make_faces: Any) -> Callable[[torch.Tensor], Case]:
    """Make a case of pictures, with a face in the middle of each."""

    def make(image: torch.Tensor) -> Case:
        count, height, width = image.shape[:3]
        middle = ((width / 2, height / 2, frame) for frame in range(count))
        faces = make_faces(*middle, frames=count, height=height, width=width)
        return Case(host, tiny, image, faces)

    return make


@pytest.fixture(autouse=True)
def no_warnings() -> Any:
    """Casting NaN to whole numbers warns, and differs from processor to processor."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def same(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Whether all pixels are equal, with NaN equal to NaN."""
    return torch.allclose(first, second, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("node", WHOLE)
def test_only_the_mask_is_touched_and_faces_come_out_sound(
    case: Any, node: str, picture: str
) -> None:
    image = PICTURES[picture]
    result, mask = WHOLE[node](case(image))[:2]
    expected = image.float().expand(-1, -1, -1, max(3, image.shape[-1]))
    assert result.shape == expected.shape
    assert same(result[mask == 0], expected[mask == 0])
    assert same(result[..., 3:], expected[..., 3:])
    assert result[mask > 0].isfinite().all()
    assert (mask.sum() > 0) == (len(image) > 0)


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("node", FACES)
def test_every_face_comes_out_sound(case: Any, node: str, picture: str) -> None:
    image = PICTURES[picture]
    squares = FACES[node](case(image))[0]
    assert squares.shape == (len(image), 64, 64, 3)
    assert squares.isfinite().all()


@pytest.mark.parametrize("picture", PICTURES)
def test_detection_selection_and_sweep_take_any_picture(case: Any, picture: str) -> None:
    given = case(PICTURES[picture])
    found, boxes, _, count = given.run("DetectFaces", image=given.image)
    assert (len(found), count) == (len(given.image), 0)
    assert boxes.shape == given.image.shape[:3]
    chosen, *_, number = given.run("SelectFaces", faces=given.faces, rule="all", image=given.image)
    assert number == chosen.count == len(given.image)
    _, swept = given.run("FidelitySweep", codes=given.codes, fidelities="0, 1", width=64)
    assert swept.shape == (2 * len(given.image), 64, 64, 3)


@pytest.mark.parametrize("picture", PICTURES)
def test_degradation_gives_a_picture_of_the_same_size(case: Any, picture: str) -> None:
    given = case(PICTURES[picture])
    (worse,) = given.run("DegradeImage", image=given.image, **DEGRADATION)
    assert worse.shape[:3] == given.image.shape[:3]
    assert worse.isfinite().all()


@pytest.mark.parametrize("picture", PICTURES)
def test_comparison_measures_or_says_what_is_wrong(case: Any, picture: str) -> None:
    given = case(PICTURES[picture])
    if not given.image.isfinite().all():
        error = given.host.core("errors").PictureError
        with pytest.raises(error, match="not numbers"):
            given.run("CompareFaces", image=given.image, other=given.image)
        return
    psnr = given.run("CompareFaces", image=given.image, other=given.image)[0]
    assert psnr == math.inf if len(given.image) else math.isnan(psnr)


# ------------------------------------------------------------------------------------- wrong shapes

DIRECT = {
    "DetectFaces": {},
    "CropFaces": {},
    "RestoreImage": {"fidelity": 0.5},
    "InpaintFaces": {"fidelity": 0.5, "mask": torch.ones(1, 8, 8)},
    "ColorizeFaces": {"fidelity": 0.5},
    "DegradeImage": DEGRADATION,
    "CompareFaces": {"other": torch.zeros(1, 8, 8, 3)},
}


@pytest.mark.parametrize("shape", [(1, 0, 0, 3), (1, 8, 8, 2), (1, 8, 8, 5), (8, 8, 8, 8, 3)])
@pytest.mark.parametrize("node", [*DIRECT, "RestoreFaces", "EncodeFaces", "PasteFaces"])
def test_what_is_no_picture_is_refused_in_words(
    case: Any, node: str, shape: tuple[int, ...]
) -> None:
    given, odd = case(coloured(1, 8, 8, 3)), torch.zeros(shape)
    inputs = {"image": odd, **DIRECT.get(node, {})}
    if node in ("RestoreFaces", "EncodeFaces"):
        inputs = {"crops": odd} | ({"fidelity": 0.5} if node == "RestoreFaces" else {})
    if node == "PasteFaces":
        inputs |= {"crops": torch.zeros(1, 8, 8, 3), "faces": given.faces}
    with pytest.raises(given.host.core("errors").PictureError, match="expected a picture"):
        given.run(node, **inputs)


# ----------------------------------------------------------------------------------- broken results


def test_broken_crops_are_left_out_of_the_paste_and_named(
    case: Any, caplog: pytest.LogCaptureFixture
) -> None:
    given = case(coloured(3, SIDE, SIDE, 3))
    crops = torch.full((3, 64, 64, 3), 0.5)
    crops[1, 5, 5] = NAN
    whole, _ = given.pasted()
    result, mask = given.run("PasteFaces", image=given.image, crops=crops, faces=given.faces)
    assert torch.equal(result[1], given.image[1])
    assert mask[1].sum() == 0
    assert torch.equal(result[::2], whole[::2])
    assert "face 2" in caplog.text


@pytest.fixture
def broken_model(tiny: Any) -> Iterator[None]:
    """Weights of the generator that are no numbers, as after a failed conversion."""
    weight = next(tiny.generator.parameters())
    before = weight.detach().clone()
    weight.fill_(NAN)
    yield
    weight.copy_(before)


@pytest.mark.parametrize("node", ["RestoreImage", "ColorizeFaces", "InpaintFaces"])
def test_broken_weights_leave_the_picture_and_say_so(
    case: Any, broken_model: None, node: str, caplog: pytest.LogCaptureFixture
) -> None:
    given = case(coloured(2, SIDE, SIDE, 3))
    extra = {"mask": torch.ones(1, SIDE, SIDE)} if node == "InpaintFaces" else {}
    result = given.whole(node, **extra)[0]
    torch.testing.assert_close(result, given.image, atol=0.5, rtol=0)
    assert result.isfinite().all()
    assert "left as it was" in caplog.text
    assert "1, 2" in caplog.text


def test_broken_weights_leave_crops_and_say_so(
    case: Any, broken_model: None, caplog: pytest.LogCaptureFixture
) -> None:
    given = case(coloured(2, SIDE, SIDE, 3))
    crops = given.crops
    (restored,) = given.run("RestoreFaces", crops=crops, fidelity=0.5, model=given.model)
    (decoded,) = given.run("DecodeFaces", codes=given.codes, fidelity=0.5)
    _, swept = given.run("FidelitySweep", codes=given.codes, fidelities="0, 1", width=64)
    assert torch.equal(restored, crops)
    assert torch.equal(decoded, crops)
    assert torch.equal(swept[::2], crops)
    assert caplog.text.count("left as it was") == 3


# ------------------------------------------------------------------------------- how many faces

COUNTS: dict[str, tuple[list[tuple[float, float, int]], int]] = {
    "no face": ([], 1),
    "thirty faces": ([(25 + 38 * (i % 6), 25 + 46 * (i // 6), 0) for i in range(30)], 1),
    "two faces, none, one": ([(60, 60, 0), (170, 60, 0), (60, 150, 2)], 3),
}


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("node", WHOLE)
def test_any_number_of_faces_is_pasted(
    host: SimpleNamespace, tiny: Any, make_faces: Any, node: str, count: str
) -> None:
    places, frames = COUNTS[count]
    image, faces = coloured(frames, SIDE, SIDE, 3), make_faces(*places, frames=frames)
    result, mask = WHOLE[node](Case(host, tiny, image, faces))[:2]
    assert torch.equal(result[mask == 0], image[mask == 0])
    assert [bool(part.sum() > 0) for part in mask] == [len(frame) > 0 for frame in faces.frames]
    assert all(mask[frame, int(y), int(x)] > 0 for x, y, frame in places)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("node", FACES)
def test_any_number_of_faces_is_cut_out(
    host: SimpleNamespace, tiny: Any, make_faces: Any, node: str, count: str
) -> None:
    places, frames = COUNTS[count]
    given = Case(host, tiny, coloured(frames, SIDE, SIDE, 3), make_faces(*places, frames=frames))
    # A gray square stands for nobody.
    assert FACES[node](given)[0].shape == (max(1, len(places)), 64, 64, 3)
