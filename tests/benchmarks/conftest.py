"""Benchmarks are scripts: run them small, as scripts, and read their tables."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

Rows = list[dict[str, Any]]


@pytest.fixture
def rows_of(tmp_path: Path) -> Callable[..., Rows]:
    """Run a benchmark with --quick and return the rows of its table."""

    def run(name: str, *options: str) -> Rows:
        out = tmp_path / f"{name}.json"
        command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), "--quick"]
        done = subprocess.run(
            [*command, "--repeats", "1", "--out", str(out), *options],
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(out.read_text())["rows"]

    return run
