"""Packages that only some features need: what keeps one from being imported, and their files."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from .errors import MissingModelError

DISTRIBUTIONS = {
    "cv2": "opencv-python",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "ray": "ray[data]",
    "facexlib": "--no-deps facexlib",  # its networks need nothing more; the rest weighs 90 MB
}
"""What pip installs a module by, where it is not the module's name."""
HEADLESS = "opencv-python-headless"
"""OpenCV without windows, which needs no library of a desktop."""
DESKTOP_LIBRARY = re.compile(
    r"\blib(GL|EGL|OpenGL|gthread|glib|SM|ICE|X\w*|xcb\w*|Qt\w*)[-.\w]*\.so"
)


@contextmanager
def needed_for(feature: str, package: str, otherwise: str = "") -> Iterator[None]:
    """Turn an import inside that fails into an error with its remedy.

    Args:
        feature: what needs the package, as the start of a sentence.
        package: what pip calls it.
        otherwise: what to do without it.

    Raises:
        MissingModelError: the package, or one it needs, is missing or cannot be loaded.
    """
    try:
        yield
    except (ImportError, OSError) as error:  # OSError: a native library that ctypes looks for
        remedy = "; or ".join(filter(None, [import_remedy(error, package), otherwise]))
        raise MissingModelError(f"{feature} needs the package {package}: {remedy}") from error


def import_remedy(error: ImportError | OSError, package: str = "") -> str:
    """Why an import failed and what to do, for a user.

    Args:
        error: what the import raised.
        package: what pip calls that which was imported, where it is known.
    """
    module = (getattr(error, "name", None) or "").partition(".")[0]
    wanted = DISTRIBUTIONS.get(module, module) or package
    if DESKTOP_LIBRARY.search(str(error)):  # no other package of ours needs one
        return (
            f"OpenCV is here but cannot be loaded ({error}): "
            f"pip uninstall opencv-python, then pip install {HEADLESS}"
        )
    if isinstance(error, ModuleNotFoundError):
        return f"pip install {wanted}"  # of a package that is there, one of its own may be missing
    return (
        f"{wanted.split(' ')[-1] or 'a package'} is here but cannot be loaded ({error}): "
        f"pip install --force-reinstall {wanted}".rstrip()
    )


def package_file(package: str, name: str) -> Path | None:
    """A data file of an installed package, which is located but never imported.

    Args:
        package: as it would be imported.
        name: path of the file below the package's folder.
    """
    spec = find_spec(package)
    folders = (spec.submodule_search_locations if spec else None) or ()
    paths = (Path(folder) / name for folder in folders)
    return next((path for path in paths if path.is_file()), None)
