"""Restoring pictures: what changes, what must not, and what is said."""

import weakref

import numpy as np
import pytest
import torch
from torch import nn

from codeformer_core.errors import PictureError, SettingError
from codeformer_core.faces import Box, Face, Faces, Landmarks, PasteOptions, place
from codeformer_core.images import resize
from codeformer_core.pipeline import restore_image
from codeformer_core.runtime import Runtime

HEIGHT, WIDTH = 120, 160
FACE_SIZE = 60.0
"""Side in picture pixels of the aligned square of every face here."""


class Network(nn.Module):
    """A network of 64 px that returns its input (or a colour, or NaN)."""

    size = 64
    bytes_per_face = 1e6
    notice = None

    def __init__(self, colour: float | None = None, variant: str = "restoration") -> None:
        super().__init__()
        self.variant = variant
        self.colour = colour
        self.fidelities: list[object] = []

    def forward(self, crops, fidelity=0.5, adain=None):
        self.fidelities.append(fidelity)
        return crops if self.colour is None else torch.full_like(crops, self.colour)


class Detector:
    """Finds faces where it was told to."""

    name = "told"

    def __init__(self, *frames: tuple[tuple[float, float], ...], size: float = FACE_SIZE) -> None:
        self.frames, self.size = frames, size

    def detect(self, frames, *, confidence=0.8, min_size=16.0, search_size=None, runtime=None):
        height, width = frames.shape[1:3]
        found = tuple(
            tuple(a_face(x, y, self.size, height, width) for x, y in places)
            for places in self.frames
        )
        for index in range(len(frames)):
            runtime.report(index + 1, len(frames))
        return Faces(found, height, width)


def a_face(x: float, y: float, size: float, height: int, width: int) -> Face:
    """An upright face whose aligned square has its centre at (x, y)."""
    from codeformer_core.faces import TEMPLATE

    unit = size / 512
    points = (((px - 255.5) * unit + x, (py - 255.5) * unit + y) for px, py in TEMPLATE.points)
    landmarks = Landmarks(*points)
    half = size / 2
    box = Box(x - half, y - half, x + half, y + half)
    return Face(box, 0.9, landmarks, place(landmarks, 512, height, width))


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def smooth(height: int = HEIGHT, width: int = WIDTH) -> torch.Tensor:
    """A picture without detail that any resampling could lose."""
    x = torch.linspace(0, 3, width)
    y = torch.linspace(0, 2, height)[:, None]
    return torch.stack(
        [0.5 + 0.4 * torch.sin(x + y), 0.5 + 0.4 * torch.cos(x - y), (x + y) / 5], dim=-1
    )


def test_pixels_outside_the_mask_come_back_bit_for_bit():
    image = noise(HEIGHT, WIDTH, 3) * 3 - 1  # far outside 0..1 too
    image[0, 0] = torch.nan
    image[1, 1] = torch.inf
    result = restore_image(image, Network(0.0), Detector(((80, 60),)))
    untouched = result.mask == 0
    assert 0 < int(untouched.sum()) < untouched.numel()
    same = result.image[untouched].view(torch.int32) == image[untouched].view(torch.int32)
    assert bool(same.all())


def test_the_face_itself_is_replaced():
    result = restore_image(smooth(), Network(0.5), Detector(((80, 60),)))
    assert torch.allclose(result.image[60, 80], torch.tensor(0.75), atol=1e-5)
    assert float(result.mask[60, 80]) == pytest.approx(1)


def test_a_picture_without_faces_is_returned_unchanged():
    image = noise(HEIGHT, WIDTH, 3)
    result = restore_image(image, Network(0.0), Detector(()))
    assert torch.equal(result.image, image)
    assert float(result.mask.max()) == 0
    assert result.faces.count == 0
    assert result.warnings == ()


def test_the_input_is_never_changed():
    image = noise(HEIGHT, WIDTH, 3)
    before = image.clone()
    restore_image(image, Network(0.0), Detector(((80, 60),)))
    restore_image(image[None], Network(0.0), Detector(()))
    assert torch.equal(image, before)


