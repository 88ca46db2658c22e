"""From a loader's entry to a model: names, folders, downloads, missing packages."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

OPTIONAL = ("facexlib", "cv2", "skimage", "torchvision")


def test_one_file_is_held_once(host: SimpleNamespace, tiny: Any, tiny_file: Path) -> None:
    assert host.shared.restorer(tiny_file.name) is tiny


def test_a_replaced_file_is_loaded_again(
    host: SimpleNamespace, tiny_file: Path, tmp_path: Path
) -> None:
    copy = tiny_file.with_name("replaced.safetensors")
    shutil.copy(tiny_file, copy)
    loader = host.nodes["CodeFormerLoader"]
    first, mark = host.shared.restorer(copy.name), loader.fingerprint_inputs(copy.name)
    os.utime(copy, (1, 1))
    assert host.shared.restorer(copy.name) is not first
    assert loader.fingerprint_inputs(copy.name) != mark
    copy.unlink()


def test_the_type_of_the_weights_is_the_hosts_choice(
    host: SimpleNamespace, tiny_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crops = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1
    monkeypatch.setattr(host.memory.args, "fp32_vae", True)
    exact = host.shared.restorer(tiny_file.name)(crops)
    monkeypatch.setattr(host.memory.args, "fp32_vae", False)
    monkeypatch.setattr(host.memory.args, "bf16_vae", True)
    model = host.shared.restorer(tiny_file.name)
    assert {weights.dtype for weights in model.parameters()} == {torch.bfloat16}
    restored = model(crops)
    assert restored.dtype == torch.float32
    assert not torch.equal(restored, exact)
    host.memory.unload_all_models()


def test_folders_of_the_user_are_kept(
    host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folders = host.folder_paths.folder_names_and_paths
    monkeypatch.setitem(folders, "facerestore_models", ([str(tmp_path)], set()))
    (tmp_path / "mine.pth").touch()
    (tmp_path / "notes.txt").touch()
    host.adapter.register_folders()
    paths, extensions = folders["facerestore_models"]
    assert paths[0] == str(tmp_path)
    assert len(paths) == 2
    assert extensions == set()
    assert "mine.pth" in host.adapter.model_files(["facerestore_models"])
    assert "notes.txt" not in host.adapter.model_files(["facerestore_models"])


def test_a_new_folder_lists_weight_files_only(
    host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = host.folder_paths.folder_names_and_paths
    monkeypatch.delitem(folders, "facedetection")
    host.adapter.register_folders()
    paths, extensions = folders["facedetection"]
    assert paths == [str(host.base / "models" / "facedetection")]
    assert {".safetensors", ".pth"} <= extensions


def test_a_wrong_name_is_refused_with_the_choices(host: SimpleNamespace, tiny_file: Path) -> None:
    answer = host.nodes["CodeFormerLoader"].validate_inputs("nowhere.pth")
    assert "'nowhere.pth' is not there" in answer
    assert "facerestore_models" in answer
    assert tiny_file.name in answer


def test_a_path_outside_of_the_model_folders_is_refused(
    host: SimpleNamespace, tiny_file: Path, tmp_path: Path
) -> None:
    shutil.copy(tiny_file, tmp_path / "outside.safetensors")
    for entry in (str(tmp_path / "outside.safetensors"), "../../outside.safetensors"):
        assert host.nodes["CodeFormerLoader"].validate_inputs(entry) is not True


@pytest.fixture
def allow(host: SimpleNamespace) -> Iterator[Callable[[], None]]:
    """Switch off 'Ask before downloading a model' as the frontend saves it, until the test ends."""
    path = host.base / "user" / "default" / "comfy.settings.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    yield lambda: path.write_text('{"CodeFormer.Downloads.Ask": false}', encoding="utf-8")
    path.unlink(missing_ok=True)


def test_a_download_entry_stays_valid_when_its_text_changes(
    host: SimpleNamespace, allow: Callable[[], None]
) -> None:
    entry = "download codeformer.pth | 1 MB | some older wording"
    validate = host.nodes["CodeFormerLoader"].validate_inputs
    assert "Press Download in the loader node" in validate(entry)
    assert "is not there" in validate("download evil.pth | 1 MB | MIT")
    allow()
    assert validate(entry) is True


def test_names_of_facerestore_cf_find_the_file(
    host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = host.base / "models" / "facedetection" / "detection_mobilenet0.25_Final.pth"
    loader = host.nodes["CodeFormerFaceDetectorLoader"]
    assert loader.validate_inputs("retinaface_mobile0.25") is not True
    file.touch()
    assert loader.validate_inputs("retinaface_mobile0.25") is True
    file.unlink()


@pytest.fixture
def fetched(host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path]]:
    """Replace the downloader; the list grows by each (name, folder) it is asked for."""
    asked: list[tuple[str, Path]] = []

    def fake(known: Any, folder: Path, on_progress: Any = None, cancelled: Any = None) -> Path:
        asked.append((known.name, folder))
        on_progress(1, 2)
        if cancelled():
            raise host.core("errors").DownloadError("stopped")
        raise host.core("errors").DownloadError("the test has no network")

    monkeypatch.setattr(host.core("downloads.download"), "download", fake)
    return asked


def _entry(host: SimpleNamespace, name: str) -> str:
    entries = host.choices.RESTORERS.options()
    return next(entry for entry in entries if entry.startswith(f"download {name}"))


def test_only_an_allowed_download_entry_downloads(
    host: SimpleNamespace,
    fetched: list[tuple[str, Path]],
    tiny_file: Path,
    allow: Callable[[], None],
) -> None:
    host.shared.restorer(tiny_file.name)
    for entry in ("codeformer.pth", _entry(host, "codeformer.pth")):
        with pytest.raises(host.core("errors").MissingModelError):
            host.shared.restorer(entry)
    allow()
    with pytest.raises(host.core("errors").MissingModelError):
        host.shared.restorer("codeformer.pth")
    assert fetched == []
    with pytest.raises(host.core("errors").DownloadError, match="no network"):
        host.shared.restorer(_entry(host, "codeformer.pth"))
    assert fetched == [("codeformer.pth", host.base / "models" / "facerestore_models")]


def test_gfpgan_can_be_downloaded_into_the_folder_of_its_loader(
    host: SimpleNamespace,
    fetched: list[tuple[str, Path]],
    monkeypatch: pytest.MonkeyPatch,
    allow: Callable[[], None],
) -> None:
    entry = _entry(host, "GFPGANv1.4.pth")
    assert entry.endswith("349 MB | Apache-2.0")
    allow()
    with pytest.raises(host.core("errors").DownloadError, match="no network"):
        host.shared.restorer(entry)
    assert fetched == [("GFPGANv1.4.pth", host.base / "models" / "facerestore_models")]
    # Once it is there, both its name and the entry load it.
    (path,) = (folder / name for name, folder in fetched)
    torch.save({"stylegan_decoder.style_mlp.1.weight": torch.zeros(1)}, path)
    model = torch.nn.Identity()
    monkeypatch.setattr(host.core("models.load"), "load", lambda *_, **__: model)
    assert host.shared.restorer(entry) is host.shared.restorer(path.name) is model
    path.unlink()


def test_cancel_stops_a_download_as_an_interruption(
    host: SimpleNamespace,
    fetched: list[tuple[str, Path]],
    monkeypatch: pytest.MonkeyPatch,
    allow: Callable[[], None],
) -> None:
    allow()
    monkeypatch.setattr(host.adapter.ProgressBar, "__call__", lambda *_: None)
    host.memory.interrupt_current_processing(True)
    with pytest.raises(host.memory.InterruptProcessingException):
        host.shared.restorer(_entry(host, "codeformer.pth"))
    assert not host.memory.processing_interrupted()


def test_the_pack_loads_without_any_optional_package(
    host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Importing also stays cheap: none of these, some of them slow, is imported on the way."""
    for name in OPTIONAL:
        monkeypatch.setitem(sys.modules, name, None)
    pack = host.import_pack("codeformer_pack_bare")
    extension = asyncio.run(pack.comfy_entrypoint())
    nodes = asyncio.run(extension.get_node_list())
    assert all(node.GET_SCHEMA().node_id for node in nodes)


