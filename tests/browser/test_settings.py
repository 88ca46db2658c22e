"""The settings of the browser part, and the colours of the user's theme."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

FIDELITY = "CodeFormer.Defaults.Fidelity"


@pytest.fixture
def settings(desk: Any) -> Iterator[Any]:
    """The desk; its settings go back to where they were."""
    yield desk
    desk.set(FIDELITY, 0.5)
    desk.set("Comfy.ColorPalette", "dark")


def test_new_nodes_start_with_the_users_fidelity_and_saved_ones_keep_theirs(settings: Any) -> None:
    types = ("CodeFormerRestoreImage", "CodeFormerDecodeFaces")
    nodes = [{"type": kind, "at": [100 + 350 * place, 100]} for place, kind in enumerate(types)]
    settings.set(FIDELITY, 0.8)
    restore, decode = settings.build(nodes, [])
    assert settings.widget(restore, "fidelity") == 0.8
    assert settings.widget(decode, "fidelity") == 0.8
    settings.set(FIDELITY, 0.1)
    settings.reload()
    assert settings.widget(restore, "fidelity") == 0.8


def test_panel_has_the_colours_of_the_theme(settings: Any) -> None:
    settings.build([{"type": "CodeFormerSelectFaces", "at": [300, 200], "size": [400, 500]}], [])
    page = settings.page
    page.wait_for_selector(".codeformer-picker")
    shades = {}
    for theme in ("dark", "light"):
        settings.set("Comfy.ColorPalette", theme)
        page.wait_for_timeout(500)
        shades[theme] = [
            page.eval_on_selector(selector, BRIGHTNESS, key)
            for selector, key in (
                (".codeformer-picker .codeformer-stage", "backgroundColor"),
                (".codeformer-picker [data-do=all]", "backgroundColor"),
                (".codeformer-picker [data-do=all]", "color"),
            )
        ]
        settings.picture(theme)
    (stage, button, text), (light_stage, light_button, light_text) = shades.values()
    assert max(stage, button) < text
    assert min(light_stage, light_button) > light_text


BRIGHTNESS = """(element, key) => {
  const [red, green, blue] = getComputedStyle(element)[key].match(/[0-9.]+/g).map(Number);
  return red + green + blue;
}"""
