"""`codeformer restore` as a user runs it."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from codeformer_core.cli import main, restore
from codeformer_core.faces import Faces
from codeformer_core.images import Picture, read_picture, write_picture
from codeformer_core.jobs.restorer import PictureRestorer
from codeformer_core.networks import CodeFormer
from codeformer_core.pipeline.upscaling import enlarge

FACE = (slice(40, 210), slice(138, 308))
"""Roughly the aligned crop in the astronaut's photo, for `--aligned`."""


@pytest.fixture
def photo(tmp_path, astronaut) -> Path:
    path = tmp_path / "in" / "photo.png"
    path.parent.mkdir()
    write_picture(path, Picture(astronaut[:256, 96:352]))
    return path


@pytest.fixture
def aligned(tmp_path, astronaut) -> Path:
    path = tmp_path / "in" / "face.png"
    path.parent.mkdir()
    write_picture(path, Picture(astronaut[FACE]))
    return path


class Blind:
    """A detector that finds nothing."""

    name = "blind"

    def detect(self, frames, **settings):
        return Faces(((),) * len(frames), *frames.shape[1:3])


@pytest.fixture
def blind(monkeypatch) -> None:
    monkeypatch.setattr(restore, "load_face_detector", lambda options: Blind())


def run(*arguments: object) -> int:
    return main(["restore", *map(str, arguments), "--device", "cpu"])


