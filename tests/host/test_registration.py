"""The host accepts the pack: nodes, folders, help pages, templates."""

from __future__ import annotations

from typing import Any

import pytest

NODE_IDS = {
    "CodeFormerLoader",
    "CodeFormerFaceDetectorLoader",
    "CodeFormerFaceParserLoader",
    "CodeFormerDetectFaces",
    "CodeFormerCropFaces",
    "CodeFormerRestoreFaces",
    "CodeFormerPasteFaces",
    "CodeFormerRestoreImage",
    "CodeFormerRestoreVideo",
    "CodeFormerSelectFaces",
    "CodeFormerMatchPeople",
    "CodeFormerApplyPerson",
    "CodeFormerPersonalize",
    "CodeFormerTrackFaces",
    "CodeFormerSmoothFaces",
    "CodeFormerEncodeFaces",
    "CodeFormerDecodeFaces",
    "CodeFormerFidelitySweep",
    "CodeFormerCodesToImage",
    "CodeFormerInpaintFaces",
    "CodeFormerColorizeFaces",
    "CodeFormerDegradeImage",
    "CodeFormerCompareFaces",
    "CodeFormerCompareRestorers",
    "CodeFormerConvertFile",
}


@pytest.fixture(scope="module")
def listed(server: Any) -> dict[str, Any]:
    """The host's description of our nodes."""
    everything = server.json("/object_info")
    return {name: info for name, info in everything.items() if name in NODE_IDS}


def test_every_node_is_listed(listed: dict[str, Any]) -> None:
    assert set(listed) == NODE_IDS


def _inputs(info: dict[str, Any]) -> dict[str, Any]:
    return {**info["input"].get("required", {}), **info["input"].get("optional", {})}


def test_every_input_and_output_has_a_tooltip(listed: dict[str, Any]) -> None:
    for name, info in listed.items():
        for key, (_, options, *_) in _inputs(info).items():
            assert options.get("tooltip"), f"{name}.{key}"
        assert len(info["output_tooltips"]) == len(info["output"])
        assert all(info["output_tooltips"]), name


def test_image_and_fidelity_are_enough_for_the_all_in_one_node(listed: dict[str, Any]) -> None:
    assert set(listed["CodeFormerRestoreImage"]["input"]["required"]) == {"image", "fidelity"}


def test_outputs_have_the_documented_types(listed: dict[str, Any]) -> None:
    assert listed["CodeFormerRestoreImage"]["output"] == ["IMAGE", "MASK", "FACES"]
    assert listed["CodeFormerLoader"]["output"] == ["CODEFORMER_MODEL"]
    assert listed["CodeFormerDetectFaces"]["output"] == ["FACES", "MASK", "BOUNDING_BOX", "INT"]


def _entries(info: dict[str, Any]) -> list[str]:
    kind, options, *_ = _inputs(info)["file"]
    return options["options"] if kind == "COMBO" else kind


def test_loader_lists_builtin_local_and_known_files(listed: dict[str, Any]) -> None:
    entries = _entries(listed["CodeFormerLoader"])
    assert entries[:2] == ["built-in", "built-in colorization"]
    assert "tiny.safetensors" in entries
    (official,) = [entry for entry in entries if entry.startswith("download codeformer.pth")]
    assert "377 MB" in official
    assert "non-commercial" in official


def test_download_without_a_published_hash_is_not_offered(listed: dict[str, Any]) -> None:
    entries = _entries(listed["CodeFormerLoader"])
    downloads = [entry for entry in entries if entry.startswith("download ")]
    assert downloads
    assert not any("colorization" in entry for entry in downloads)


def test_boxes_come_from_other_nodes_only(listed: dict[str, Any]) -> None:
    """The frontend would make widgets of one box and send them with every prompt."""
    assert _inputs(listed["CodeFormerDetectFaces"])["known_boxes"][1]["forceInput"]


@pytest.mark.parametrize("node", sorted(NODE_IDS))
def test_every_node_has_a_help_page(server: Any, node: str) -> None:
    page = server.request(f"/extensions/codeformer/docs/{node}.md").decode()
    assert page.startswith("# ")


def test_templates_are_listed_with_thumbnails(server: Any) -> None:
    templates = server.json("/api/workflow_templates")["codeformer"]
    assert {"restore a photo", "fix faces after txt2img", "blocks"} <= set(templates)
    for name in templates:
        address = f"/api/workflow_templates/codeformer/{name.replace(' ', '%20')}"
        assert server.json(address + ".json")["version"] == 0.4
        assert server.request(address + ".jpg")[:2] == b"\xff\xd8"
