"""What the benchmarks share."""

import json
from pathlib import Path

import pytest

from benchmarks.side_by_side import compare, report


def test_ways_take_turns_after_one_unmeasured_run_each():
    order: list[str] = []
    result = compare(
        {"ours": lambda: order.append("ours"), "theirs": lambda: order.append("theirs")}, repeats=3
    )
    assert order == ["ours", "theirs"] * 4
    assert set(result) == {"ours", "theirs", "ratio"}


def test_the_ratio_is_the_median_over_rounds_of_last_to_first(monkeypatch: pytest.MonkeyPatch):
    times = iter([1.0, 2.0, 1.0, 3.0, 1.0, 10.0])
    monkeypatch.setattr("benchmarks.side_by_side.seconds", lambda way: next(times))
    result = compare({"ours": lambda: None, "theirs": lambda: None}, repeats=3)
    assert result == {"ours": 1.0, "theirs": 3.0, "ratio": 3.0}


def test_one_way_alone_has_no_ratio():
    assert set(compare({"ours": lambda: None}, repeats=1)) == {"ours"}


def test_a_table_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rows = [{"faces": 1, "seconds": 0.12345}, {"faces": 2, "note": "slow"}]
    report("Growth", rows, tmp_path / "growth.json")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "### Growth"
    assert "| faces | seconds | note |" in lines
    assert "| 1 | 0.123 |  |" in lines
    assert "| 2 |  | slow |" in lines
    written = json.loads((tmp_path / "growth.json").read_text())
    assert written["rows"] == rows
    assert "CPU" in written["machine"]
