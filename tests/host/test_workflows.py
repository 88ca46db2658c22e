"""The shipped workflows and whole prompts on a running server."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image
from skimage import data

from codeformer_core import load_codeformer, load_detector, restore_image

aiohttp = pytest.importorskip("aiohttp")

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / "workflows"
EXAMPLES = ROOT / "web" / "examples"
PHOTO = "codeformer_old_photo.jpg"
JPEG = b"\xff\xd8\xff"
"""What such a file begins with."""


@pytest.fixture(scope="module")
def photo(server: Any) -> numpy.ndarray:
    """What most workflows load, as the host decodes it, among the other examples in its folder."""
    shutil.copytree(EXAMPLES, server.base / "input", dirs_exist_ok=True)
    return decoded(server, PHOTO)


def decoded(server: Any, name: str) -> numpy.ndarray:
    """(H, W, 3) uint8, an example as the host loads it and saves it again."""
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "is"}},
    }
    return saved_picture(server, server.run(prompt), "2")


def saved_picture(server: Any, outputs: dict[str, Any], node: str) -> numpy.ndarray:
    """(H, W, 3) uint8 of the first picture a node saved."""
    with Image.open(io.BytesIO(server.picture(outputs[node]["images"][0]))) as picture:
        return numpy.asarray(picture.convert("RGB"))


def node_of(prompt: dict[str, Any], kind: str) -> str:
    """Id of the only node of a kind."""
    (found,) = [key for key, node in prompt.items() if node["class_type"] == kind]
    return found


@pytest.fixture(scope="module")
def expected(photo: numpy.ndarray) -> numpy.ndarray:
    """What the library makes of the photo without any host, as 8 bits."""
    result = restore_image(photo, load_codeformer("builtin"), load_detector("yunet"), fidelity=0.5)
    return (result.image.clamp(0, 1) * 255).numpy()


@pytest.mark.parametrize("name", ["restore a photo", "blocks"])
def test_shipped_workflow_gives_what_the_library_gives(
    server: Any,
    shipped: Callable[[str], dict[str, Any]],
    photo: numpy.ndarray,
    expected: numpy.ndarray,
    name: str,
) -> None:
    prompt = shipped(name)
    picture = saved_picture(server, server.run(prompt), node_of(prompt, "SaveImage"))
    assert picture.shape == photo.shape
    assert numpy.abs(picture - expected).max() <= 1.01
    assert numpy.abs(picture.astype(int) - photo).max() > 8, "nothing was restored"


@pytest.mark.usefixtures("photo")
def test_inpaint_faces_fills_scratches_with_the_built_in_model(
    server: Any, shipped: Callable[[str], dict[str, Any]]
) -> None:
    prompt = shipped("inpaint faces")
    filled = saved_picture(server, server.run(prompt), node_of(prompt, "SaveImage"))
    name = prompt[node_of(prompt, "LoadImage")]["inputs"]["image"]
    with Image.open(EXAMPLES / name) as picture:
        hole = numpy.asarray(picture)[..., 3] == 0
    assert hole.sum() > 1000
    assert numpy.array_equal(filled[~hole], decoded(server, name)[~hole])
    whole, filled = (each[hole].astype(int) for each in (data.astronaut(), filled))
    assert numpy.abs(filled - whole).mean() < numpy.abs(255 - whole).mean() / 4


@pytest.mark.usefixtures("photo")
def test_old_photo_grows_and_its_face_gets_colours_from_the_built_in_models(
    server: Any, shipped: Callable[[str], dict[str, Any]]
) -> None:
    prompt = shipped("old photo")
    grown = saved_picture(server, server.run(prompt), node_of(prompt, "SaveImage")).astype(int)
    assert grown.shape == (1024, 1024, 3)
    assert numpy.ptp(grown[600:], axis=2).max() <= 1, "not only the face has colours"
    red, green, blue = grown[180:310, 380:510].mean((0, 1))
    assert red > green + 15 > blue + 20


def test_blocks_let_the_faces_be_chosen(shipped: Callable[[str], dict[str, Any]]) -> None:
    prompt = shipped("blocks")
    chosen = [node_of(prompt, "CodeFormerSelectFaces"), 0]
    assert prompt[chosen[0]]["inputs"]["rule"] == "all"
    for kind in ("CodeFormerCropFaces", "CodeFormerPasteFaces"):
        assert prompt[node_of(prompt, kind)]["inputs"]["faces"] == chosen


def test_every_workflow_uses_only_nodes_and_inputs_that_exist(
    known: dict[str, Any], shipped: Callable[[str], dict[str, Any]]
) -> None:
    for path in WORKFLOWS.glob("*.json"):
        for node in shipped(path.stem).values():
            described = known[node["class_type"]]["input"]
            offered = {**described.get("required", {}), **described.get("optional", {})}
            unknown = set(node["inputs"]) - set(offered) - {"upload"}
            assert not unknown, f"{path.name}: {node['class_type']} {unknown}"
            assert set(described.get("required", {})) <= set(node["inputs"])


def test_txt2img_workflow_wants_nothing_but_a_checkpoint(
    server: Any, shipped: Callable[[str], dict[str, Any]]
) -> None:
    prompt = shipped("fix faces after txt2img")
    with pytest.raises(Exception, match="ckpt_name") as refused:
        server.post(prompt)
    (errors,) = refused.value.reasons["node_errors"].values()
    assert errors["class_type"] == "CheckpointLoaderSimple"


def restoring(seed: int, **inputs: Any) -> dict[str, Any]:
    """Restore Faces on blank crops; the seed makes each prompt new to the host's cache."""
    return {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": seed, **inputs},
        },
        "2": {"class_type": "CodeFormerLoader", "inputs": {"file": "tiny.safetensors"}},
        "3": {
            "class_type": "CodeFormerRestoreFaces",
            "inputs": {"crops": ["1", 0], "model": ["2", 0], "fidelity": 0.5},
        },
        "4": {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}},
    }


