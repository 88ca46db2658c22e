"""What is measured is what the seeds, the fidelities and the baseline say."""

import json
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from codeformer_core.degradation import STAGE_THREE_MILD
from codeformer_core.errors import PictureError, SettingError
from codeformer_core.evaluation.baseline import NearestNeighbour
from codeformer_core.evaluation.evaluate import (
    evaluate,
    find_faces,
    identity_measure,
    nme_measure,
)
from codeformer_core.evaluation.report import as_json, as_markdown, write_report
from codeformer_core.faces import Box, Face, Faces, Landmarks, place
from codeformer_core.images import Picture, write_picture
from codeformer_core.metrics import FrechetDistance, psnr
from codeformer_core.networks import VQGAN, CodeFormer
from codeformer_core.runtime import Runtime


@pytest.fixture
def faces(tmp_path: Path, astronaut: Tensor) -> Path:
    """Five crops of the astronaut; the last one is too small."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for number, side in enumerate((80, 80, 64, 80, 40)):
        crop = astronaut[60 : 60 + side, 170 + 5 * number : 170 + 5 * number + side]
        write_picture(folder / f"{number}.png", Picture(crop))
    return folder


def test_rows_are_the_restorations_and_repeat(tiny_codeformer: CodeFormer, faces: Path) -> None:
    first, again = (
        evaluate(tiny_codeformer, faces, {"PSNR": psnr}, fidelities=(0.0, 1.0), runtime=runtime)
        for runtime in (Runtime(batch_size=3), Runtime(batch_size=8))
    )
    assert first.faces == 4
    assert list(first.rows) == ["degraded input", "nearest neighbour", "w = 0", "w = 1"]
    for name, row in first.rows.items():
        assert row["PSNR"] == pytest.approx(again.rows[name]["PSNR"], abs=1e-3)
    assert "codes used" not in first.rows["degraded input"]
    assert 0 < first.rows["w = 0"]["codes used"] <= 1


def test_milder_degradation_is_closer_and_other_seeds_differ(
    tiny_codeformer: CodeFormer, faces: Path
) -> None:
    strong, other, mild = (
        evaluate(tiny_codeformer, faces, {"PSNR": psnr}, fidelities=(), **changes).rows
        for changes in ({}, {"seed": 1}, {"ranges": STAGE_THREE_MILD})
    )
    assert mild["degraded input"]["PSNR"] > strong["degraded input"]["PSNR"]
    assert other["degraded input"]["PSNR"] != strong["degraded input"]["PSNR"]


def test_baseline_is_the_autoencoder_alone(tiny_codeformer: CodeFormer) -> None:
    autoencoder = VQGAN(tiny_codeformer.config.vqgan).eval()
    crops = torch.rand(2, 3, 64, 64) * 2 - 1
    baseline = NearestNeighbour(autoencoder)
    with torch.no_grad():
        assert torch.equal(baseline(crops), autoencoder(crops))
        own = NearestNeighbour(tiny_codeformer)
        assert not torch.equal(own(crops), tiny_codeformer(crops, 0.0, adain=False))


def test_reports_are_written(tiny_codeformer: CodeFormer, faces: Path, tmp_path: Path) -> None:
    nowhere = {"PSNR": psnr, "NME": lambda a, b: torch.full((len(a),), torch.nan)}
    evaluation = evaluate(tiny_codeformer, faces, nowhere, fidelities=(0.5,))
    paths = write_report(evaluation, tmp_path, {"model": "tiny"})
    assert [path.is_file() for path in paths] == [True] * 3
    assert evaluation.sheet.shape[2] == 3
    table = as_markdown(evaluation, {"model": "tiny"})
    assert "| PSNR ↑ | NME ↓ |" in table
    assert table.count("\n| ") == 4
    numbers = json.loads(as_json(evaluation, {"model": "tiny"}))
    assert numbers["rows"]["w = 0.5"]["NME"] is None
    assert numbers["faces"] == 4


def test_nme_measure_finds_faces_in_both() -> None:
    class Nose:
        """Finds a face whose nose is as far right as the picture is bright."""

        name = "nose"

        def detect(self, frames: Tensor) -> Faces:
            found = []
            for frame in frames:
                x = 10 + 20 * float(frame.mean())
                landmarks = Landmarks((10, 10), (20, 10), (x, 15), (11, 20), (19, 20))
                face = Face(Box(0, 0, 32, 32), 1.0, landmarks, place(landmarks, 32, 32, 32))
                found.append((face,) if float(frame.mean()) > 0 else ())
            return Faces(tuple(found), 32, 32)

    measure = nme_measure(Nose())
    levels = torch.tensor([0.25, 0.0])[:, None, None, None].expand(2, 32, 32, 3)
    distances = measure(torch.full((2, 32, 32, 3), 0.5), levels)
    assert distances[0] == pytest.approx(5 / 5 / 10)  # 5 px of one of five points, eyes 10 apart
    assert distances[1].isnan()


def test_clean_faces_are_embedded_once_a_batch(tiny_codeformer: CodeFormer, faces: Path) -> None:
    class Brightness:
        """Describes a face by how bright it is."""

        embedded = 0

        def embed(self, crops: Tensor) -> Tensor:
            self.embedded += len(crops)
            return crops.mean((1, 2, 3))[:, None]

    network = Brightness()
    measures = {"identity": identity_measure(network)}
    rows = evaluate(
        tiny_codeformer, faces, measures, fidelities=(0.0, 1.0), runtime=Runtime(batch_size=3)
    ).rows
    assert network.embedded == 4 + 4 * len(rows)
    assert all(row["identity"] > 0 for row in rows.values())


def test_frechet_distance_names_its_backbone(tiny_codeformer: CodeFormer, faces: Path) -> None:
    class Distance(FrechetDistance):
        """Counts."""

        made = 0  # each loads a backbone

        def __init__(self) -> None:
            Distance.made += 1
            self.seen, self.name = [0, 0], "FD (counted)"

        def add(self, pictures: Tensor, real: bool) -> None:
            self.seen[real] += len(pictures)

        def value(self) -> float:
            return float(self.seen[0] * 10 + self.seen[1])

    one_by_one = Runtime(batch_size=1)
    evaluation = evaluate(
        tiny_codeformer, faces, {}, fidelities=(0.0,), frechet=Distance, runtime=one_by_one
    )
    assert {row["FD (counted)"] for row in evaluation.rows.values()} == {44.0}
    assert Distance.made == len(evaluation.rows)


@pytest.mark.parametrize("name", ["broken.png", "link.png"])
def test_a_file_that_is_no_picture_is_named(
    name: str, tiny_codeformer: CodeFormer, faces: Path
) -> None:
    (faces / "broken.png").write_bytes(b"not a picture")
    if name == "link.png":
        (faces / "broken.png").rename(faces / "text.txt")
        (faces / name).symlink_to(faces / "nothing.png")
    with pytest.raises(PictureError, match=rf"faces.{name}: not a readable picture; remove it"):
        evaluate(tiny_codeformer, faces, {})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes of that kind")
def test_pipes_and_hidden_files_are_not_evaluated(faces: Path) -> None:
    os.mkfifo(faces / "pipe.png")
    (faces / "folder.png").mkdir()
    (faces / "._0.png").write_bytes(b"left by a Mac")
    assert len(find_faces(faces, 64)) == 4
    with pytest.raises(PictureError, match="nowhere"):
        find_faces(faces / "nowhere", 64)


def test_what_cannot_be_evaluated_is_refused(tiny_codeformer: CodeFormer, tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="64 px"):
        evaluate(tiny_codeformer, tmp_path, {})
    with pytest.raises(SettingError, match="fidelity"):
        evaluate(tiny_codeformer, tmp_path, {}, fidelities=(-1.0,))