def test_without_opencv_the_error_says_what_to_install(
    host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host.shared, "_kept", {})
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(host.core("errors").MissingModelError, match="pip install opencv-python"):
        host.shared.detector_or_default(None)


@pytest.fixture
def retinaface_file(host: SimpleNamespace) -> Iterator[Path]:
    """Random RetinaFace weights under their published name, as they are published."""
    from facexlib.detection.retinaface import RetinaFace

    network = RetinaFace(network_name="mobile0.25", device="cpu")
    file = host.base / "models" / "facedetection" / "detection_mobilenet0.25_Final.pth"
    torch.save({f"module.{key}": value for key, value in network.state_dict().items()}, file)
    yield file
    file.unlink(missing_ok=True)


def test_retinaface_weights_of_the_user_are_preferred(
    host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, retinaface_file: Path
) -> None:
    monkeypatch.setattr(host.shared, "_kept", {})
    detector = host.shared.detector_or_default(None)
    runtime = host.adapter.HostRuntime()
    detector.detect(torch.rand(1, 32, 32, 3), search_size=64, runtime=runtime)
    assert host.patcher(detector.network) in host.memory.loaded_models()
    retinaface_file.unlink()
    assert host.shared.detector_or_default(None).name == "yunet"
    host.memory.unload_all_models()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_automatic_notices_weights_that_come_later(
    host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, retinaface_file: Path, suffix: str
) -> None:
    from safetensors.torch import save_file

    monkeypatch.setattr(host.shared, "_kept", {})
    state, file = torch.load(retinaface_file, weights_only=True), retinaface_file
    loader = host.nodes["CodeFormerFaceDetectorLoader"]
    file.unlink()
    before = loader.fingerprint_inputs("automatic")
    assert host.shared.detector("automatic").name == "yunet"
    arrived = file.with_suffix(suffix)
    torch.save(state, file) if suffix == ".pth" else save_file(state, arrived)
    try:
        first = loader.fingerprint_inputs("automatic")
        detector = host.shared.detector("automatic")
        assert detector.name == "retinaface_mobile0.25"
        assert host.shared.detector("automatic") is detector
        os.utime(arrived, (1, 1))
        assert len({before, first, loader.fingerprint_inputs("automatic")}) == 3
        assert host.shared.detector("automatic") is not detector
    finally:
        arrived.unlink()


