"""Upscale models of the host enlarge background and faces."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

SIDE = 96


class Doubling:
    """What Load Upscale Model hands out, of a network that doubles and darkens by a tenth."""

    scale = 2

    def __init__(self, largest_tile: int = 10**9, error: type[Exception] = MemoryError) -> None:
        self.model = torch.nn.Conv2d(3, 3, 1, bias=False)
        self.model.weight.data = 0.9 * torch.eye(3).view(3, 3, 1, 1)
        self.tiles: list[tuple[int, ...]] = []
        self.largest, self.error = largest_tile, error

    def __call__(self, tile: torch.Tensor) -> torch.Tensor:
        self.tiles.append(tuple(tile.shape))
        if max(tile.shape[2:]) > self.largest:
            raise self.error("out of memory, says the test")
        return torch.nn.functional.interpolate(self.model(tile), scale_factor=2)


@pytest.fixture
def faces(host: SimpleNamespace) -> Any:
    """One face of 64 px in the middle of a picture of 96 px."""
    types, alignment = host.core("faces.types"), host.core("faces.alignment")
    scale = 512 / 64
    shift = 255.5 - scale * 48
    placement = types.Placement(((scale, 0.0, shift), (0.0, scale, shift)), 512, SIDE, SIDE)
    points = alignment.landmarks_of(placement)
    face = types.Face(types.Box(28, 28, 68, 68), 0.9, points, placement)
    return types.Faces(((face,),), SIDE, SIDE)


@pytest.fixture
def picture() -> torch.Tensor:
    return torch.full((1, SIDE, SIDE, 3), 0.5)


def run(host: SimpleNamespace, node: str, **inputs: Any) -> Any:
    with torch.inference_mode():
        return host.nodes[f"CodeFormer{node}"].execute(**inputs).args


@pytest.mark.parametrize("factor", [1.5, 2.0, 3.3])
def test_background_comes_from_the_model_at_the_exact_size(
    host: SimpleNamespace, tiny: Any, picture: torch.Tensor, faces: Any, factor: float
) -> None:
    image, mask, _ = run(
        host,
        "RestoreImage",
        image=picture,
        fidelity=0.5,
        model=tiny,
        faces=faces,
        upscale_by=factor,
        upscale_model=Doubling(),
    )
    side = round(SIDE * factor)
    assert image.shape == (1, side, side, 3)
    assert mask.shape == (1, side, side)
    outside = image[mask == 0]
    torch.testing.assert_close(outside, torch.full_like(outside, 0.45), atol=1e-4, rtol=0)


def test_without_one_the_built_in_network_enlarges_or_plain_interpolation(
    host: SimpleNamespace,
) -> None:
    nobody, none = host.core("faces.types").Faces(((),), 30, 40), torch.zeros(0, 64, 64, 3)
    image = torch.rand(1, 30, 40, 3, generator=torch.Generator().manual_seed(0))
    inputs = {"image": image, "crops": none, "faces": nobody, "upscale_by": 2.5}
    enlarge, resize = host.core("pipeline.upscaling").enlarge, host.core("images").resize
    own = host.core("models").load_upscaler()
    for chosen, expected in (
        ({}, enlarge(image, 2.5, own)),  # as in workflows of before the widget
        ({"upscale_method": "network"}, enlarge(image, 2.5, own)),
        ({"upscale_method": "bicubic"}, resize(image, 75, 100)),
        ({"upscale_method": "bicubic", "upscale_model": Doubling()}, None),
    ):
        larger, _ = run(host, "PasteFaces", **inputs, **chosen)
        assert larger.shape == (1, 75, 100, 3)
        if expected is not None:  # the host may compute in bfloat16
            torch.testing.assert_close(larger, expected, atol=0.02, rtol=0)
        else:
            assert float(larger.mean()) == pytest.approx(0.9 * float(image.mean()), abs=0.01)
    names = [type(loaded.model.model).__name__ for loaded in host.memory.current_loaded_models]
    assert "Enlarger" in names, "the memory manager holds it"
    host.memory.unload_all_models()


def test_faces_are_enlarged_only_if_asked_and_pasted_larger(
    host: SimpleNamespace, tiny: Any, picture: torch.Tensor, faces: Any
) -> None:
    def tiles(**inputs: Any) -> list[tuple[int, ...]]:
        model = Doubling()
        crops = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0))
        inputs = {"image": picture, "crops": crops, "faces": faces, **inputs}
        run(host, "PasteFaces", upscale_model=model, **inputs)
        return [shape[2:] for shape in model.tiles]

    background, face = (SIDE, SIDE), (64, 64)
    assert tiles(upscale_by=2.0) == [background]
    assert tiles(upscale_by=2.0, upscale_faces=True) == [background, face]
    assert tiles(upscale_by=1.0, upscale_faces=True) == []


def test_large_pictures_go_in_tiles_and_smaller_ones_when_memory_runs_out(
    host: SimpleNamespace,
) -> None:
    model = Doubling(largest_tile=300, error=host.memory.OOM_EXCEPTION)
    image = torch.rand(1, 600, 400, 3, generator=torch.Generator().manual_seed(1))
    nobody = host.core("faces.types").Faces(((),), 600, 400)
    none = torch.zeros(0, 64, 64, 3)
    larger, _ = run(
        host,
        "PasteFaces",
        image=image,
        crops=none,
        faces=nobody,
        upscale_by=2.0,
        upscale_model=model,
    )
    expected = 0.9 * image.repeat_interleave(2, 1).repeat_interleave(2, 2)
    torch.testing.assert_close(larger, expected, atol=1e-5, rtol=0)
    assert max(model.tiles[-1]) <= 256 < max(model.tiles[0])


def test_the_memory_manager_holds_the_model_and_may_take_it(host: SimpleNamespace) -> None:
    model, runtime = Doubling(), host.adapter.HostRuntime()
    enlarge = host.adapter.upscaler(model)
    image = torch.rand(2, 20, 30, 3)
    first = enlarge(image, runtime)
    assert any(loaded.model is model.model for loaded in host.memory.loaded_models())
    host.memory.unload_all_models()
    assert torch.equal(enlarge(image, runtime), first)
    host.memory.unload_all_models()


def test_no_room_for_the_smallest_tile_is_the_hosts_error(host: SimpleNamespace) -> None:
    model = Doubling(largest_tile=0, error=host.memory.OOM_EXCEPTION)
    with pytest.raises(host.memory.OOM_EXCEPTION, match="a tile of 128 px"):
        host.adapter.upscaler(model)(torch.rand(1, 300, 300, 3), host.adapter.HostRuntime())
    assert [max(shape) for shape in model.tiles] == [300, 256, 128]


def test_a_real_upscale_model_of_the_host(host: SimpleNamespace, picture: torch.Tensor) -> None:
    spandrel = pytest.importorskip("spandrel")
    from spandrel.architectures.ESRGAN import ESRGAN

    torch.manual_seed(0)
    state = ESRGAN(num_filters=8, num_blocks=1, scale=4).state_dict()
    model = spandrel.ModelLoader().load_from_state_dict(state).eval()
    nobody = host.core("faces.types").Faces(((),), 20, 30)
    larger, _ = run(
        host,
        "PasteFaces",
        image=picture[:, :20, :30],
        crops=torch.zeros(0, 64, 64, 3),
        faces=nobody,
        upscale_by=2.5,
        upscale_model=model,
    )
    assert larger.shape == (1, 50, 75, 3)
    host.memory.unload_all_models()
