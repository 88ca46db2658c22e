"""Several workflows on one running server."""

from __future__ import annotations

import time
from typing import Any

import pytest


def restoring(seed: int, frames: int = 4) -> dict[str, Any]:
    """Degrade blank crops with a seed and restore them."""
    blank = {"width": 64, "height": 64, "batch_size": frames, "color": 0x805030}
    amounts = {"blur": 1.0, "motion": 0.0, "downsample": 1.0, "noise": 90.0, "sensor_noise": 0.0}
    return {
        "1": {"class_type": "EmptyImage", "inputs": blank},
        "2": {
            "class_type": "CodeFormerDegradeImage",
            "inputs": {"image": ["1", 0], **amounts, "jpeg_quality": 0, "seed": seed},
        },
        "3": {"class_type": "CodeFormerLoader", "inputs": {"file": "tiny.safetensors"}},
        "4": {
            "class_type": "CodeFormerRestoreFaces",
            "inputs": {"crops": ["2", 0], "model": ["3", 0], "fidelity": 0.5},
        },
        "5": {"class_type": "PreviewImage", "inputs": {"images": ["4", 0]}},
    }


def pictures(server: Any, entry: dict[str, Any]) -> list[bytes]:
    """What the preview shows."""
    assert entry["status"]["status_str"] == "success", entry["status"]
    return [server.picture(saved) for saved in entry["outputs"]["5"]["images"]]


@pytest.fixture(scope="module")
def alone(server: Any) -> list[list[bytes]]:
    """The pictures of three prompts, each run by itself with nothing cached."""
    results = []
    for seed in range(3):
        results.append(pictures(server, server.wait(server.post(restoring(seed)))))
        server.request("/free", {"unload_models": True, "free_memory": True})
    return results


def test_queued_workflows_give_what_each_gives_alone(server: Any, alone: list[list[bytes]]) -> None:
    queued = [server.post(restoring(seed)) for seed in range(3)]
    assert [pictures(server, server.wait(each)) for each in queued] == alone


def test_cancelling_one_leaves_the_next_in_the_queue_right(
    server: Any, alone: list[list[bytes]]
) -> None:
    server.request("/free", {"unload_models": True, "free_memory": True})
    long, short = server.post(restoring(7, frames=4096)), server.post(restoring(1))
    while long not in server.json(f"/history/{long}"):
        # Only that prompt, and only once it is running.
        server.request("/interrupt", {"prompt_id": long})
        time.sleep(0.1)
    assert server.wait(long)["status"]["status_str"] == "error"
    assert pictures(server, server.wait(short)) == alone[1]