async def _watch(server: Any, prompt: dict[str, Any], cancel: bool) -> list[tuple[str, Any]]:
    """Messages of a run until it ends; with `cancel`, press Cancel at the first progress."""
    messages: list[tuple[str, Any]] = []
    address = f"ws://{server.address}/ws?clientId={server.client_id}"
    async with aiohttp.ClientSession() as session, session.ws_connect(address) as socket:
        prompt_id = await asyncio.to_thread(server.post, prompt)
        async for message in socket:
            if message.type == aiohttp.WSMsgType.BINARY:
                messages.append(("binary", message.data))
                continue
            text = json.loads(message.data)
            messages.append((text["type"], text["data"]))
            if text["type"] == "progress" and cancel:
                cancel = False
                await session.post(f"http://{server.address}/interrupt")
            if text["data"].get("prompt_id") == prompt_id and (
                text["type"].startswith(("execution_succ", "execution_int", "execution_err"))
            ):
                return messages
    return messages


def watch(server: Any, prompt: dict[str, Any], *, cancel: bool = False) -> list[tuple[str, Any]]:
    """The same, from ordinary code."""
    return asyncio.run(asyncio.wait_for(_watch(server, prompt, cancel), 120))


def test_progress_rises_to_the_end_with_a_preview(server: Any) -> None:
    messages = watch(server, restoring(1, batch_size=64))
    steps = [value for kind, value in messages if kind == "progress" and value["node"] == "3"]
    done = [step["value"] for step in steps]
    assert done == sorted(done)
    assert done[-1] == steps[-1]["max"] == 64
    assert len(done) >= 2
    previews = [value for kind, value in messages if kind == "binary"]
    assert any(JPEG in value[:200] for value in previews), "no JPEG among the previews"


def test_node_that_shows_its_result_sends_no_preview(server: Any, photo: numpy.ndarray) -> None:
    """Nodes 2.0 would keep the last one under the result."""
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": PHOTO}},
        "2": {"class_type": "CodeFormerRestoreImage", "inputs": {"image": ["1", 0], "fidelity": 0}},
    }
    messages = watch(server, prompt)
    assert messages[-1][0] == "execution_success"
    assert [value for kind, value in messages if kind == "progress" and value["node"] == "2"]
    assert not [value for kind, value in messages if kind == "binary" and JPEG in value[:200]]


