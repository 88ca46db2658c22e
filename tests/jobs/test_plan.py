"""Planning which picture becomes which file."""

import os
from pathlib import Path, PurePosixPath

import pytest

from codeformer_core.errors import SettingError
from codeformer_core.jobs.plan import Plan, Task, block_size, result_name


def make(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def plan_tasks(inputs: list[Path], output: Path) -> list[Task]:
    return list(Plan(inputs, output))


def targets(tasks: list[Task], output: Path) -> list[str]:
    return [task.target.relative_to(output).as_posix() for task in tasks]


def test_folders_keep_their_structure(tmp_path):
    make(tmp_path / "in/b.png", tmp_path / "in/a/c.JPG", tmp_path / "in/a/d.webp")
    tasks = plan_tasks([tmp_path / "in"], tmp_path / "out")
    assert sorted(targets(tasks, tmp_path / "out")) == ["a/c.JPG", "a/d.webp", "b.png"]
    assert all(task.source.exists() for task in tasks)


def test_files_keep_their_names(tmp_path):
    tasks = plan_tasks([Path("x/a.jpg"), Path("y/b.png")], tmp_path)
    assert targets(tasks, tmp_path) == ["a.jpg", "b.png"]


def test_hidden_and_other_files_of_folders_are_left_out(tmp_path):
    make(tmp_path / "in/a.png", tmp_path / "in/.b.png", tmp_path / "in/.c/d.png")
    make(tmp_path / "in/notes.txt")
    assert targets(plan_tasks([tmp_path / "in"], tmp_path / "out"), tmp_path / "out") == ["a.png"]


def test_a_file_named_by_the_user_is_taken_whatever_its_ending(tmp_path):
    (task,) = plan_tasks([Path("notes.txt")], tmp_path)
    assert (task.source, task.target) == (Path("notes.txt"), tmp_path / "notes.txt.png")


def test_formats_that_cannot_be_written_become_png(tmp_path):
    assert targets(plan_tasks([Path("a.gif")], tmp_path), tmp_path) == ["a.gif.png"]


def test_a_photo_in_two_frames_stays_a_jpeg(tmp_path):
    assert targets(plan_tasks([Path("a.mpo")], tmp_path), tmp_path) == ["a.mpo.jpg"]


@pytest.mark.parametrize(
    ("name", "suffix", "result"),
    [
        ("a.jpg", ".png", "a.png"),
        ("a.gif", ".png", "a.png"),
        ("a.JPE", ".jpg", "a.JPE"),
        ("a.tiff", ".tif", "a.tiff"),
        ("a", ".webp", "a.webp"),
        ("a.b.heic", ".jpg", "a.b.jpg"),
    ],
)
def test_a_format_asked_for_is_in_the_name(name, suffix, result):
    assert str(result_name(PurePosixPath(name), suffix)) == result


def test_two_sources_of_one_name_are_two_results_of_one_format(tmp_path):
    plan = Plan([Path("a.jpg"), Path("a.gif")], tmp_path, ".png")
    assert targets(list(plan), tmp_path) == ["a.png", "a-2.png"]


def test_same_names_are_told_apart_on_any_file_system(tmp_path):
    tasks = plan_tasks([Path("x/a.jpg"), Path("y/a.jpg"), Path("z/A.JPG")], tmp_path)
    assert targets(tasks, tmp_path) == ["a.jpg", "a-2.jpg", "A-3.JPG"]


def test_a_file_named_twice_is_restored_once(tmp_path):
    make(tmp_path / "in/a.png")
    tasks = plan_tasks([tmp_path / "in", tmp_path / "in/a.png"], tmp_path / "out")
    assert len(tasks) == 1


def test_earlier_results_inside_the_input_folder_are_no_inputs(tmp_path):
    make(tmp_path / "in/a.png", tmp_path / "in/out/a.png")
    tasks = plan_tasks([tmp_path / "in"], tmp_path / "in/out")
    assert [task.source for task in tasks] == [tmp_path / "in/a.png"]


def test_inputs_are_never_overwritten(tmp_path):
    make(tmp_path / "in/a.png")
    with pytest.raises(SettingError, match="another output folder"):
        plan_tasks([tmp_path / "in"], tmp_path / "in")
    with pytest.raises(SettingError, match="another output folder"):
        plan_tasks([tmp_path / "in/a.png"], tmp_path / "other" / ".." / "in")


def test_inputs_are_never_overwritten_through_a_link(tmp_path):
    make(tmp_path / "in/a.png")
    (tmp_path / "link").symlink_to(tmp_path / "in", target_is_directory=True)
    with pytest.raises(SettingError, match="another output folder"):
        plan_tasks([tmp_path / "in"], tmp_path / "link")


def test_one_input_is_no_place_for_the_result_of_another(tmp_path):
    make(tmp_path / "in/a.png", tmp_path / "out/a.png")
    with pytest.raises(SettingError, match="another output folder"):
        plan_tasks([tmp_path / "in", tmp_path / "out/a.png"], tmp_path / "out")


def test_folder_without_pictures_is_an_error(tmp_path):
    with pytest.raises(SettingError, match="no picture"):
        plan_tasks([tmp_path], tmp_path / "out")


def test_folder_links_that_go_round_are_not_followed(tmp_path):
    make(tmp_path / "in/a.png")
    (tmp_path / "in/again").symlink_to(tmp_path / "in", target_is_directory=True)
    assert len(plan_tasks([tmp_path / "in"], tmp_path / "out")) == 1


def test_names_need_not_be_unicode(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    make(tmp_path / "in" / name)
    (task,) = Plan([tmp_path / "in"], tmp_path / "out")
    assert task.source == tmp_path / "in" / name
    assert task.target == tmp_path / "out" / name


def test_what_is_left_out_is_in_no_block(tmp_path):
    make(*(tmp_path / "in" / f"{index:03}.png" for index in range(300)))
    plan = Plan([tmp_path / "in"], tmp_path / "out")
    tasks = list(plan)
    for task in tasks[::3]:
        plan.leave_out(task)
    assert (len(plan), plan.waiting) == (300, 200)
    blocks = list(plan.blocks())
    assert [task for block in blocks for task in block.tasks] == [
        task for index, task in enumerate(tasks) if index % 3
    ]
    sizes = [len(block.tasks) for block in blocks]
    assert sizes[0] == 2 and sizes[-1] == 1, "large ones first"
    assert [block.number for block in blocks] == list(range(len(blocks)))


def test_a_million_pictures_make_some_thousand_blocks():
    left, blocks = 1_000_000, 0
    while left:
        left, blocks = left - block_size(left), blocks + 1
    assert blocks < 5000
    assert block_size(3) == 1