def test_restoring_the_same_face_puts_it_at_its_place():
    image = smooth()
    result = restore_image(image, Network(), Detector(((70.3, 61.7),)))
    assert float((result.image - image).abs().max()) < 0.004


@pytest.mark.parametrize("upscale", [1.5, 2, 3.3, 4])
def test_upscaled_faces_lie_where_the_upscaled_picture_has_them(upscale):
    image = smooth()
    result = restore_image(image, Network(), Detector(((70.3, 61.7),)), upscale=upscale)
    size = (round(HEIGHT * upscale), round(WIDTH * upscale))
    assert result.image.shape == (*size, 3)
    assert result.mask.shape == size
    expected = resize(image[None], *size)[0]
    # Half a pixel of this picture's slope is over 0.01 in the input.
    assert float((result.image - expected).abs().max()) < 0.006


def test_background_upscaler_is_used_and_its_result_brought_to_size():
    asked: list[tuple[int, ...]] = []

    def upscaler(images: torch.Tensor, runtime: Runtime) -> torch.Tensor:
        asked.append(tuple(images.shape))
        return torch.full((1, 4 * HEIGHT, 4 * WIDTH, 3), 0.125)

    result = restore_image(smooth(), Network(), Detector(()), upscale=2, upscaler=upscaler)
    assert asked == [(1, HEIGHT, WIDTH, 3)]
    assert result.image.shape == (2 * HEIGHT, 2 * WIDTH, 3)
    assert torch.allclose(result.image, torch.tensor(0.125))


def test_frames_keep_their_own_faces():
    frames = noise(3, HEIGHT, WIDTH, 3)
    detector = Detector(((40, 60), (120, 60)), (), ((80, 60),))
    result = restore_image(frames, Network(1.0), detector)
    assert result.image.shape == frames.shape
    assert torch.equal(result.image[1], frames[1])
    corner = [result.mask[0, 60, 40], result.mask[0, 60, 120], result.mask[2, 60, 80]]
    assert torch.allclose(torch.stack(corner), torch.ones(3))
    assert float(result.mask[2, 60, 20]) == 0


def test_one_fidelity_a_face():
    network = Network()
    frames = noise(2, HEIGHT, WIDTH, 3)
    detector = Detector(((40, 60), (120, 60)), ((80, 60),))
    restore_image(frames, network, detector, fidelity=[0.1, 0.2, 0.3])
    assert torch.allclose(network.fidelities[0], torch.tensor([0.1, 0.2, 0.3]))


@pytest.mark.parametrize("upscale", [1, 1.5])
@pytest.mark.parametrize("colour_match", ["none", "lab"])
def test_the_size_of_batches_changes_nothing(upscale, colour_match):
    # The first two overlap, so what is pasted before must not colour what comes after.
    detector = Detector(((70, 60), (85, 60), (120, 60)), (), ((80, 60), (30, 50)))
    frames = torch.stack([smooth(), noise(HEIGHT, WIDTH, 3), smooth().flip(1)])
    options = PasteOptions(colour_match=colour_match)
    settings = {"paste": options, "upscale": upscale, "fidelity": [0.1, 0.2, 0.3, 0.4, 0.5]}
    whole = restore_image(frames, Tinting(), detector, runtime=Runtime(batch_size=100), **settings)
    for size in (1, 2):
        runtime = Runtime(batch_size=size)
        parts = restore_image(frames, Tinting(), detector, runtime=runtime, **settings)
        assert torch.equal(parts.image, whole.image)
        assert torch.equal(parts.mask, whole.mask)


def test_no_more_than_a_batch_of_crops_is_held():
    class Watcher(Network):
        def __init__(self) -> None:
            super().__init__()
            self.earlier: list[weakref.ref[torch.Tensor]] = []

        def forward(self, crops, fidelity=0.5, adain=None):
            assert all(past() is None for past in self.earlier)
            assert len(crops) <= 2
            result = crops.clone()
            self.earlier += [weakref.ref(crops), weakref.ref(result)]
            return result

    network = Watcher()
    detector = Detector(*[((40, 60), (80, 60), (120, 60))] * 5)
    restore_image(noise(5, HEIGHT, WIDTH, 3), network, detector, runtime=Runtime(batch_size=2))
    assert len(network.earlier) == 2 * 8


