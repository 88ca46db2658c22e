"""Imports that fail are told with their cause and remedy."""

import sys

import pytest

from codeformer_core.errors import MissingModelError
from codeformer_core.messages import describe_error
from codeformer_core.packages import import_remedy, needed_for


def failing_import(name: str, error: str, tmp_path, monkeypatch) -> None:
    (tmp_path / f"{name}.py").write_text(f"raise {error}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)


def test_a_missing_package_is_named_as_pip_calls_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingModelError) as error, needed_for("reading", "opencv-python"):
        import cv2  # noqa: F401
    assert str(error.value) == "reading needs the package opencv-python: pip install opencv-python"


def test_a_package_that_another_one_needs_is_named(monkeypatch, tmp_path):
    error = "ModuleNotFoundError('no lower', name='lower.part')"
    failing_import("upper", error, tmp_path, monkeypatch)
    with pytest.raises(MissingModelError, match=r"pip install lower$"), needed_for("x", "upper"):
        __import__("upper")


@pytest.mark.parametrize(
    "library", ["libGL.so.1", "libgthread-2.0.so.0", "libSM.so.6", "libXext.so.6", "libEGL.so.1"]
)
@pytest.mark.parametrize("module", ["cv2", "facexlib"])  # which imports cv2
def test_opencv_without_a_desktop_is_told_to_go_without(monkeypatch, tmp_path, library, module):
    cause = f"{library}: cannot open shared object file: No such file or directory"
    failing_import(module, f"ImportError({cause!r})", tmp_path, monkeypatch)
    with pytest.raises(MissingModelError) as error, needed_for("x", module, "use another"):
        __import__(module)
    message = str(error.value)
    assert cause in message
    assert "pip install opencv-python-headless; or use another" in message


@pytest.mark.parametrize(
    "error",
    [
        "ImportError('libtiff.so.6: cannot open shared object file')",
        "ImportError('DLL load failed while importing _core')",
        "OSError('libturbojpeg.so.0: cannot open shared object file')",
    ],
)
def test_other_native_libraries_are_named_with_the_package(monkeypatch, tmp_path, error):
    failing_import("some_package", error, tmp_path, monkeypatch)
    with pytest.raises(MissingModelError) as raised, needed_for("x", "some-package"):
        __import__("some_package")
    assert "some-package is here but cannot be loaded" in str(raised.value)
    assert error.partition("'")[2].rstrip("')") in str(raised.value)
    assert "pip install --force-reinstall some-package" in str(raised.value)


def test_the_command_line_says_the_remedy_too():
    error = ModuleNotFoundError("No module named 'cv2'", name="cv2")
    assert describe_error(error).endswith(import_remedy(error))
    assert import_remedy(error) == "pip install opencv-python"
