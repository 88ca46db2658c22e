"""Files of a folder that are not restored are counted by kind, with what to do about them."""

import os
from pathlib import Path

import pytest

from codeformer_core.errors import SettingError
from codeformer_core.images import readable_suffixes
from codeformer_core.jobs import plan as planning
from codeformer_core.jobs.left_out import LeftOut
from codeformer_core.jobs.plan import Plan


def left_out(*names: str) -> LeftOut:
    found = LeftOut()
    for name in names:
        found.add(Path(name))
    return found


def test_kinds_are_counted_with_their_remedies():
    found = left_out("a.heic", "b.HEIF", "c.cr2", "d.txt", "e.mov", "f.mov", "g")
    assert found.lines() == [
        "2 pictures left out: HEIC; pip install pillow-heif",
        "1 picture left out: camera raw; develop it into a TIFF or JPEG first",
        "4 other files left out: no pictures (.mov, .txt, no ending)",
    ]


@pytest.mark.parametrize(
    ("name", "lacks"), [("a.heic", True), ("a.jxl", True), ("a.cr2", False), ("a.txt", False)]
)
def test_only_a_missing_package_is_a_failure(name, lacks):
    assert left_out(name).is_less_than_asked == lacks


def test_nothing_is_said_of_nothing():
    assert left_out().lines() == []


@pytest.fixture
def without_heif(monkeypatch) -> None:
    bare = readable_suffixes() - {".heic", ".heif", ".hif", ".jxl"}
    monkeypatch.setattr(planning, "readable_suffixes", lambda: bare)


def test_a_folder_counts_what_it_leaves_out(tmp_path, without_heif):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.jpg", "b.jpe", "c.mpo", "d.pnm", "e.heic", "f.xyz", ".hidden.txt"):
        (folder / name).touch()
    plan = Plan([folder], tmp_path / "out")
    assert len(plan) == 4
    assert plan.left_out.lines() == [
        "1 picture left out: HEIC; pip install pillow-heif",
        "1 other file left out: no pictures (.xyz)",
    ]


def test_a_folder_of_such_files_alone_says_them(tmp_path, without_heif):
    (tmp_path / "a.heic").touch()
    with pytest.raises(
        SettingError, match="no picture or video in this folder; 1 picture left out: HEIC"
    ):
        Plan([tmp_path], tmp_path / "out")


def test_folders_that_cannot_be_searched_are_named(tmp_path, monkeypatch):
    shut, open_one = tmp_path / "in" / "shut", tmp_path / "in" / "open"
    for folder in (shut, open_one):
        folder.mkdir(parents=True)
        (folder / "a.jpg").touch()
    scan = os.scandir

    def refuse(path):
        if Path(path) == shut:
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    plan = Plan([tmp_path / "in"], tmp_path / "out")
    assert [task.source for task in plan] == [open_one / "a.jpg"]
    (line,) = plan.left_out.lines()
    assert line == f"1 folder left out that cannot be searched: {shut} (Permission denied)"
    assert plan.left_out.is_less_than_asked
