"""Face restorers of others, each in its own convention."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from codeformer_core.errors import CheckpointError, MissingModelError
from codeformer_core.models import load_codeformer, load_restorer
from codeformer_core.models.spandrel_restorer import SpandrelRestorer


@pytest.fixture(scope="module")
def restoreformer_state() -> dict[str, torch.Tensor]:
    """A small RestoreFormer with random weights, as it is published."""
    architecture = pytest.importorskip("spandrel.architectures.RestoreFormer")
    torch.manual_seed(0)
    sizes = {"num_res_blocks": 1, "z_channels": 32, "embed_dim": 32, "n_embed": 16}
    return architecture.RestoreFormer(ch=32, ch_mult=(1, 1, 1, 1, 1, 1), **sizes).state_dict()


@pytest.mark.parametrize("prefix", ["", "vqvae."])
def test_a_restoreformer_file_restores_faces(
    prefix: str, restoreformer_state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "RestoreFormer.pth"
    state = {prefix + key: tensor for key, tensor in restoreformer_state.items()}
    torch.save({"state_dict": {**state, **({"loss.a": torch.ones(1)} if prefix else {})}}, path)
    restorer = load_restorer(path, dtype=torch.bfloat16)
    crops = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(1)) * 2 - 1
    restored = restorer(crops, 0.3)
    assert restored.shape == crops.shape
    assert restored.dtype == torch.float32
    assert restored.isfinite().all()
    assert restored.requires_grad is False
    assert "RestoreFormer is a RestoreFormer: fidelity and adain have no effect" in restorer.notice
    with pytest.raises(CheckpointError, match=r"is a RestoreFormer, not a CodeFormer: use it as"):
        load_codeformer(path)


def test_a_layout_spandrel_does_not_know_is_named(tmp_path: Path) -> None:
    pytest.importorskip("spandrel")
    path = tmp_path / "old.pth"
    torch.save({"stylegan_decoder.other.weight": torch.ones(1)}, path)
    with pytest.raises(CheckpointError, match=r"old\.pth: looks like a GFPGAN, but spandrel"):
        load_restorer(path)


def test_without_spandrel_the_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "GFPGANv1.4.pth"
    torch.save({"stylegan_decoder.style_mlp.1.weight": torch.ones(1)}, path)
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(MissingModelError, match=r"GFPGANv1\.4\.pth.*pip install spandrel"):
        load_restorer(path)


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
def test_every_family_gets_its_own_range(family: str, lowest: float) -> None:
    network = _Face()

    class Descriptor:
        model = network
        architecture = SimpleNamespace(id=family)
        size_requirements = SimpleNamespace(minimum=0)

        def __call__(self, crops: torch.Tensor) -> torch.Tensor:
            return network(crops)[0].clamp(0, 1)

    restorer = SpandrelRestorer(Descriptor(), "stub")
    crops = torch.linspace(-1, 1, 2 * 3 * 512 * 512).view(2, 3, 512, 512)
    restored = restorer(crops)
    assert len(network.seen) == 2
    assert float(network.seen[0].min()) == lowest
    torch.testing.assert_close(restored, crops, atol=1e-5, rtol=0)
    assert restorer(crops[:0]).shape == (0, 3, 512, 512)


def test_a_gfpgan_takes_crops_that_lie_otherwise_in_memory() -> None:
    architecture = pytest.importorskip("spandrel.architectures.GFPGAN")
    torch.manual_seed(0)
    # The published one is sixteen times as wide.
    sizes = {"out_size": 512, "num_style_feat": 512, "narrow": 1 / 16}
    flags = {"input_is_latent": True, "different_w": True, "sft_half": True}
    descriptor = SimpleNamespace(
        model=architecture.GFPGAN(**sizes, **flags),
        architecture=SimpleNamespace(id="GFPGAN"),
        size_requirements=SimpleNamespace(minimum=512),
    )
    restorer = SpandrelRestorer(descriptor, "narrow")
    crops = torch.rand(2, 512, 512, 3, generator=torch.Generator().manual_seed(1)).movedim(-1, 1)
    with torch.no_grad():
        first, again = restorer(crops), restorer(crops)
    assert first.shape == (2, 3, 512, 512)
    assert first.isfinite().all()
    assert torch.equal(first, again), "stored noise: the same picture gives the same face"