def test_frames_are_enlarged_one_by_one():
    asked: list[int] = []

    def upscaler(images: torch.Tensor, runtime: Runtime) -> torch.Tensor:
        asked.append(len(images))
        return resize(images, 4 * HEIGHT, 4 * WIDTH)

    restore_image(
        noise(3, HEIGHT, WIDTH, 3), Network(), Detector((), (), ()), upscale=2, upscaler=upscaler
    )
    assert asked == [1, 1, 1]


def test_numpy_bytes_give_the_same_as_floats():
    pixels = (smooth().numpy() * 255).astype(np.uint8)
    from_bytes = restore_image(pixels, Network(0.2), Detector(((80, 60),)))
    floats = torch.from_numpy(pixels / 255.0).float()
    from_floats = restore_image(floats, Network(0.2), Detector(((80, 60),)))
    assert from_bytes.image.dtype == torch.float32
    assert torch.equal(from_bytes.image, from_floats.image)


def test_opacity_is_kept():
    image = noise(HEIGHT, WIDTH, 4)
    result = restore_image(image, Network(0.0), Detector(((80, 60),)))
    assert torch.equal(result.image[..., 3], image[..., 3])
    assert restore_image(image, Network(), Detector(()), upscale=2).image.shape[2] == 4


def test_gray_pictures_become_three_equal_channels():
    result = restore_image(smooth()[..., 0], Network(), Detector(((80, 60),)))
    assert result.image.shape == (HEIGHT, WIDTH, 3)
    assert torch.equal(result.image[..., 0], result.image[..., 2])


class Tinting(Network):
    """Adds colour to whatever it gets."""

    def forward(self, crops, fidelity=0.5, adain=None):
        return crops * 0.5 + torch.tensor([0.4, 0.0, -0.4]).view(1, 3, 1, 1)


@pytest.mark.parametrize(
    ("keep_gray", "variant", "stays"),
    [(True, "restoration", True), (False, "restoration", False), (True, "colorization", False)],
)
def test_faces_of_gray_pictures_stay_gray_unless_colour_is_the_point(keep_gray, variant, stays):
    gray = smooth()[..., :1].expand(-1, -1, 3)
    result = restore_image(
        gray, Tinting(variant=variant), Detector(((80, 60),)), keep_gray=keep_gray
    )
    spread = result.image.amax(-1) - result.image.amin(-1)
    assert (float(spread.max()) < 1e-5) == stays


def test_faces_of_coloured_pictures_keep_the_networks_colours():
    result = restore_image(smooth(), Tinting(), Detector(((80, 60),)))
    assert float(result.image[60, 80, 0] - result.image[60, 80, 2]) > 0.1


def test_a_failed_face_is_left_alone_and_named():
    image = noise(HEIGHT, WIDTH, 3)

    class Half(Network):
        def forward(self, crops, fidelity=0.5, adain=None):
            out = torch.zeros_like(crops)
            out[0, 0, 0, 0] = torch.inf
            return out

    result = restore_image(image, Half(), Detector(((40, 60), (120, 60))))
    assert torch.equal(result.image[:, :75], image[:, :75])
    assert float(result.mask[60, 40]) == 0
    assert float(result.mask[60, 120]) == pytest.approx(1)
    assert result.faces.count == 2
    assert any("face 1 of 2" in warning for warning in result.warnings)


def test_larger_faces_than_the_models_are_flagged_with_a_remedy():
    image = smooth(240, 320)
    small = restore_image(image, Network(), Detector(((160, 120),), size=70))
    large = restore_image(image, Network(), Detector(((160, 120),), size=200))
    assert small.warnings == ()
    assert len(large.warnings) == 1
    assert "64 px" in large.warnings[0]
    assert "200 px" in large.warnings[0]
    assert "codeformer.pth" in large.warnings[0]


