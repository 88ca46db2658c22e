"""What enlarges pictures: the upscaler of the package, and those that spandrel knows."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from codeformer_core.degradation import Degradation, degrade
from codeformer_core.errors import CodeFormerError
from codeformer_core.images.tensors import interpolate
from codeformer_core.metrics import psnr
from codeformer_core.models import describe, load_upscaler
from codeformer_core.models.load import OWN_UPSCALER
from codeformer_core.models.spandrel_upscaler import SpandrelUpscaler
from codeformer_core.models.upscaler import TiledUpscaler
from codeformer_core.pipeline.upscaling import enlarge
from codeformer_core.runtime import Runtime


@pytest.fixture(scope="module")
def own() -> TiledUpscaler:
    return load_upscaler()


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def esrgan(path: Path) -> Path:
    spandrel = pytest.importorskip("spandrel.architectures.ESRGAN")
    torch.manual_seed(0)
    torch.save(spandrel.ESRGAN(num_filters=8, num_blocks=1, scale=2).state_dict(), path)
    return path


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 20), (30, 31)])
def test_any_size_is_doubled(own: TiledUpscaler, height: int, width: int) -> None:
    larger = own(noise(2, height, width, 3), Runtime())
    assert larger.shape == (2, 2 * height, 2 * width, 3)
    assert bool(larger.isfinite().all())


@pytest.mark.parametrize("damage", [None, Degradation(gaussian_noise=2, jpeg_quality=85)])
def test_photos_come_closer_to_the_sharp_one_than_by_bicubic(
    own: TiledUpscaler, astronaut: Tensor, damage: Degradation | None
) -> None:
    small = interpolate(astronaut[None], 256, 256).clamp(0, 1)
    if damage is not None:
        small = degrade(small[0], damage, 1).reshape(small.shape)
    plain, drawn = (
        float(psnr(enlarge(small, 2, upscaler), astronaut[None])) for upscaler in (None, own)
    )
    assert drawn > plain + 0.5


def test_gray_stays_gray_and_flat_stays_flat(own: TiledUpscaler, astronaut: Tensor) -> None:
    gray = astronaut[:64, :64].mean(-1, keepdim=True).expand(-1, -1, 3)
    first, second = own(torch.stack([gray, astronaut[:64, :64]]), Runtime())
    assert torch.equal(first[..., 0], first[..., 2])
    assert not torch.equal(second[..., 0], second[..., 2])
    for colour in ((0.2, 0.4, 0.6), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)):
        flat = torch.tensor(colour).expand(1, 40, 40, 3)
        torch.testing.assert_close(
            own(flat, Runtime())[:, 16:-16, 16:-16],
            flat.repeat(1, 2, 2, 1)[:, 16:-16, 16:-16],
            atol=2 / 255,
            rtol=0,
        )


def test_light_beyond_white_is_kept(own: TiledUpscaler) -> None:
    bright = 4 * torch.ones(1, 20, 20, 3)
    assert float(own(bright, Runtime()).min()) > 3.9


def test_the_colours_are_those_of_the_picture(own: TiledUpscaler, astronaut: Tensor) -> None:
    small = interpolate(astronaut[None], 128, 128).clamp(0, 1)
    means = enlarge(small, 2, own).mean((1, 2)) - small.mean((1, 2))
    assert float(means.abs().max()) < 1 / 255


def test_tiles_show_no_seam(own: TiledUpscaler) -> None:
    planes = noise(1, 3, 150, 190)
    with torch.no_grad():
        tiled, whole = (own._in_tiles(planes, side, Runtime()) for side in (64, 512))
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


def test_tiles_of_others_show_no_seam() -> None:
    blur = torch.nn.Conv2d(3, 3, 5, padding=2, groups=3, bias=False)
    torch.nn.init.constant_(blur.weight, 1 / 25)

    class Doubling:
        model, scale = blur, 2

        def __call__(self, planes: Tensor) -> Tensor:
            return torch.nn.functional.interpolate(blur(planes), scale_factor=2.0)

    descriptor: Any = Doubling()
    planes = noise(1, 3, 150, 140)
    with torch.no_grad():
        tiled = SpandrelUpscaler(descriptor)._in_tiles(planes, 64, Runtime())
        torch.testing.assert_close(tiled, descriptor(planes))


def test_smaller_tiles_are_tried_when_memory_runs_out(own: TiledUpscaler) -> None:
    class Small(Runtime):
        def attempt(self, network: Any, bytes_needed: float, step: Any) -> Any:
            wanted.append(bytes_needed)
            return super().attempt(network, bytes_needed, step) if len(wanted) == 3 else None

    wanted: list[float] = []
    assert own(noise(1, 20, 20, 3), Small()).shape == (1, 40, 40, 3)
    assert wanted == sorted(wanted, reverse=True)
    wanted = [0.0] * 3
    with pytest.raises(CodeFormerError, match="a tile of 128 px"):
        own(noise(1, 20, 20, 3), Small())


def test_files_are_told_apart(tmp_path: Path, archive_file: Path) -> None:
    assert "an upscaler of this library" in str(describe(OWN_UPSCALER))
    other = load_upscaler(esrgan(tmp_path / "u.pth"))
    assert other(noise(1, 40, 60, 3), Runtime()).shape == (1, 80, 120, 3)
    with pytest.raises(CodeFormerError, match=archive_file.name):
        load_upscaler(archive_file)
