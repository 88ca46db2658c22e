"""Run one ComfyUI for a long time and see whether its memory grows.

    python benchmarks/soak.py --runs 200 --out soak.json

Starts the tests' own ComfyUI with the pack, queues prompts that the host's cache cannot answer
(each has its own seed and fidelity, with an eviction of all models now and then), and fits a line
through the server's resident memory after the first quarter of the runs.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy
import psutil
from PIL import Image
from skimage import data

HOST = Path(__file__).resolve().parents[1] / "tests" / "host" / "real_host.py"

WARM_UP = 0.25
"""Part of the runs that does not count: caches and pools fill."""

RUNS_PER_EVICTION = 20

DEGRADATION = {"blur": 1.0, "motion": 0.0, "downsample": 2.0, "noise": 3.0, "sensor_noise": 0.0}


def load_host() -> ModuleType:
    """The module that starts a ComfyUI for the tests; they are no package."""
    spec = importlib.util.spec_from_file_location("codeformer_real_host", HOST)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prompt(run: int, runs: int) -> dict[str, Any]:
    """Degrade a photo and restore it, in one node and in single steps, unlike any run before."""
    fidelity = run / runs
    return {
        "photo": {"class_type": "LoadImage", "inputs": {"image": "photo.png"}},
        "worse": {
            "class_type": "CodeFormerDegradeImage",
            "inputs": {"image": ["photo", 0], **DEGRADATION, "jpeg_quality": 60, "seed": run},
        },
        "whole": {
            "class_type": "CodeFormerRestoreImage",
            "inputs": {"image": ["worse", 0], "fidelity": fidelity},
        },
        "faces": {"class_type": "CodeFormerDetectFaces", "inputs": {"image": ["worse", 0]}},
        "crops": {
            "class_type": "CodeFormerCropFaces",
            "inputs": {"image": ["worse", 0], "faces": ["faces", 0]},
        },
        "codes": {"class_type": "CodeFormerEncodeFaces", "inputs": {"crops": ["crops", 0]}},
        "face": {
            "class_type": "CodeFormerDecodeFaces",
            "inputs": {"codes": ["codes", 0], "fidelity": fidelity},
        },
        "pasted": {
            "class_type": "CodeFormerPasteFaces",
            "inputs": {"image": ["worse", 0], "crops": ["face", 0], "faces": ["faces", 0]},
        },
        "shown": {"class_type": "PreviewImage", "inputs": {"images": ["pasted", 0]}},
    }


def soak(server: Any, runs: int) -> list[int]:
    """Bytes of resident memory of the server after each run."""
    process, sizes = psutil.Process(server.process), list[int]()
    for run in range(runs):
        server.run(prompt(run, runs))
        if run % RUNS_PER_EVICTION == RUNS_PER_EVICTION - 1:
            server.request("/free", {"unload_models": True})
        sizes.append(process.memory_info().rss)
    return sizes


def summary(sizes: list[int], seconds: float) -> dict[str, Any]:
    """What the sizes say."""
    steady = numpy.array(sizes[int(WARM_UP * len(sizes)) :], dtype=float) / 1024
    slope, _ = numpy.polyfit(numpy.arange(len(steady)), steady, 1)
    return {
        "runs": len(sizes),
        "seconds": round(seconds, 1),
        "slope_kb_per_run": round(float(slope), 2),
        "first_mb": round(sizes[0] / 2**20, 1),
        "after_warm_up_mb": round(steady[0] / 1024, 1),
        "last_mb": round(steady[-1] / 1024, 1),
        "largest_mb": round(max(sizes) / 2**20, 1),
        "rss_kb": [size // 1024 for size in sizes],
    }


def main() -> None:
    """Soak, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200, help="prompts to run, at least 8")
    parser.add_argument("--out", type=Path, help="JSON file for the result with every sample")
    arguments = parser.parse_args()
    host = load_host()
    with tempfile.TemporaryDirectory() as folder:
        base = host.make_base(Path(folder) / "base")
        (base / "input").mkdir()
        Image.fromarray(data.astronaut()[:256, 96:352]).save(base / "input" / "photo.png")
        with host.running(host.comfy_folder(), base) as server:
            started = time.monotonic()
            sizes = soak(server, arguments.runs)
            result = summary(sizes, time.monotonic() - started)
    if arguments.out:
        arguments.out.write_text(json.dumps(result))
    print(json.dumps({key: value for key, value in result.items() if key != "rss_kb"}, indent=2))


if __name__ == "__main__":
    main()
