"""The settings of the browser part, and the colours of the user's theme."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

PREFIX = "CodeFormer."
DEFAULTS = {"Defaults.Fidelity": 0.5, "Defaults.Detector": "automatic"}


@pytest.fixture
def settings(desk: Any) -> Iterator[Any]:
    """The desk; its settings go back to where they were."""
    yield desk
    for name, value in DEFAULTS.items():
        desk.set(PREFIX + name, value)
    desk.set("Comfy.ColorPalette", "dark")


def test_new_nodes_start_with_the_users_defaults_and_saved_ones_keep_theirs(settings: Any) -> None:
    types = ("CodeFormerRestoreImage", "CodeFormerDecodeFaces", "CodeFormerFaceDetectorLoader")
    nodes = [{"type": kind, "at": [100 + 350 * place, 100]} for place, kind in enumerate(types)]
    settings.set(PREFIX + "Defaults.Fidelity", 0.8)
    settings.set(PREFIX + "Defaults.Detector", "dlib")
    restore, decode, detector = settings.build(nodes, [])
    assert settings.widget(restore, "fidelity") == 0.8
    assert settings.widget(decode, "fidelity") == 0.8
    assert settings.widget(detector, "file") == "dlib"
    settings.set(PREFIX + "Defaults.Fidelity", 0.1)
    settings.set(PREFIX + "Defaults.Detector", "automatic")
    settings.reload()
    assert settings.widget(restore, "fidelity") == 0.8
    assert settings.widget(detector, "file") == "dlib"


def test_default_detector_may_be_a_file_of_the_catalogue(settings: Any) -> None:
    from codeformer_core.downloads.catalogue import KNOWN_FILES

    _, _, *names = settings.page.evaluate(
        "(id) => app.ui.settings.settingsLookup[id].options", PREFIX + "Defaults.Detector"
    )
    known = [file.name for file in KNOWN_FILES if file.kind.startswith("retinaface")]
    assert names == known
    settings.set(PREFIX + "Defaults.Detector", names[0])
    entry = {"type": "CodeFormerFaceDetectorLoader", "at": [100, 100], "size": [420, 60]}
    (detector,) = settings.build([entry], [])
    # It is not here: its Download button is what the loader shows.
    assert settings.widget(detector, "file").startswith(f"download {names[0]} |")
    settings.page.wait_for_selector("[data-do=download]:visible")


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