def test_given_faces_need_no_detector():
    image = smooth()
    found = restore_image(image, Network(0.3), Detector(((80, 60),)))
    again = restore_image(image, Network(0.3), faces=found.faces)
    assert torch.equal(again.image, found.image)


def test_only_picked_faces_are_restored_with_the_fidelities_of_their_numbers():
    image, network = noise(HEIGHT, WIDTH, 3), Network(0.0)
    detector = Detector(((30, 60), (80, 60), (130, 60)))
    result = restore_image(image, network, detector, picked=[3, 9, 1], fidelity=[0.3, 0.9, 0.1])
    assert result.faces.count == 3
    assert result.picked == (0, 2)
    assert torch.allclose(network.fidelities[0], torch.tensor([0.1, 0.3]))
    assert [float(result.mask[60, x]) for x in (30, 80, 130)] == pytest.approx([1, 0, 1])
    assert any("not found this time: face 9" in warning for warning in result.warnings)


def test_what_a_restorer_wants_its_user_to_know_is_said():
    network = Network()
    network.notice = "fidelity has no effect"
    assert network.notice in restore_image(smooth(), network, Detector(())).warnings


def test_pasting_twice_does_not_move_the_face():
    image = smooth()
    once = restore_image(image, Network(), Detector(((80, 60),)))
    first = restore_image(image, Network(0.3), faces=once.faces)
    second = restore_image(image, Network(0.3), faces=once.faces)
    assert torch.equal(first.image, second.image)


def test_opacity_of_the_blend_reaches_the_paste():
    image = smooth()
    options = PasteOptions(opacity=0.0)
    result = restore_image(image, Network(0.0), Detector(((80, 60),)), paste=options)
    assert torch.equal(result.image, image)


def test_a_parser_decides_the_mask():
    class Parser:
        def masks(self, crops, *, runtime, hair=True, **others):
            assert crops.shape == (1, 64, 64, 3)
            assert hair is False
            left_half = torch.zeros(1, 512, 512)
            left_half[:, :, :256] = 1
            return left_half

    options = PasteOptions(restore_hair=False)
    result = restore_image(
        smooth(), Network(0.0), Detector(((80, 60),)), parser=Parser(), paste=options
    )
    assert float(result.mask[60, 70]) == pytest.approx(1)
    assert float(result.mask[60, 90]) == 0


def test_progress_only_rises_and_ends_at_the_end():
    seen: list[tuple[int, int]] = []
    detector = Detector(*[((40, 60), (120, 60))] * 4)
    restore_image(
        noise(4, HEIGHT, WIDTH, 3),
        Network(),
        detector,
        runtime=Runtime(lambda *at: seen.append(at), batch_size=2),
    )
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1]
    assert len({total for _, total in seen}) == 1
    assert len({done for done, _ in seen}) >= 8


def test_stopping_in_the_progress_stops_the_work():
    network = Network()

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_image(smooth(), network, Detector(((80, 60),)), runtime=Runtime(stop))
    assert network.fidelities == []


@pytest.mark.parametrize("upscale", [0.5, 4.1, float("nan")])
def test_upscale_outside_its_range_is_refused(upscale):
    with pytest.raises(SettingError, match="upscale"):
        restore_image(smooth(), Network(), Detector(()), upscale=upscale)


def test_no_detector_and_no_faces_is_refused():
    with pytest.raises(SettingError, match="detector"):
        restore_image(smooth(), Network())


def test_faces_of_another_batch_are_refused():
    faces = Detector(((80, 60),)).detect(smooth()[None], runtime=Runtime())
    with pytest.raises(PictureError, match="frames"):
        restore_image(torch.stack([smooth()] * 2), Network(), faces=faces)


def test_one_pixel_picture():
    result = restore_image(torch.full((1, 1, 3), 0.5), Network(), Detector(()), upscale=4)
    assert result.image.shape == (4, 4, 3)
