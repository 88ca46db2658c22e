"""What the soak makes of the memory it saw."""

import pytest

soak = pytest.importorskip("benchmarks.soak")


def test_growth_after_the_warm_up_is_the_slope():
    warm_up = [1024 * 1000 * run for run in range(25)]
    grown = [warm_up[-1] + 1024 * 3 * run for run in range(75)]
    result = soak.summary(warm_up + grown, 10.0)
    assert result["slope_kb_per_run"] == pytest.approx(3, abs=0.01)
    assert soak.summary(warm_up + [warm_up[-1]] * 75, 10.0)["slope_kb_per_run"] == 0


def test_no_prompt_is_like_another():
    assert soak.prompt(3, 8)["whole"] != soak.prompt(4, 8)["whole"]
    assert soak.prompt(3, 8)["worse"] != soak.prompt(4, 8)["worse"]
