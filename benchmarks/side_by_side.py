"""What all benchmarks share: run several ways in turns, and report one table.

    seconds = compare({"ours": ours, "reference": theirs})
    report("One face", [seconds], arguments.out)

The ways take turns in one process, so that whatever else the machine does meets all of them, and
only medians and the ratios within a round are told.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

Row = dict[str, Any]
"""One line of a table: a value for each column."""


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of every benchmark: --out, --repeats and --quick."""
    options = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    options.add_argument("--out", type=Path, metavar="FILE.json", help="write the table there too")
    options.add_argument("--repeats", type=int, default=7, help="rounds to take the median of")
    options.add_argument(
        "--quick", action="store_true", help="tiny sizes: shows that it runs, measures nothing"
    )
    return options


def compare(ways: Mapping[str, Callable[[], object]], repeats: int = 7) -> dict[str, float]:
    """Run every way once unmeasured, then all of them in turns.

    Args:
        ways: functions by the name of their column; ours first.
        repeats: number of rounds.

    Returns:
        Median seconds of each way, and for two or more ways "ratio": how many times longer than
        the first way the last one takes, the median over rounds.
    """
    for way in ways.values():
        way()
    rounds = [{name: seconds(way) for name, way in ways.items()} for _ in range(repeats)]
    result = {name: statistics.median(each[name] for each in rounds) for name in ways}
    first, last = next(iter(ways)), [*ways][-1]
    if first != last:
        result["ratio"] = statistics.median(each[last] / each[first] for each in rounds)
    return result


def seconds(way: Callable[[], object]) -> float:
    """Time one call, from an idle GPU until it is done too."""
    _wait_for_gpu()
    start = time.perf_counter()
    way()
    _wait_for_gpu()
    return time.perf_counter() - start


def _wait_for_gpu() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def report(name: str, rows: Sequence[Row], path: Path | None = None) -> None:
    """Print a Markdown table under its name and the machine, and write the same as JSON."""
    here = machine()
    print(f"### {name}\n\n{', '.join(f'{key} {value}' for key, value in here.items())}\n")
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [columns, ["---"] * len(columns)]
    lines += [[_cell(row.get(column)) for column in columns] for row in rows]
    print("\n".join(f"| {' | '.join(line)} |" for line in lines), end="\n\n", flush=True)
    if path is not None:
        table = {"name": name, "machine": here, "rows": list(rows)}
        path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, str]:
    """Say what the figures were measured on."""
    here = {
        "CPU": _cpu(),
        "threads": str(torch.get_num_threads()),
        "Python": platform.python_version(),
        "torch": torch.__version__,
    }
    if torch.cuda.is_available():
        here["GPU"] = torch.cuda.get_device_name()
    return here


def _cpu() -> str:
    listing = Path("/proc/cpuinfo")
    text = listing.read_text(encoding="utf-8") if listing.exists() else ""
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if "model name" in line]
    bfloat16 = " with bf16" if "avx512_bf16" in text else ""
    return f"{[*names, platform.machine()][0]}{bfloat16} x {os.cpu_count()}"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