def test_a_face_is_restored_and_the_rest_stays(photo, model, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(photo, "-o", out, "--model", model, "--detector", "yunet") == 0
    before, after = read_picture(photo).pixels, read_picture(out / "photo.png").pixels
    changed = (before != after).any(-1)
    assert 0.05 < float(changed.float().mean()) < 0.6
    assert not bool(changed[:, 0].any())
    assert "1 of 1 picture restored (1 face)" in capsys.readouterr().out


def test_the_model_named_larger_than_its_faces_is_noted(photo, model, tmp_path, capsys):
    run(photo, "-o", tmp_path / "out", "--model", model, "--detector", "yunet")
    assert "larger than the model's 64 px" in capsys.readouterr().out


def test_aligned_faces_larger_than_the_models_are_noted_too(aligned, model, tmp_path, capsys):
    fitting = aligned.with_name("fitting.png")
    Image.open(aligned).resize((80, 80)).save(fitting)
    run(aligned.parent, "-o", tmp_path / "out", "--aligned", "--model", model)
    printed = capsys.readouterr().out
    assert "face.png: the face is larger than the model's 64 px (up to 170 px)" in printed
    assert "fitting.png" not in printed


def test_aligned_faces_of_gray_photos_stay_gray(aligned, tmp_path):
    with Image.open(aligned) as face:
        face.convert("L").save(aligned)
    run(aligned, "-o", tmp_path / "out", "--aligned")
    pixels = read_picture(tmp_path / "out" / "face.png").pixels
    assert float((pixels - pixels.mean(2, keepdim=True)).abs().max()) < 2 / 255


def test_folders_keep_their_structure(aligned, model, tmp_path):
    deep = aligned.parent / "a" / "b" / "face.jpg"
    deep.parent.mkdir(parents=True)
    Image.open(aligned).save(deep)
    assert run(aligned.parent, "-o", tmp_path / "out", "--aligned", "--model", model) == 0
    for place in ("face.png", "a/b/face.jpg"):
        assert read_picture(tmp_path / "out" / place).pixels.shape == (64, 64, 3)


def test_aligned_results_follow_the_fidelity(aligned, model, tmp_path, tiny_codeformer):
    from codeformer_core.pipeline import restore_crops

    settings = ("--aligned", "--model", model, "--dtype", "float32")
    run(aligned, "-o", tmp_path / "a", *settings, "--fidelity", 1)
    run(aligned, "-o", tmp_path / "b", *settings, "--fidelity", 0)
    first, second = (read_picture(tmp_path / name / "face.png").pixels for name in "ab")
    assert not torch.equal(first, second)
    expected = restore_crops(tiny_codeformer, read_picture(aligned).pixels[None], 1)[0]
    assert float((first - expected).abs().max()) <= 0.6 / 255


def test_aligned_faces_can_be_enlarged(aligned, model, tmp_path):
    run(aligned, "-o", tmp_path / "out", "--aligned", "--model", model, "--upscale", 1.5)
    assert read_picture(tmp_path / "out" / "face.png").pixels.shape == (96, 96, 3)


def test_bad_files_are_listed_and_the_others_are_done(aligned, model, tmp_path, capsys):
    (aligned.parent / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    missing = tmp_path / "missing.png"
    code = run(aligned.parent, missing, "-o", tmp_path / "out", "--aligned", "--model", model)
    assert code == 1
    printed = capsys.readouterr()
    assert "1 of 3 pictures restored" in printed.out
    assert "2 pictures failed" in printed.err
    assert "broken.png" in printed.err
    assert "missing.png: there is no such file" in printed.err
    assert "Traceback" not in printed.err
    assert [path.name for path in (tmp_path / "out").glob("[!.]*")] == ["face.png"]


def test_a_bug_in_one_picture_does_not_stop_the_others(aligned, model, tmp_path, monkeypatch):
    Image.open(aligned).save(aligned.with_name("a-first.png"))
    honest = PictureRestorer.restore

    def fail_first(self, task, on_progress):
        if task.source.name == "a-first.png":
            raise RuntimeError("out of memory")
        return honest(self, task, on_progress)

    monkeypatch.setattr(PictureRestorer, "restore", fail_first)
    out = tmp_path / "out"
    assert run(aligned.parent, "-o", out, "--aligned", "--model", model) == 1
    assert [path.name for path in out.glob("[!.]*")] == ["face.png"]


def test_a_device_without_room_is_said_with_a_remedy(aligned, model, tmp_path, monkeypatch, capsys):
    def full(self, crops, *rest):
        raise torch.cuda.OutOfMemoryError("out of memory, says the test")

    monkeypatch.setattr(CodeFormer, "forward", full)
    assert run(aligned, "-o", tmp_path / "out", "--aligned", "--model", model) == 1
    printed = capsys.readouterr().err
    assert "--device cpu" in printed
    assert "unexpected error" not in printed


def test_inputs_are_never_overwritten(aligned, model, capsys):
    before = aligned.read_bytes()
    assert run(aligned, "-o", aligned.parent, "--aligned", "--model", model) == 1
    assert aligned.read_bytes() == before
    assert "another output folder" in capsys.readouterr().err


def test_pictures_without_a_face_are_taken_over_byte_for_byte(
    aligned, model, tmp_path, blind, capsys
):
    assert run(aligned, "-o", tmp_path / "out", "--model", model) == 0
    assert (tmp_path / "out" / "face.png").read_bytes() == aligned.read_bytes()
    assert "1 without a face" in capsys.readouterr().out


def test_upscale_enlarges_pictures_without_a_face_too(aligned, model, tmp_path, blind):
    made = []
    for method in ((), ("--upscale-method", "bicubic")):
        run(aligned, "-o", tmp_path / "out", "--model", model, "--upscale", 2, *method)
        made.append(read_picture(tmp_path / "out" / "face.png").pixels)
        assert made[-1].shape == (340, 340, 3)
    wanted = enlarge(read_picture(aligned).pixels[None], 2)[0]
    assert [float((each - wanted).abs().max()) < 1 / 255 for each in made] == [False, True]


def test_metadata_and_opacity_survive(tmp_path, model, astronaut, blind):
    source = tmp_path / "in.png"
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    opacity = torch.linspace(0, 1, 64 * 64).reshape(64, 64)
    face = Picture(
        astronaut[100:164, 190:254], opacity, bits=16, exif=exif.tobytes(), dpi=(300.0, 300.0)
    )
    write_picture(source, face)
    run(source, "-o", tmp_path / "out", "--model", model, "--upscale", 2)
    again = read_picture(tmp_path / "out" / "in.png")
    assert again.bits == 16
    assert b"a camera" in again.exif
    assert again.dpi == pytest.approx((300, 300), abs=0.1)
    assert again.alpha.shape == (128, 128)
    assert float(again.alpha[-1, -1]) > 0.99


def test_what_is_lost_is_said(tmp_path, model, blind, capsys):
    frames = [Image.new("RGB", (8, 8), value) for value in ("red", "blue")]
    frames[0].save(tmp_path / "in.gif", save_all=True, append_images=frames[1:])
    assert run(tmp_path / "in.gif", "-o", tmp_path / "out", "--model", model) == 0
    assert "first of its 2 frames" in capsys.readouterr().out
    assert (tmp_path / "out" / "in.gif.png").exists()


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(
    aligned, model, tmp_path, monkeypatch, capsys
):
    Image.open(aligned).save(aligned.with_name("later.png"))
    honest = PictureRestorer.restore

    def stop_at_second(self, task, on_progress):
        if task.source.name == "later.png":
            raise KeyboardInterrupt
        return honest(self, task, on_progress)

    monkeypatch.setattr(PictureRestorer, "restore", stop_at_second)
    out = tmp_path / "out"
    assert run(aligned.parent, "-o", out, "--aligned", "--model", model) == 130
    assert [path.name for path in out.glob("[!.]*")] == ["face.png"]
    printed = capsys.readouterr()
    assert "1 of 2 pictures restored" in printed.out
    assert "--resume" in printed.out
    assert "Stopped." in printed.err


def test_missing_model_is_said_before_any_work(aligned, tmp_path, capsys):
    assert run(aligned, "-o", tmp_path / "out", "--model", "nonsense.pth", "--aligned") == 1
    assert "nonsense.pth" in capsys.readouterr().err


def test_missing_model_leaves_no_folder_behind(aligned, tmp_path, capsys):
    run(aligned, "-o", tmp_path / "out", "--model", "nonsense.pth", "--aligned")
    assert not (tmp_path / "out").exists()
    assert capsys.readouterr().out == ""


def test_the_same_note_for_many_pictures_is_said_once(tmp_path, model, blind, capsys):
    for index in range(5):
        frames = [Image.new("RGB", (8, 8), value) for value in ("red", "blue", "lime")]
        count = 2 + index % 2
        frames[0].save(tmp_path / f"{index}.gif", save_all=True, append_images=frames[1:count])
    run(*sorted(tmp_path.glob("*.gif")), "-o", tmp_path / "out", "--model", model)
    printed = capsys.readouterr().out
    assert printed.count("note:") == 1
    assert "0.gif: only the first of its 2 frames" in printed
    assert "4 more pictures" in printed


def test_device_that_is_not_there_is_said(aligned, model, tmp_path, capsys):
    arguments = ["restore", str(aligned), "-o", str(tmp_path / "out"), "--model", str(model)]
    assert main([*arguments, "--aligned", "--device", "cuda:99"]) == 1
    assert "cuda:99" in capsys.readouterr().err


def test_pictures_that_are_not_square_are_no_aligned_faces(photo, model, tmp_path, capsys):
    Image.new("RGB", (20, 30)).save(photo)
    assert run(photo, "-o", tmp_path / "out", "--model", model, "--aligned") == 1
    assert "square" in capsys.readouterr().err


def test_a_restorer_of_others_restores_and_says_what_it_ignores(aligned, tmp_path, capsys):
    architecture = pytest.importorskip("spandrel.architectures.RestoreFormer")
    sizes = {"num_res_blocks": 1, "z_channels": 32, "embed_dim": 32, "n_embed": 16}
    network = architecture.RestoreFormer(ch=32, ch_mult=(1, 1, 1, 1, 1, 1), **sizes)
    path = tmp_path / "RestoreFormer.pth"
    torch.save(network.state_dict(), path)
    assert run(aligned, "-o", tmp_path / "out", "--aligned", "--model", path) == 0
    assert read_picture(tmp_path / "out" / "face.png").pixels.shape == (512, 512, 3)
    assert "fidelity and adain have no effect" in capsys.readouterr().out
