"""Finding models in folders, and choosing a detector."""

from pathlib import Path

import pytest

from codeformer_core.checkpoints import save_network
from codeformer_core.downloads import find
from codeformer_core.errors import CheckpointError, MissingModelError
from codeformer_core.models import find as models


@pytest.fixture(autouse=True)
def empty_home(tmp_path, monkeypatch) -> Path:
    """A user without any model."""
    cache = tmp_path / "home-cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("LOCALAPPDATA", str(cache))
    monkeypatch.delenv(models.FOLDERS_VARIABLE, raising=False)
    return cache / "codeformer"


def place(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).touch()
    return folder / name


def test_folders_are_the_option_then_the_variable_then_the_cache(tmp_path, monkeypatch, empty_home):
    separator = models.os.pathsep
    monkeypatch.setenv(models.FOLDERS_VARIABLE, f"/a{separator}{separator}/b")
    expected = (tmp_path, Path("/a"), Path("/b"), empty_home)
    assert models.model_folders(tmp_path) == expected
    assert models.model_folders() == expected[1:]


def test_known_files_are_found_in_folders_and_in_comfyui_folders(tmp_path):
    file = find("codeformer.pth")
    assert models.find_known(file, [tmp_path]) is None
    inside = place(tmp_path / "models" / file.folder, "codeformer.pth")
    assert models.find_known(file, [tmp_path / "models"]) == inside
    outside = place(tmp_path / "models", "codeformer.safetensors")
    assert models.find_known(file, [tmp_path / "models"]) == outside


def test_the_first_folder_wins(tmp_path):
    file = find("retinaface_resnet50")
    second = place(tmp_path / "b", file.name)
    assert models.find_known(file, [tmp_path / "a", tmp_path / "b"]) == second
    first = place(tmp_path / "a", file.name)
    assert models.find_known(file, [tmp_path / "a", tmp_path / "b"]) == first


def test_model_is_loaded_by_path_and_by_known_name(tmp_path, tiny_codeformer):
    save_network(tmp_path / "codeformer.safetensors", tiny_codeformer)
    by_path = models.load_model(tmp_path / "codeformer.safetensors")
    by_name = models.load_model("codeformer.pth", folders=[tmp_path])
    assert by_path.size == by_name.size == 64


def test_known_model_that_is_not_there_says_how_to_get_it(tmp_path):
    with pytest.raises(MissingModelError, match=r"[Dd]ownload codeformer\.pth"):
        models.load_model("codeformer.pth", folders=[tmp_path])


def test_unknown_model_names_the_choices(tmp_path):
    with pytest.raises(MissingModelError, match="builtin"):
        models.load_model("nonsense", folders=[tmp_path])


@pytest.fixture
def loaded(monkeypatch) -> list[Path]:
    """Paths that would have been loaded as RetinaFace."""
    paths: list[Path] = []
    monkeypatch.setattr(models, "_retinaface", lambda path, device: paths.append(path))
    return paths


def test_auto_prefers_the_larger_retinaface(tmp_path, loaded):
    mobile = place(tmp_path, "detection_mobilenet0.25_Final.pth")
    models.load_detector("auto", folders=[tmp_path])
    resnet = place(tmp_path, "detection_Resnet50_Final.pth")
    models.load_detector("auto", folders=[tmp_path])
    models.load_detector("retinaface_mobile0.25", folders=[tmp_path])
    assert loaded == [mobile, resnet, mobile]


def test_auto_takes_dlib_where_there_are_no_weights(tmp_path):
    pytest.importorskip("dlib")
    assert models.load_detector("auto", folders=[tmp_path]).name == "dlib"


def test_auto_without_anything_names_the_choices(tmp_path, monkeypatch):
    def missing() -> None:
        raise MissingModelError("no dlib")

    monkeypatch.setattr("codeformer_core.faces.DlibDetector", missing)
    with pytest.raises(MissingModelError) as raised:
        models.load_detector("auto", folders=[tmp_path])
    message = str(raised.value)
    assert "dlib-bin" in message
    assert "detection_Resnet50_Final.pth" in message
    assert str(tmp_path) in message


def test_named_detector_without_weights_says_how_to_get_them(tmp_path):
    with pytest.raises(MissingModelError, match=r"download detection_Resnet50_Final\.pth"):
        models.load_detector("retinaface_resnet50", folders=[tmp_path])


def test_unknown_detector_names_the_choices(tmp_path):
    with pytest.raises(MissingModelError, match="dlib, retinaface_resnet50"):
        models.load_detector("YOLO", folders=[tmp_path])


def test_detector_given_by_path(tmp_path, loaded):
    path = place(tmp_path, "mine.pth")
    models.load_detector(str(path), folders=[tmp_path])
    assert loaded == [path]


def test_a_restoration_model_is_no_detector(tmp_path, tiny_codeformer):
    path = save_network(tmp_path / "model.safetensors", tiny_codeformer)
    with pytest.raises(CheckpointError, match="no face detector"):
        models.load_detector(str(path), folders=[tmp_path])
