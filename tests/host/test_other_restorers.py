"""Face restorers of others run in the place of CodeFormer."""

from __future__ import annotations

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
    assert host.patcher(model) in host.memory.loaded_models()
    for some in (crops, crops[:0]):
        with pytest.raises(host.core("errors").SettingError, match="no codes"):
            run(host, "EncodeFaces", crops=some, model=model)
    host.memory.unload_all_models()


def test_an_upscaler_is_still_refused_with_advice(host: SimpleNamespace) -> None:
    from spandrel.architectures.ESRGAN import ESRGAN

    path = host.base / "models" / "facerestore_models" / "upscaler.pth"
    torch.save(ESRGAN(num_filters=8, num_blocks=1).state_dict(), path)
    with pytest.raises(host.core("errors").CheckpointError, match="Load Upscale Model"):
        host.shared.restorer(path.name)
    path.unlink()


def test_a_file_of_nothing_known_is_refused(host: SimpleNamespace) -> None:
    path = host.base / "models" / "facerestore_models" / "nothing.pth"
    torch.save({"a": torch.zeros(3)}, path)
    with pytest.raises(host.core("errors").CheckpointError, match=r"nothing\.pth"):
        host.shared.restorer(path.name)
    path.unlink()
