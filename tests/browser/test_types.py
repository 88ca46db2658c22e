"""The browser part's JSDoc types hold against the frontend's own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGES = ("typescript@5.9.3", "@comfyorg/comfyui-frontend-types@1.45.6")
"""Newer releases of the frontend's types are empty."""

HERE = Path(__file__).parent
WEB = HERE.parents[1] / "web"


@pytest.fixture(scope="module")
def modules(comfy_root: Path) -> Path:
    """A node_modules folder with the packages, outside of the tree; installed the first time."""
    home = comfy_root.parent / "node"
    npm = shutil.which("npm")
    if npm is None:
        reason = "no npm: apt-get install npm (it installs the type checker of web/)"
        if os.environ.get("CODEFORMER_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    folder = home / "node_modules"
    if not (home / "done").exists():
        home.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--prefix", str(home), "--no-audit", "--no-package-lock"]
        subprocess.run([*command, *PACKAGES], check=True, capture_output=True)
        (home / "done").touch()
    return folder


def check(folder: Path, modules: Path, *sources: str) -> subprocess.CompletedProcess[str]:
    """Run the type checker with our settings on these sources."""
    settings = {
        "extends": str(HERE / "tsconfig.json"),
        "compilerOptions": {"paths": {"*": [f"{modules}/*"]}},
        "include": [str(HERE / "host.d.ts"), *sources],
    }
    (folder / "tsconfig.json").write_text(json.dumps(settings))
    command = ["node", str(modules / "typescript" / "bin" / "tsc"), "-p", str(folder)]
    return subprocess.run(command, capture_output=True, text=True)


def test_web_modules_type_check(modules: Path, tmp_path: Path) -> None:
    result = check(tmp_path, modules, f"{WEB}/**/*.js")
    assert result.returncode == 0, result.stdout


def test_the_check_knows_the_frontend_and_finds_mistakes(modules: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.js"
    wrong.write_text('import { app } from "../../scripts/app.js";\napp.registerExtension(1);\n')
    result = check(tmp_path, modules, str(wrong))
    assert "wrong.js(2," in result.stdout


def test_modules_patch_no_prototype_and_make_no_globals() -> None:
    for path in WEB.rglob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert ".prototype" not in text, path.name
        assert "window." not in text and "globalThis" not in text, path.name
        assert text.count("\n") < 400, path.name
