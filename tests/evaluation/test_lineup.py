"""Several restorers side by side: every column is what it says, measured against what it says."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from codeformer_core.errors import PictureError, SettingError
from codeformer_core.evaluation import lineup
from codeformer_core.evaluation.lineup import Lineup, line_up
from codeformer_core.faces import Faces, YuNetDetector
from codeformer_core.images import resize
from codeformer_core.models.restorer import LABEL
from codeformer_core.runtime import Runtime


@pytest.fixture(autouse=True)
def small_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure small faces: it is quicker, and means the same."""
    monkeypatch.setattr(lineup, "MEASURED_SIDE", 128)


@pytest.fixture(scope="module")
def found(astronaut: Tensor) -> Faces:
    """The face of the portrait."""
    return YuNetDetector().detect(astronaut[None])


class Plain(nn.Module):
    """Gives its input plus a constant that fidelity takes away."""

    variant, bytes_per_face, notice = "restoration", 1e6, None

    def __init__(self, name: str, size: int = 128, knows: bool = True) -> None:
        super().__init__()
        self.size, self.takes_fidelity = size, knows
        self.weight = nn.Parameter(torch.zeros(()))
        setattr(self, LABEL, name)

    def forward(self, crops: Tensor, fidelity: Any = 0.5, adain: bool | None = None) -> Tensor:
        return crops + 0.2 * (1 - (float(fidelity) if self.takes_fidelity else 1.0))


class Same:
    """A distance of the means, in the place of networks that take seconds."""

    def distance(self, first: Tensor, second: Tensor) -> Tensor:
        return (first - second).abs().mean((1, 2, 3))

    def bytes_per_pair(self, height: int, width: int) -> float:
        return 1e6

    def parameters(self, recurse: bool = True) -> Any:
        return iter(())


def _line_up(picture: Tensor, *restorers: Plain, **more: Any) -> Lineup:
    loaders = [lambda restorer=restorer: restorer for restorer in restorers]
    distances: dict[str, Any] = {"identity": Same, "perceptual": Same}
    return line_up(picture, loaders, YuNetDetector(), **distances, **more)


def test_columns_are_input_restorers_at_their_fidelities_and_truth(
    astronaut: Tensor, found: Faces
) -> None:
    done: list[tuple[int, int]] = []
    seen = _line_up(
        astronaut,
        Plain("one"),
        Plain("two", 256, knows=False),
        fidelities=[0.0, 1.0],
        truth=astronaut,
        faces=found,
        runtime=Runtime(lambda *at: done.append(at)),
    )
    columns = [(entry.name, entry.fidelity) for entry in seen.entries]
    assert columns == [
        ("input", None),
        ("one", 0.0),
        ("one", 1.0),
        ("two", None),
        ("ground truth", None),
    ]
    assert [entry.faces.shape[1] for entry in seen.entries] == [128, 128, 128, 256, 128]
    shares = [at / total for at, total in done]
    assert shares == sorted(shares) and shares[-1] == 1.0
    far, near = (seen.entries[place].measures for place in (1, 2))
    assert far is not None and near is not None
    assert near.psnr.mean > far.psnr.mean + 3
    assert near.identity.mean < far.identity.mean
    sheet = seen.sheet(100)
    assert sheet.shape[1] == 5 * 112 + 12
    lines = seen.table.splitlines()
    assert lines[0].startswith("| restorer | fidelity | PSNR ↑ | SSIM ↑ | perceptual distance ↓ |")
    assert lines[3].startswith(f"| one | 0 | {far.psnr.mean:.2f} | {far.ssim.mean:.3f} |")
    assert len(lines) == 2 + 5


def test_without_truth_only_the_person_is_compared_with_the_input(
    astronaut: Tensor, found: Faces
) -> None:
    seen = _line_up(astronaut, Plain("one"), faces=found)
    assert [entry.name for entry in seen.entries] == ["input", "one"]
    assert seen.entries[0].measures is None
    heads = seen.table.splitlines()[0]
    assert "identity distance to the input" in heads
    assert "PSNR" not in heads


def test_a_larger_truth_enlarges_the_picture(astronaut: Tensor) -> None:
    small = resize(astronaut[None], 256, 256)[0]
    seen = _line_up(small, Plain("one"), fidelities=[1.0], truth=astronaut)
    blurred, clean = seen.entries[0].faces, seen.entries[-1].faces
    assert blurred.shape == clean.shape
    assert 0.005 < float((blurred - clean).abs().mean()) < 0.05, "of the same place, but softer"


def test_every_face_has_a_row_and_its_own_numbers(astronaut: Tensor, found: Faces) -> None:
    two = torch.cat([astronaut, astronaut.flip(1) * 0.8], 1)
    seen = _line_up(two, Plain("one"), fidelities=[0.5], truth=two * 0.9)
    assert len(seen.entries[1].faces) == 2
    assert len(seen.entries[1].measures.psnr.values) == 2
    one = _line_up(astronaut, Plain("one"), fidelities=[0.5], truth=astronaut * 0.9, faces=found)
    assert seen.sheet(64).shape[0] > 1.9 * one.sheet(64).shape[0] - 30


def test_what_cannot_be_compared_is_named(astronaut: Tensor) -> None:
    with pytest.raises(PictureError, match="no face was found"):
        _line_up(torch.zeros(64, 64, 3), Plain("one"))
    with pytest.raises(PictureError, match=r"512 x 256 pixels, the picture 512 x 512"):
        _line_up(astronaut, Plain("one"), truth=astronaut[:256])
    with pytest.raises(PictureError, match="on one picture, not on 2"):
        _line_up(torch.stack([astronaut] * 2), Plain("one"))
    with pytest.raises(SettingError, match="at least one fidelity"):
        _line_up(astronaut, Plain("one"), fidelities=[])


def test_long_names_are_cut_below_their_picture(astronaut: Tensor, found: Faces) -> None:
    names = [Plain("a" * 300), Plain("a" * 24 + "...")]
    sheet = _line_up(astronaut, *names, fidelities=[1.0], faces=found).sheet()
    columns = [sheet[:, 12 + 268 * place : 268 * (place + 1)] for place in (1, 2)]
    assert torch.equal(*columns)
