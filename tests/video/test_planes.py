"""Samples: seen as RGB, painted on, and otherwise left alone."""

import dataclasses

import numpy as np
import pytest
import torch

from codeformer_core.faces.warp import Rectangle
from codeformer_core.video.dynamic_range import from_display, to_display
from codeformer_core.video.information import HLG, PQ, Colour
from codeformer_core.video.planes import Planes, SampleLayout
from codeformer_core.video.reading import describe_format

FORMATS = ("yuv420p", "yuv422p10le", "yuv444p", "gbrp", "gray", "yuva420p", "yuv420p12le")
PART = Rectangle(4, 6, 30, 28)


def planes_of(name, colour=None, height=41, width=53, seed=0):
    """Random samples in the middle of their range."""
    shape = describe_format(name)
    random = np.random.default_rng(seed)
    kind = np.uint8 if shape.bits <= 8 else np.uint16
    low, high = (share * (1 << shape.bits) for share in (0.4, 0.6))
    small = (-(-height // shape.chroma_height), -(-width // shape.chroma_width))
    sizes = [(height, width)] if shape.gray else [(height, width), small, small]
    sizes += [(height, width)] * shape.alpha
    samples = [random.uniform(low, high, size).astype(kind) for size in sizes]
    return Planes(samples, SampleLayout(shape, colour or Colour(), height))


def copied(planes):
    return [samples.copy() for samples in planes.samples]


@pytest.mark.parametrize("name", FORMATS)
def test_painting_what_was_seen_changes_no_sample(name):
    planes = planes_of(name)
    before = copied(planes)
    planes.paint(PART, planes.view(PART))
    assert all((a == b).all() for a, b in zip(before, planes.samples, strict=True))


@pytest.mark.parametrize("name", FORMATS)
def test_paint_is_seen_again(name):
    planes = planes_of(name)
    painted = planes.view(PART)
    colour = torch.tensor([0.5, 0.5, 0.5] if name == "gray" else [0.55, 0.45, 0.5])
    painted[4:-4, 4:-4] = colour
    planes.paint(PART, painted)
    seen = planes.view(PART)[8:-8, 8:-8]
    assert (seen - colour).abs().max() < 0.01


@pytest.mark.parametrize("name", FORMATS)
def test_samples_outside_the_paint_stay(name):
    planes = planes_of(name)
    before = copied(planes)
    painted = planes.view(PART)
    painted[6:10, 6:10] = 0.9
    planes.paint(PART, painted)
    for plane, old in zip(planes.samples, before, strict=True):
        changed = plane != old
        assert changed.sum() <= 16
    if planes.layout.format.alpha:
        assert (planes.samples[3] == before[3]).all()


@pytest.mark.parametrize(("matrix", "rows"), [(1, 41), (6, 41), (9, 41), (2, 41), (2, 720)])
def test_colours_are_those_of_the_scaler(matrix, rows):
    """FFmpeg's own conversion is the oracle, for every matrix and range."""
    import av

    for value in (1, 2):
        planes = planes_of("yuv444p", Colour(value, matrix))
        planes.layout = dataclasses.replace(planes.layout, rows=rows)
        frame = av.VideoFrame.from_ndarray(np.stack(planes.samples), "yuv444p")
        name = {1: "ITU709", 6: "ITU601", 9: "BT2020"}.get(matrix, "ITU601")
        name = "ITU709" if (matrix, rows) == (2, 720) else name
        if name == "BT2020" and not hasattr(av.video.reformatter.Colorspace, "BT2020"):
            continue
        ranges = {"src_color_range": "JPEG" if value == 2 else "MPEG", "dst_color_range": "JPEG"}
        theirs = frame.to_ndarray(format="rgb24", src_colorspace=name, **ranges)
        ours = planes.view(Rectangle(0, 0, planes.width, planes.height)) * 255
        assert (ours - torch.from_numpy(theirs)).abs().max() < 2.5


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_high_dynamic_range_comes_back(transfer):
    coded = torch.linspace(0.01, 0.98, 500)[:, None].expand(-1, 3)
    shown = to_display(coded, transfer)
    assert (shown.diff(dim=0) > 0).all() and shown.min() >= 0 and shown.max() <= 1
    assert (from_display(shown, transfer) - coded).abs().max() < 2e-3


@pytest.mark.parametrize(("transfer", "white"), [(PQ, 0.581), (HLG, 0.75)])
def test_reference_white_is_nearly_white(transfer, white):
    """ITU-R BT.2408: 203 cd/m2 is 58.1% of PQ and 75% of HLG."""
    shown = to_display(torch.full((1, 3), white), transfer)
    assert shown.mean() == pytest.approx(0.9, abs=0.005)


def test_ordinary_pictures_are_left_alone():
    values = torch.rand(4, 4, 3)
    assert to_display(values, 1) is values