def test_cancel_stops_the_run_and_the_next_one_is_right(server: Any) -> None:
    before = time.monotonic()
    messages = watch(server, restoring(2, batch_size=4096), cancel=True)
    assert messages[-1][0] == "execution_interrupted"
    assert messages[-1][1]["node_id"] == "3"
    steps = [value["value"] for kind, value in messages if kind == "progress"]
    assert steps[-1] < 4096, f"ran to its end in {time.monotonic() - before:.0f} s"
    assert watch(server, restoring(3))[-1][0] == "execution_success"


def test_free_button_evicts_and_the_next_run_gives_the_same(server: Any) -> None:
    first = saved_picture(server, server.run(restoring(4)), "4")
    server.request("/free", {"unload_models": True, "free_memory": True})
    again = saved_picture(server, server.run(restoring(4)), "4")
    assert numpy.array_equal(first, again)


def test_wrong_model_name_is_refused_when_posted(server: Any) -> None:
    prompt = restoring(5)
    prompt["2"]["inputs"]["file"] = "nowhere.safetensors"
    with pytest.raises(Exception, match="is not there"):
        server.post(prompt)


def test_damaged_model_file_fails_with_its_name_and_the_host_lives(server: Any) -> None:
    damaged = server.base / "models" / "facerestore_models" / "damaged.safetensors"
    damaged.write_bytes(b"\x10\0\0\0\0\0\0\0not a header at all")
    prompt = restoring(6)
    prompt["2"]["inputs"]["file"] = damaged.name
    with pytest.raises(Exception, match=r"damaged\.safetensors"):
        server.run(prompt)
    assert server.run(restoring(6))


def test_frames_with_and_without_faces_keep_their_number(server: Any, photo: numpy.ndarray) -> None:
    blank = {"width": 512, "height": 512, "batch_size": 2, "color": 0}
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": PHOTO}},
        "2": {"class_type": "EmptyImage", "inputs": blank},
        "3": {"class_type": "ImageBatch", "inputs": {"image1": ["1", 0], "image2": ["2", 0]}},
        "4": {"class_type": "CodeFormerLoader", "inputs": {"file": "tiny.safetensors"}},
        "5": {
            "class_type": "CodeFormerRestoreImage",
            "inputs": {"image": ["3", 0], "fidelity": 0.5, "model": ["4", 0]},
        },
        "6": {"class_type": "PreviewImage", "inputs": {"images": ["5", 0]}},
        "7": {"class_type": "MaskToImage", "inputs": {"mask": ["5", 1]}},
        "8": {"class_type": "PreviewImage", "inputs": {"images": ["7", 0]}},
    }
    outputs = server.run(prompt)
    assert len(outputs["6"]["images"]) == len(outputs["8"]["images"]) == 3
    picture, mask = (saved_picture(server, outputs, node) for node in ("6", "8"))
    # 8 bits show a mask below 1/510 as 0.
    assert numpy.abs(picture[mask == 0].astype(int) - photo[mask == 0]).max() <= 1
    assert mask.max() == 255


def test_a_preview_of_no_face_ends_well(server: Any) -> None:
    prompt = {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 96, "height": 64, "batch_size": 1, "color": 0x805030},
        },
        "2": {"class_type": "CodeFormerDetectFaces", "inputs": {"image": ["1", 0]}},
        "3": {
            "class_type": "CodeFormerCropFaces",
            "inputs": {"image": ["1", 0], "faces": ["2", 0], "size": 32},
        },
        "4": {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}},
        "5": {
            "class_type": "CodeFormerPasteFaces",
            "inputs": {"image": ["1", 0], "crops": ["3", 0], "faces": ["2", 0]},
        },
        "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "no"}},
    }
    assert server.run(prompt)
