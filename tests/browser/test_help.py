"""The help pages show their nodes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGES = sorted((Path(__file__).parents[2] / "web" / "docs").glob("*.md"))
LARGEST = 60_000
"""Bytes of a picture: the help panel loads it anew for each look."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_has_a_small_picture_of_its_node(page: Path) -> None:
    (name,) = re.findall(r"!\[.+\]\((.+)\)", page.read_text(encoding="utf-8"))
    assert name == f"{page.stem}.jpg"
    assert page.with_name(name).stat().st_size <= LARGEST


def test_pictures_are_where_the_help_panel_looks(server: Any) -> None:
    """The frontend resolves a page's relative addresses against this folder."""
    for page in PAGES:
        picture = server.request(f"/extensions/codeformer/docs/{page.stem}.jpg")
        assert picture.startswith(b"\xff\xd8\xff"), page.stem
