"""Face models of others run in the place of CodeFormer, each in its own convention."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch


@pytest.fixture(scope="module")
def file(host: SimpleNamespace) -> Iterator[Path]:
    """A small RestoreFormer with random weights, as it is published."""
    from spandrel.architectures.RestoreFormer import RestoreFormer

    torch.manual_seed(0)
    network = RestoreFormer(
        ch=32, ch_mult=(1, 1, 1, 1, 1, 1), num_res_blocks=1, z_channels=32, embed_dim=32, n_embed=16
    )
    path = host.base / "models" / "facerestore_models" / "RestoreFormer.pth"
    torch.save({"params_ema": network.state_dict()}, path)
    yield path
    path.unlink()


def run(host: SimpleNamespace, node: str, **inputs: Any) -> Any:
    with torch.inference_mode():
        return host.nodes[f"CodeFormer{node}"].execute(**inputs).args


def test_a_restoreformer_file_restores_and_says_that_fidelity_does_nothing(
    host: SimpleNamespace, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (model,) = run(host, "Loader", file=file.name)
    crops = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(1))
    with caplog.at_level("INFO"):
        (restored,) = run(host, "RestoreFaces", crops=crops, fidelity=0.3, model=model)
    assert restored.shape == (1, 512, 512, 3)
    assert restored.isfinite().all()
    assert "fidelity and adain have no effect" in caplog.text
    assert model.patcher in host.memory.loaded_models()
    for some in (crops, crops[:0]):
        with pytest.raises(host.core("errors").SettingError, match="no codes"):
            run(host, "EncodeFaces", crops=some, model=model)
    host.memory.unload_all_models()


class _Face(torch.nn.Module):
    """Gives back its input, which GFPGAN sees in -1..1."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.seen: list[torch.Tensor] = []

    def forward(self, crops: torch.Tensor, **_: Any) -> tuple[torch.Tensor, list[Any]]:
        self.seen.append(crops)
        return crops * self.weight, []


@pytest.mark.parametrize(("family", "lowest"), [("GFPGAN", -1.0), ("Other", 0.0)])
def test_every_family_gets_its_own_range(host: SimpleNamespace, family: str, lowest: float) -> None:
    network = _Face()
    foreign = importlib.import_module(f"{host.pack.__name__}.nodes.foreign")

    class Descriptor:
        model = network
        architecture = SimpleNamespace(id=family)
        size_requirements = SimpleNamespace(minimum=0)

        def __call__(self, crops: torch.Tensor) -> torch.Tensor:
            return network(crops)[0].clamp(0, 1)

    model = foreign.HostedFaceModel(Descriptor(), "stub")
    crops = torch.linspace(-1, 1, 2 * 3 * 512 * 512).view(2, 3, 512, 512)
    restored = model(crops)
    assert len(network.seen) == 2
    assert float(network.seen[0].min()) == lowest
    torch.testing.assert_close(restored, crops, atol=1e-5, rtol=0)
    assert model(crops[:0]).shape == (0, 3, 512, 512)
    host.memory.unload_all_models()


def test_a_gfpgan_takes_crops_as_the_nodes_lay_them_out(host: SimpleNamespace) -> None:
    from spandrel.architectures.GFPGAN import GFPGAN

    torch.manual_seed(0)
    # The published one is sixteen times as wide.
    network = GFPGAN(
        out_size=512,
        num_style_feat=512,
        narrow=1 / 16,
        input_is_latent=True,
        different_w=True,
        sft_half=True,
    )
    foreign = importlib.import_module(f"{host.pack.__name__}.nodes.foreign")
    descriptor = SimpleNamespace(
        model=network,
        architecture=SimpleNamespace(id="GFPGAN"),
        size_requirements=SimpleNamespace(minimum=512),
    )
    model = foreign.HostedFaceModel(descriptor, "narrow")
    crops = torch.rand(2, 128, 128, 3, generator=torch.Generator().manual_seed(1))
    (restored,) = run(host, "RestoreFaces", crops=crops, fidelity=0.5, model=model)
    assert restored.shape == (2, 512, 512, 3)
    assert restored.isfinite().all()
    host.memory.unload_all_models()


def test_an_upscaler_is_still_refused_with_advice(host: SimpleNamespace) -> None:
    from spandrel.architectures.ESRGAN import ESRGAN

    path = host.base / "models" / "facerestore_models" / "upscaler.pth"
    torch.save(ESRGAN(num_filters=8, num_blocks=1).state_dict(), path)
    with pytest.raises(host.core("errors").CheckpointError, match="Load Upscale Model"):
        host.models.load_codeformer(path.name)
    path.unlink()


def test_a_file_of_nothing_known_is_refused(host: SimpleNamespace) -> None:
    path = host.base / "models" / "facerestore_models" / "nothing.pth"
    torch.save({"a": torch.zeros(3)}, path)
    with pytest.raises(host.core("errors").CheckpointError, match=r"nothing\.pth"):
        host.models.load_codeformer(path.name)
    path.unlink()
