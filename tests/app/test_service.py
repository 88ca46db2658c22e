"""What the page does with files, without a browser."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from codeformer_core.app.page import temporary_folder
from codeformer_core.app.service import Service, Wishes
from codeformer_core.app.sessions import Sessions
from codeformer_core.errors import CodeFormerError, PictureError, SettingError
from codeformer_core.images import Picture, read_picture, write_picture


@pytest.mark.parametrize(("given", "made"), [(".jpg", ".jpg"), (".PNG", ".PNG"), (".gif", ".png")])
def test_the_result_has_the_format_of_what_was_given(
    service: Service, two_faces: Tensor, tmp_path: Path, given: str, made: str
) -> None:
    path = tmp_path / f"a{given}"
    if given == ".gif":
        from PIL import Image

        Image.fromarray((two_faces * 255).byte().numpy()).save(path)
    else:
        write_picture(path, Picture(two_faces))
    result = service.restore(path, tmp_path / "out", Wishes())
    assert result.file == tmp_path / "out" / f"a_restored{made}"
    assert read_picture(result.file).pixels.shape == two_faces.shape
    assert result.before is not None and result.after is not None
    assert result.before.shape == result.after.shape
    assert "2 faces" in str(result.notes) or "larger" in str(result.notes)


def test_faces_are_numbered_and_the_picked_one_alone_is_restored(
    service: Service, two_faces: Tensor, tmp_path: Path
) -> None:
    write_picture(tmp_path / "a.png", Picture(two_faces))
    look = service.look(tmp_path / "a.png")
    assert look.count == 2
    assert look.numbered is not None and not torch.equal(look.numbered, two_faces)
    result = service.restore(tmp_path / "a.png", tmp_path, Wishes(picked=(2,)))
    assert result.before is not None and result.after is not None
    changed = (result.before != result.after).any(-1).any(0).nonzero()
    assert float(changed.min()) > 200, "the right half only"


def test_pictures_are_enlarged_within_the_limit(
    service: Service, two_faces: Tensor, tmp_path: Path
) -> None:
    write_picture(tmp_path / "a.png", Picture(two_faces))
    result = service.restore(tmp_path / "a.png", tmp_path, Wishes(rescale=2.0))
    assert read_picture(result.file).pixels.shape == (512, 1024, 3)
    small = Service(service.network, service.detector, service.upscaler, max_megapixels=1.0)
    with pytest.raises(SettingError, match="choose a smaller Rescaling_Factor"):
        small.restore(tmp_path / "a.png", tmp_path, Wishes(rescale=4.0))
    with pytest.raises(PictureError, match="megapixels"):
        Service(service.network, service.detector, service.upscaler, max_megapixels=0.1).look(
            tmp_path / "a.png"
        )


def test_of_a_clip_the_people_are_shown_and_only_the_chosen_one_is_restored(
    service: Service, two_faces: Tensor, tmp_path: Path, write_clip: Any
) -> None:
    av = pytest.importorskip("av")
    write_clip(tmp_path / "a.mp4", two_faces, 2)
    told: list[int] = []
    look = service.look(tmp_path / "a.mp4", lambda done, total: told.append(done))
    assert told
    assert look.count == 2
    assert look.numbered is not None and look.numbered.shape[1] > look.numbered.shape[0]
    wishes = Wishes(rescale=2.0, picked=(2,))
    with pytest.raises(SettingError, match="choose a smaller Rescaling_Factor"):
        replace(service, max_megapixels=0.5).restore(tmp_path / "a.mp4", tmp_path, wishes)
    result = service.restore(
        tmp_path / "a.mp4", tmp_path, wishes, lambda done, total: told.append(done), look
    )
    assert result.file.name == "a_restored.mp4"
    assert result.after is None
    (given, _), (made, _) = (
        [frame.to_ndarray(format="rgb24").astype(float) for frame in _frames(av, path)]
        for path in (tmp_path / "a.mp4", result.file)
    )
    assert made.shape == (512, 1024, 3)
    made = made.reshape(256, 2, 512, 2, 3).mean((1, 3))
    left, right = (abs(made - given)[:, half].mean() for half in (slice(256), slice(256, None)))
    assert min(left, right) < 2 < 10 * min(left, right) < max(left, right)


def test_a_look_at_another_file_is_refused(
    service: Service, two_faces: Tensor, tmp_path: Path
) -> None:
    write_picture(tmp_path / "a.png", Picture(two_faces))
    look = service.look(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"b\.png"):
        service.restore(tmp_path / "b.png", tmp_path, Wishes(), look=look)


def _frames(av: Any, path: Path) -> list[Any]:
    with av.open(str(path)) as file:
        return list(file.decode(video=0))


def test_what_is_no_picture_is_told(service: Service, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"<!doctype html>")
    for use in (service.look, lambda path: service.restore(path, tmp_path, Wishes())):
        with pytest.raises(CodeFormerError, match=r"a\.png"):
            use(tmp_path / "a.png")


def test_background_and_faces_are_enlarged_as_asked(
    service: Service, two_faces: Tensor, tmp_path: Path
) -> None:
    write_picture(tmp_path / "a.png", Picture(two_faces[40:220, 30:240]))
    plain, background, both = (
        service.restore(tmp_path / "a.png", tmp_path / str(place), wishes).after
        for place, wishes in enumerate(
            (
                Wishes(rescale=2.0),
                Wishes(background=True, rescale=2.0),
                Wishes(background=True, upsample_faces=True, rescale=2.0),
            )
        )
    )
    assert plain is not None and background is not None and both is not None
    assert plain.shape == background.shape == both.shape == (360, 420, 3)
    assert not torch.equal(plain[-20:], background[-20:])
    assert torch.equal(both[-20:], background[-20:]) and not torch.equal(both, background)


def test_sessions_see_only_their_own_files_and_leave_none() -> None:
    with temporary_folder() as folder:
        sessions = Sessions(folder)
        mine, yours = (sessions.ask(name) for name in ("me", "you"))
        with sessions.at_work("me", mine) as here, sessions.at_work("you", yours) as there:
            assert here.parent != there.parent
            for result in (here, there):
                result.mkdir(parents=True)
            sessions.forget("me")
            assert mine.is_set() and not yours.is_set()
            here.mkdir(parents=True)  # by what had not heard of it yet
        assert not here.exists() and there.exists()
    assert not folder.exists()
