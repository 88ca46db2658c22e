"""The version of the library and of the pack; pyproject.toml alone names it."""

import re
from pathlib import Path

PROJECT = "codeformer-blocks"


def read_version() -> str:
    """Read the version beside this package, in the project it lies in or was installed from.

    ComfyUI runs the pack where it was cloned, without installing it; there, as in an editable
    installation, pyproject.toml is newer than anything pip noted.
    """
    from importlib.metadata import version

    file = Path(__file__).parents[1] / "pyproject.toml"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    found = re.search(rf'^name = "{PROJECT}"\nversion = "(.+)"$', text, re.MULTILINE)
    return found[1] if found else version(PROJECT)
