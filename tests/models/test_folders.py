"""Finding models in folders, and choosing a detector."""

import sys
from pathlib import Path

import pytest
import torch

from codeformer_core.checkpoints import save_network
from codeformer_core.downloads import find
from codeformer_core.errors import CheckpointError, MissingModelError
from codeformer_core.models import folders, load


@pytest.fixture(autouse=True)
def empty_home(tmp_path, monkeypatch) -> Path:
    """A user without any model."""
    cache = tmp_path / "home-cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("LOCALAPPDATA", str(cache))
    monkeypatch.delenv(folders.FOLDERS_VARIABLE, raising=False)
    return cache / "codeformer"


def place(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).touch()
    return folder / name


def test_folders_are_the_option_then_the_variable_then_the_cache(tmp_path, monkeypatch, empty_home):
    separator = folders.os.pathsep
    monkeypatch.setenv(folders.FOLDERS_VARIABLE, f"/a{separator}{separator}/b")
    expected = (tmp_path, Path("/a"), Path("/b"), empty_home)
    assert folders.model_folders(tmp_path) == expected
    assert folders.model_folders() == expected[1:]


def test_known_files_are_found_in_folders_and_in_comfyui_folders(tmp_path):
    file = find("codeformer.pth")
    assert folders.find_known(file, [tmp_path]) is None
    inside = place(tmp_path / "models" / file.folder, "codeformer.pth")
    assert folders.find_known(file, [tmp_path / "models"]) == inside
    outside = place(tmp_path / "models", "codeformer.safetensors")
    assert folders.find_known(file, [tmp_path / "models"]) == outside


def test_the_first_folder_wins(tmp_path):
    file = find("retinaface_resnet50")
    second = place(tmp_path / "b", file.name)
    assert folders.find_known(file, [tmp_path / "a", tmp_path / "b"]) == second
    first = place(tmp_path / "a", file.name)
    assert folders.find_known(file, [tmp_path / "a", tmp_path / "b"]) == first


def test_model_is_loaded_by_path_and_by_known_name(tmp_path, tiny_codeformer):
    save_network(tmp_path / "codeformer.safetensors", tiny_codeformer)
    by_path = load.load_restorer(tmp_path / "codeformer.safetensors")
    by_name = load.load_restorer("codeformer.pth", folders=[tmp_path])
    assert by_path.size == by_name.size == 64


def test_known_model_that_is_not_there_says_how_to_get_it(tmp_path):
    with pytest.raises(MissingModelError, match=r"[Dd]ownload codeformer\.pth"):
        load.load_restorer("codeformer.pth", folders=[tmp_path])


def test_unknown_model_names_the_choices(tmp_path):
    with pytest.raises(MissingModelError, match="builtin"):
        load.load_restorer("nonsense", folders=[tmp_path])


@pytest.fixture
def loaded(monkeypatch) -> list[Path]:
    """Paths that would have been loaded as detectors."""
    paths: list[Path] = []
    monkeypatch.setattr(load, "load", lambda path, wanted, **options: paths.append(path))
    return paths


def test_auto_prefers_the_larger_retinaface(tmp_path, loaded):
    mobile = place(tmp_path, "detection_mobilenet0.25_Final.pth")
    load.load_detector("auto", folders=[tmp_path])
    resnet = place(tmp_path, "detection_Resnet50_Final.pth")
    load.load_detector("auto", folders=[tmp_path])
    load.load_detector("retinaface_mobile0.25", folders=[tmp_path])
    assert loaded == [mobile, resnet, mobile]


def test_auto_takes_yunet_where_there_are_no_weights(tmp_path):
    assert load.load_detector("auto", folders=[tmp_path]).name == "yunet"


def test_auto_takes_yunet_where_nothing_runs_the_weights(tmp_path, monkeypatch, caplog):
    facexlib = pytest.importorskip("facexlib.detection.retinaface")
    state = facexlib.RetinaFace(network_name="mobile0.25", device="cpu").state_dict()
    torch.save(state, tmp_path / "detection_mobilenet0.25_Final.pth")
    monkeypatch.setitem(sys.modules, "facexlib.detection.retinaface", None)
    assert load.load_detector("auto", folders=[tmp_path]).name == "yunet"
    assert "pip install --no-deps facexlib" in caplog.text
    with pytest.raises(
        MissingModelError, match="pip install --no-deps facexlib; or choose another detector"
    ):
        load.load_detector("retinaface_mobile0.25", folders=[tmp_path])


def test_commands_of_before_that_say_dlib_still_run(tmp_path, caplog):
    assert load.load_detector("dlib", folders=[tmp_path]).name == "yunet"
    assert "YuNet finds the faces" in caplog.text


def test_named_detector_without_weights_says_how_to_get_them(tmp_path):
    with pytest.raises(MissingModelError, match=r"download detection_Resnet50_Final\.pth"):
        load.load_detector("retinaface_resnet50", folders=[tmp_path])


def test_unknown_detector_names_the_choices(tmp_path):
    with pytest.raises(MissingModelError, match=r"auto, yunet, detection_Resnet50_Final\.pth"):
        load.load_detector("YOLO", folders=[tmp_path])


def test_detector_given_by_path(tmp_path, loaded):
    path = place(tmp_path, "mine.pth")
    load.load_detector(str(path), folders=[tmp_path])
    assert loaded == [path]


def test_a_restoration_model_is_no_detector(tmp_path, tiny_codeformer):
    path = save_network(tmp_path / "model.safetensors", tiny_codeformer)
    with pytest.raises(CheckpointError, match="not a face detector"):
        load.load_detector(str(path), folders=[tmp_path])
