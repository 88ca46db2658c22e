"""The catalogue is consistent in itself and found by every name users have."""

import re

import pytest

from codeformer_core.downloads import KNOWN_FILES, find
from codeformer_core.downloads.transfer import check_address
from codeformer_core.errors import MissingModelError
from codeformer_core.models import KINDS

names = pytest.mark.parametrize("file", KNOWN_FILES, ids=lambda file: file.name)


@names
def test_every_entry_is_well_formed(file) -> None:
    assert file.kind in {row.kind for row in KINDS}
    assert re.fullmatch(r"[\w.-]+\.pth", file.name)
    assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)
    assert file.bytes is None or file.bytes > 1_000_000
    assert file.urls and file.licence
    for url in file.urls:
        check_address(url, url)
        assert url.endswith("/" + file.name)


def test_no_name_means_two_files() -> None:
    every = [name.lower() for file in KNOWN_FILES for name in (file.name, *file.aliases)]
    assert len(every) == len(set(every))


@pytest.mark.parametrize(
    ("name", "file_name"),
    [
        ("codeformer.pth", "codeformer.pth"),
        ("codeformer-v0.1.0.pth", "codeformer.pth"),
        ("CodeFormer", "codeformer.pth"),
        ("retinaface_resnet50", "detection_Resnet50_Final.pth"),
        ("retinaface_mobile0.25", "detection_mobilenet0.25_Final.pth"),
        ("YOLOv5n", "yolov5n-face.pth"),
        ("parsenet", "parsing_parsenet.pth"),
    ],
)
def test_files_are_found_by_the_names_users_have(name: str, file_name: str) -> None:
    assert find(name).name == file_name


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(
        MissingModelError, match=r"'\.\./passwd' is not.*codeformer_inpainting\.pth"
    ):
        find("../passwd")


def test_non_commercial_files_say_so() -> None:
    ours = [file.licence for file in KNOWN_FILES if file.kind == "codeformer"]
    assert all("non-commercial" in licence for licence in ours)
