"""Jobs on aligned faces: the command, and what it has left in a folder."""

import os
from pathlib import Path

from codeformer_core.jobs.record import NAME

ROOT = Path(__file__).parent.parent.parent
PICTURES = int(os.environ.get("CODEFORMER_JOB_PICTURES", "12"))
"""500 make a long run of it."""


def command(source: object, output: object, model: Path, *more: str) -> list[str]:
    where = ["restore", str(source), "-o", str(output), "--model", str(model)]
    return [*where, "--aligned", "--device", "cpu", *more]


def contents(folder: Path) -> dict[str, bytes]:
    """All results; the record is hidden, but what a killed worker left behind is not."""
    files = [path for path in folder.rglob("*") if path.is_file() and NAME not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def done(folder: Path) -> int:
    """Results that are in place while others are written."""
    return sum(1 for path in folder.rglob("frame_*") if not path.name.startswith("."))


def times(folder: Path) -> dict[str, int]:
    return {name: (folder / name).stat().st_mtime_ns for name in contents(folder)}