def test_automatic_detector_is_not_taken_for_yunet(
    host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, retinaface_file: Path
) -> None:
    monkeypatch.setattr(host.shared, "_kept", {})
    assert host.shared.detector("automatic").name != "yunet"
    assert host.shared.detector("yunet").name == "yunet"


def test_automatic_takes_yunet_where_nothing_runs_the_weights(
    host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, retinaface_file: Path
) -> None:
    monkeypatch.setattr(host.shared, "_kept", {})
    monkeypatch.setitem(sys.modules, "facexlib.detection.retinaface", None)
    assert host.shared.detector("automatic").name == "yunet"
    with pytest.raises(host.core("errors").MissingModelError, match="--no-deps facexlib"):
        host.shared.detector(retinaface_file.name)


def test_workflows_of_before_that_say_dlib_still_run(host: SimpleNamespace) -> None:
    loader = host.nodes["CodeFormerFaceDetectorLoader"]
    assert loader.validate_inputs("dlib") is True
    assert loader.fingerprint_inputs("dlib") == "dlib"
    assert loader.execute("dlib").args[0].name == "yunet"
    assert "dlib" not in host.choices.DETECTORS.options()


def test_parser_makes_the_mask(host: SimpleNamespace) -> None:
    from facexlib.parsing import BiSeNet

    file = host.base / "models" / "facedetection" / "parsing_bisenet.pth"
    torch.save(BiSeNet(num_class=19).state_dict(), file)
    parser = host.shared.parser(file.name)
    masks = parser.masks(torch.rand(1, 64, 64, 3), runtime=host.adapter.HostRuntime())
    assert masks.shape == (1, 512, 512)
    assert host.patcher(parser.network) in host.memory.loaded_models()
    host.memory.unload_all_models()
    file.unlink()


def test_a_file_of_another_kind_is_refused_by_name(
    host: SimpleNamespace, retinaface_file: Path
) -> None:
    with pytest.raises(host.core("errors").CheckpointError, match="detection_mobilenet"):
        host.shared.parser(retinaface_file.name)


