"""Every benchmark runs, and its sides agree; how long anything takes is not a test."""

import xml.etree.ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., list[dict[str, Any]]]


def test_detection_finds_the_same_faces_in_pictures_of_all_sizes(rows_of: Run):
    rows = [row for row in rows_of("detection") if "also in the first" in row]
    assert len(rows) >= 2
    assert all(row["found"] == row["also in the first"] == row["people"] for row in rows)


def test_pasting_gives_what_the_reference_gives_where_that_is_right(rows_of: Run):
    *same_size, doubled, striped = rows_of("paste")
    assert len(same_size) == 2
    # OpenCV 4.8 rounds the places it samples to 1/32 pixel, 5.0 does not.
    assert all(row["facexlib apart, 1/255"] <= 2 for row in same_size)
    for row in (doubled, striped):
        assert row["ours off by, 1/255"] < 0.5 * row["facexlib off by, 1/255"]


def test_memory_is_told_of_every_process(rows_of: Run):
    *rows, loading = rows_of("memory")
    assert len(rows) == 4
    assert loading["more at the peak, MiB"] >= loading["more afterwards, MiB"]
    assert all(row["peak RSS, MiB"] > row["pictures in and out, MiB"] for row in rows)


def test_growth_is_drawn(rows_of: Run, tmp_path: Path):
    rows = rows_of("growth", "--svg", str(tmp_path / "growth.svg"))
    drawing = xml.etree.ElementTree.parse(tmp_path / "growth.svg")
    assert sum(element.tag.endswith("circle") for element in drawing.iter()) == len(rows)


def test_one_face_is_the_official_one(rows_of: Run):
    ours, official = rows_of("one_face")[:2]
    assert ours["way"].startswith("ours")
    assert official["mean difference"] == 0
    # Random weights choose other codes where rounding decides; the rest of the picture is the same.
    assert ours["mean difference"] < 0.1


def test_bfloat16_is_judged_on_degraded_faces_at_three_fidelities(rows_of: Run):
    rows = rows_of("one_face", "--only-quality")
    assert [row["fidelity"] for row in rows] == [0, 0.5, 1]
    assert all(row["crops"] == 16 and row["equal codes"] > 0.9 for row in rows)
    assert all(30 < row["PSNR, dB"] < 80 for row in rows)


def test_the_automatic_fidelity_is_measured_and_fitted(rows_of: Run):
    automatic, *fixed = rows_of("fidelity")
    assert automatic["fidelity"] == "automatic"
    assert float(automatic["worse than automatic by"]) == 0
    assert len(fixed) == 7
    assert all(0 < row["perceptual"] < 2 and 0 < row["identity"] < 2 for row in fixed)
    (fitted,) = rows_of("fidelity", "--fit")
    assert fitted["cost"] <= float(fitted["best fixed of these"]) + 1e-5


def test_the_upscaler_is_judged_beside_what_there_was_before(rows_of: Run):
    rows = rows_of("enlarging")
    judged = [row for row in rows if "damage" in row]
    assert len(judged) == 9  # three damages, three ways
    assert all(15 < row["PSNR, dB"] < 50 for row in judged)
    assert [row["way"] for row in rows[9:]] == ["built-in", "bicubic", "Lanczos"]


def test_people_are_measured_with_and_without_their_adapters(rows_of: Run, tmp_path: Path):
    work = ("--work", str(tmp_path / "identity"))
    rows = rows_of("identity", *work)
    assert {row["damage"] for row in rows} == {"strong", "middling"}
    assert sum("adapter" in row["way"] for row in rows) == 4
    assert rows_of("identity", *work) == rows  # what is done is kept


def test_recognisers_are_asked_about_inputs_and_restorations(rows_of: Run):
    ours = [row for row in rows_of("recognisers") if row["recogniser"] == "dlib"]
    assert len(ours) == 8  # two strengths, the input and three fidelities
    assert all(0 < row["distance to the clean face"] < 1.2 for row in ours)


def test_the_gpu_benchmark_runs_on_any_machine(rows_of: Run):
    first, *rows = rows_of("gpu")
    assert (first["what"], first["type"], first["faces"]) == ("official code", "float32", 1)
    assert first["times official"] == 1
    ours = {(row["type"], row["faces"]) for row in rows if row["what"] == "ours"}
    assert ours >= {("float32", 1), ("TF32", 1), ("bfloat16", 2), ("float16", 2)}
    others = {row["what"] for row in rows} - {"ours"}
    assert {"0.5 MP picture", "0.5 MP picture, ParseNet"} < others
    assert {"built-in model, 256 px", "ours, not prepared", "ours, compiled"} < others
    assert all(row["faces a second"] > 0 for row in rows)


def test_the_gpu_benchmark_ends_in_time_with_what_it_has(rows_of: Run):
    *_, last = rows_of("gpu", "--seconds", "1")
    assert last == {"what": "the rest", "left out": "1 s were over"}


def test_the_host_restores_a_photo(rows_of: Run):
    (row,) = rows_of("comfyui")
    assert row["import, s"] >= 0  # told to a tenth; not a number if not told
    assert row["first run, s"] > 0
