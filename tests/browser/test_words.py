"""The translations say all that the English words say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOCALES = ROOT / "locales"
LANGUAGES = sorted(path.parent.name for path in LOCALES.glob("*/main.json"))


def words(language: str) -> dict[str, str]:
    """The words of our widgets in a language."""
    text = (LOCALES / language / "main.json").read_text(encoding="utf-8")
    return json.loads(text)["codeformer"]


def slots(text: str) -> list[str]:
    """The names in braces."""
    return sorted(re.findall(r"\{\w+\}", text))


def english() -> dict[str, str]:
    """The same in the modules themselves, which other languages stand in for."""
    source = (ROOT / "web" / "lib" / "words.js").read_text(encoding="utf-8")
    return dict(re.findall(r'^  (\w+): "(.*)",$', source, re.MULTILINE))


@pytest.mark.parametrize("language", LANGUAGES)
def test_language_is_complete(language: str) -> None:
    original, translated = english(), words(language)
    assert translated.keys() == original.keys()
    for key, text in translated.items():
        assert slots(text) == slots(original[key]), key
    settings = LOCALES / language / "settings.json"
    described = json.loads(settings.read_text(encoding="utf-8"))
    ids = re.findall(r'"(CodeFormer\.[\w.]+)"', (ROOT / "web" / "codeformer.js").read_text())
    assert {key.replace(".", "_") for key in ids} == set(described)


def test_frontend_speaks_the_users_language(chromium: Any, server: Any) -> None:
    # A page reads its language when it opens.
    before = server.json("/settings").get("Comfy.Locale", "en")
    server.request("/settings", {"Comfy.Locale": "zh"})
    try:
        page = chromium.new_page()
        page.goto(f"http://{server.address}", timeout=180_000)
        page.wait_for_function("window.app?.graph && app.extensionManager", timeout=180_000)
        page.evaluate(
            "() => { app.graph.clear();"
            " app.graph.add(LiteGraph.createNode('CodeFormerRestoreImage')); }"
        )
        page.wait_for_selector("text=选择人脸", timeout=30_000)
        page.close()
    finally:
        server.request("/settings", {"Comfy.Locale": before})