def test_an_old_file_is_converted_beside_itself_and_never_over_another(
    host: SimpleNamespace, tiny_file: Path
) -> None:
    state, _ = host.core("checkpoints").read_state(tiny_file)
    old = tiny_file.with_name("old.pth")
    torch.save({"params_ema": state}, old)
    node = host.nodes["CodeFormerConvertFile"]
    assert host.choices.convertible_files() == ["old.pth"]
    (name,) = node.execute(file="old.pth").args
    assert name == "old.safetensors"
    assert host.shared.restorer(name).size == 64
    with pytest.raises(host.core("errors").SettingError, match="delete it to convert anew"):
        node.execute(file="old.pth")
    before = node.fingerprint_inputs(file="old.pth")
    assert before == node.fingerprint_inputs(file="old.pth")
    os.utime(old, (1, 1))
    later = node.fingerprint_inputs(file="old.pth")
    assert later != before
    old.with_suffix(".safetensors").unlink()
    lost = node.fingerprint_inputs(file="old.pth")
    assert lost not in (before, later)  # to be converted once more
    node.execute(file="old.pth")
    assert node.fingerprint_inputs(file="old.pth") == lost  # and no more
    (below := old.parent / "sub").mkdir()
    (again,) = node.execute(file=str(Path(shutil.copy(old, below)).relative_to(old.parent))).args
    assert host.shared.restorer(again).size == 64
    shutil.rmtree(below)
    with pytest.raises(host.core("errors").MissingModelError, match=r"old\.pth"):
        node.execute(file="gone.pth")
    old.with_suffix(".safetensors").unlink()
    old.unlink()


@pytest.mark.parametrize(
    ("node", "name"),
    [
        ("CodeFormerLoader", "file"),
        ("CodeFormerFaceDetectorLoader", "file"),
        ("CodeFormerFaceParserLoader", "file"),
        ("CodeFormerApplyPerson", "adapter"),
        ("CodeFormerPersonalize", "base"),
    ],
)
def test_a_name_that_another_node_gives_is_checked_in_the_run(
    host: SimpleNamespace, node: str, name: str
) -> None:
    linked = host.nodes[node]
    assert linked.validate_inputs(**{name: None}) is True
    others = {"name": "anna"} if node == "CodeFormerPersonalize" else {}
    assert linked.fingerprint_inputs(**{name: None}, **others) == ""


NAMES = ("retinaface_resnet50", "retinaface_mobile0.25", "YOLOv5l", "YOLOv5n")


@pytest.mark.parametrize("name", NAMES)
def test_the_detectors_of_facerestore_cf_are_files_or_downloads(
    host: SimpleNamespace, name: str
) -> None:
    problem = host.choices.DETECTORS.problem(name)
    assert "is not on this computer" in problem
    assert "Press Download" in problem


@pytest.mark.parametrize(
    ("node", "slot"), [("CodeFormerRestoreImage", "detector"), ("CodeFormerCropFaces", "faces")]
)
def test_a_replaced_node_uses_the_detector_that_the_old_one_named(
    host: SimpleNamespace, node: str, slot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    yolo, found = host.core("networks.yolo_face"), []
    config = yolo.YoloFaceConfig(8, (8, 16, 16), (2, 1, 3), True, ((8, 8, 1),) * 4)
    path = host.base / "models" / "facedetection" / "yolov5n-face.pth"
    torch.save(yolo.YoloFace(config).state_dict(), path)
    original = host.core("faces").YoloFaceDetector.detect

    def spy(detector: Any, *args: Any, **more: Any) -> Any:
        found.append(host.patcher(detector.network))
        return original(detector, *args, **more)

    monkeypatch.setattr(host.core("faces").YoloFaceDetector, "detect", spy)
    with torch.inference_mode():
        inputs = {"image": torch.rand(1, 64, 64, 3), slot: "YOLOv5n"}
        more = {"fidelity": 0.5} if slot == "detector" else {}
        host.nodes[node].execute(**inputs, **more)
    assert len(found) == 1
    assert found[0] in host.memory.loaded_models(), "under the memory manager"
    assert host.choices.best_detector() != path, "automatic does not take it"
    path.unlink()
    host.memory.unload_all_models()
