"""A host on which the pack's own packages are not installed starts, and its nodes say so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

MISSING = ("cv2", "facexlib", "skimage", "tifffile")

BLOCKER = f"""
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {MISSING}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
"""
"""Python runs this at its start, before anything else is imported."""

RETINAFACE = "detection_mobilenet0.25_Final.pth"


@pytest.fixture(scope="module")
def bare(
    comfy_root: Path,
    host_tools: Any,
    tmp_path_factory: pytest.TempPathFactory,
    write_tiny_model: Callable[[Path], Path],
) -> Iterator[Any]:
    """A started ComfyUI with the pack, weight files and none of the packages."""
    from facexlib.detection.retinaface import RetinaFace

    base = host_tools.make_base(tmp_path_factory.mktemp("bare"))
    write_tiny_model(base / "models" / "facerestore_models" / "tiny.safetensors")
    weights = RetinaFace(network_name="mobile0.25", device="cpu").state_dict()
    torch.save(weights, base / "models" / "facedetection" / RETINAFACE)
    blocker = tmp_path_factory.mktemp("blocker")
    guard = (host_tools.GUARD / "sitecustomize.py").read_text()
    (blocker / "sitecustomize.py").write_text(BLOCKER + guard)
    with host_tools.running(comfy_root, base, PYTHONPATH=str(blocker)) as started:
        yield started


def prompt(kind: str, **inputs: Any) -> dict[str, Any]:
    """A node on a blank picture."""
    blank = {"width": 64, "height": 64, "batch_size": 1, "color": 0x805030}
    return {
        "1": {"class_type": "EmptyImage", "inputs": blank},
        "2": {"class_type": "CodeFormerLoader", "inputs": {"file": "tiny.safetensors"}},
        "3": {"class_type": kind, "inputs": inputs},
        "4": {"class_type": "PreviewAny", "inputs": {"source": ["3", 0]}},
    }


def test_the_host_starts_with_every_node(bare: Any, known: dict[str, Any]) -> None:
    listed = {name for name in bare.json("/object_info") if name.startswith("CodeFormer")}
    assert listed == {name for name in known if name.startswith("CodeFormer")} != set()


@pytest.mark.parametrize(
    ("kind", "inputs", "remedy"),
    [
        (
            "CodeFormerFaceDetectorLoader",
            {"file": "yunet"},
            "pip install opencv-python",
        ),
        (
            "CodeFormerFaceDetectorLoader",
            {"file": RETINAFACE},
            "pip install --no-deps facexlib; or choose another detector",
        ),
        (
            "CodeFormerDegradeImage",
            {"image": ["1", 0], "blur": 1.0, "motion": 0.0, "downsample": 1.0, "noise": 0.0}
            | {"sensor_noise": 0.0, "jpeg_quality": 50, "seed": 1},
            "pip install opencv-python",
        ),
    ],
)
def test_a_node_says_what_to_install(
    bare: Any, kind: str, inputs: dict[str, Any], remedy: str
) -> None:
    with pytest.raises(Exception, match=remedy):
        bare.run(prompt(kind, **inputs))


def test_detection_without_any_detector_says_what_the_one_of_the_pack_needs(bare: Any) -> None:
    whole = prompt("CodeFormerRestoreImage", image=["1", 0], fidelity=0.5, model=["2", 0])
    with pytest.raises(Exception, match=r"YuNet detector needs .* pip install opencv-python"):
        bare.run(whole)


def test_what_needs_none_of_them_works(bare: Any) -> None:
    assert bare.run(prompt("CodeFormerRestoreFaces", crops=["1", 0], model=["2", 0], fidelity=0.5))
    compared = bare.run(prompt("CodeFormerCompareFaces", image=["1", 0], other=["1", 0]))
    assert "above 0.6 another): 0" in str(compared)
