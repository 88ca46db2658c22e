"""Damaged and malicious files of every kind: a result, or an error of ours that names the file.

Each kind is read in a process of its own that can only read and has little memory (`fuzz.py`).
CODEFORMER_FUZZ_ROUNDS=3000 makes the long run of it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource")

HERE = Path(__file__).parent
ROUNDS = int(os.environ.get("CODEFORMER_FUZZ_ROUNDS", "100"))


@pytest.mark.parametrize("kind", ["pictures", "shards", "weights"])
def test_damaged_files_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / "fuzz.py"), kind, str(ROUNDS), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr[-3000:]
    result = json.loads(done.stdout)
    assert result["faults"] == {}
    assert done.returncode == 0, result
    assert result["inputs"] >= ROUNDS
    assert result["left"] == [], "nothing but the samples was written"
    assert min(result["outcomes"].values()) > 0, "some were read and some refused"
