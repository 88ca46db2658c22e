"""Workflows made for facerestore_cf open with our nodes, where the host can replace nodes.

The host replaces only nodes that are not installed. Older hosts know no replacements; then the
table in docs/other-packs.md says what to use.
"""

from __future__ import annotations

from typing import Any

import comfy_api.latest as api
from comfy_api.latest import io

from .messages import server

REPLACEMENTS: tuple[dict[str, Any], ...] = (
    {
        "old_node_id": "FaceRestoreModelLoader",
        "new_node_id": "CodeFormerLoader",
        "old_widget_ids": ["model_name"],
        "input_mapping": [{"new_id": "file", "old_id": "model_name"}],
        "output_mapping": [{"new_idx": 0, "old_idx": 0}],
    },
    {
        "old_node_id": "FaceRestoreCFWithModel",
        "new_node_id": "CodeFormerRestoreImage",
        "old_widget_ids": ["facedetection", "codeformer_fidelity"],
        # Of a detector's name: see `shared.detector_or_default`, and web/lib/forerunners.js.
        "input_mapping": [
            {"new_id": "image", "old_id": "image"},
            {"new_id": "detector", "old_id": "facedetection"},
            {"new_id": "model", "old_id": "facerestore_model"},
            {"new_id": "fidelity", "old_id": "codeformer_fidelity"},
        ],
        "output_mapping": [{"new_idx": 0, "old_idx": 0}],
    },
    {
        "old_node_id": "CropFace",
        "new_node_id": "CodeFormerCropFaces",
        "old_widget_ids": ["facedetection"],
        "input_mapping": [
            {"new_id": "image", "old_id": "image"},
            {"new_id": "faces", "old_id": "facedetection"},
        ],
        "output_mapping": [{"new_idx": 0, "old_idx": 0}],
    },
)
"""facerestore_cf's three nodes, in the words of the host's `io.NodeReplace`."""


async def register_replacements() -> None:
    """Tell a running host what stands in for facerestore_cf's nodes, if it takes such advice."""
    replace = getattr(io, "NodeReplace", None)
    make_api = getattr(api, "ComfyAPI", None)
    replacing = None if make_api is None else getattr(make_api(), "node_replacement", None)
    if replace is None or replacing is None or server() is None:
        return
    for replacement in REPLACEMENTS:
        await replacing.register(replace(**replacement))
