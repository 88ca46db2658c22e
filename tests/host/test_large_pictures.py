"""8K pictures: right, and in a few pictures' worth of memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from skimage import data

HEIGHT, WIDTH = 4320, 7680
AT = (1200, 3000)
"""Top left corner of the portrait in the picture."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    """Gray with a large portrait in it: (1, 4320, 7680, 3)."""
    portrait = torch.from_numpy(data.astronaut()[:256, 96:352].copy()).float() / 255
    large = portrait.repeat_interleave(8, 0).repeat_interleave(8, 1)
    image = torch.full((1, HEIGHT, WIDTH, 3), 0.4)
    image[0, AT[0] : AT[0] + 2048, AT[1] : AT[1] + 2048] = large
    return image


@pytest.fixture(scope="module")
def found(host: SimpleNamespace, picture: torch.Tensor) -> Any:
    """The face of the portrait; before the memory of a test is measured."""
    return run(host, "DetectFaces", image=picture)[0]


@pytest.fixture(autouse=True)
def pictures_of_memory(picture: torch.Tensor) -> Iterator[None]:
    """A test takes at the most eight pictures' worth of memory beyond what was there before."""
    marks, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if not marks.exists():
        yield
        return

    def largest() -> int:
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024

    marks.write_text("5")  # the largest size begins anew
    before = largest()
    yield
    assert largest() - before < 8 * picture.numel() * picture.element_size()


def run(host: SimpleNamespace, node: str, **inputs: Any) -> tuple[Any, ...]:
    """Outputs of a node."""
    with torch.inference_mode():
        return host.nodes[f"CodeFormer{node}"].execute(**inputs).args


def test_detection_finds_the_face_where_it_is(host: SimpleNamespace, picture: torch.Tensor) -> None:
    (face,) = run(host, "DetectFaces", image=picture)[0]
    x, y = face.box.centre
    assert (x, y) == pytest.approx((AT[1] + 1000, AT[0] + 900), abs=400)
    assert 500 < face.box.size < 1500


Job = Callable[[SimpleNamespace, Any, torch.Tensor, Any], tuple[Any, ...]]


def restoring(host: Any, model: Any, image: torch.Tensor, faces: Any) -> tuple[Any, ...]:
    return run(host, "RestoreImage", image=image, fidelity=0.5, model=model)


def pasting(host: Any, model: Any, image: torch.Tensor, faces: Any) -> tuple[Any, ...]:
    return run(host, "PasteFaces", image=image, crops=torch.ones(1, 64, 64, 3), faces=faces)


def inpainting(host: Any, model: Any, image: torch.Tensor, faces: Any) -> tuple[Any, ...]:
    given = {"image": image, "mask": torch.ones(1, 64, 64), "faces": faces, "model": model}
    return run(host, "InpaintFaces", **given, fidelity=0.5)


def colouring(host: Any, model: Any, image: torch.Tensor, faces: Any) -> tuple[Any, ...]:
    return run(host, "ColorizeFaces", image=image, fidelity=0.5, faces=faces, model=model)


@pytest.mark.parametrize("job", [restoring, pasting, inpainting, colouring])
def test_only_the_face_is_touched(
    host: SimpleNamespace, tiny: Any, picture: torch.Tensor, found: Any, job: Job
) -> None:
    image, mask = job(host, tiny, picture, found)[:2]
    assert 0.005 < mask.mean() < 0.2
    untouched = mask[0] == 0
    assert torch.equal(image[0, untouched], picture[0, untouched])
    (face,) = found
    assert mask[0, round(face.box.centre[1]), round(face.box.centre[0])] > 0.9


def test_selection_shows_the_picture_and_fills_the_box(
    host: SimpleNamespace, picture: torch.Tensor, found: Any
) -> None:
    chosen, _, mask, count = run(host, "SelectFaces", faces=found, rule="all", image=picture)
    assert chosen.count == count == 1
    assert mask.sum() == pytest.approx(next(iter(found)).box.area, rel=0.05)


def test_degradation_keeps_the_size(host: SimpleNamespace, picture: torch.Tensor) -> None:
    amounts = {"blur": 2.0, "motion": 0.0, "downsample": 4.0, "noise": 5.0, "sensor_noise": 2.0}
    (worse,) = run(host, "DegradeImage", image=picture, **amounts, jpeg_quality=60, seed=1)
    assert worse.shape == picture.shape
    assert 0.005 < (worse - picture).abs().mean() < 0.1
