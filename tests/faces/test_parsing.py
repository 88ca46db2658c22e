"""Face parsing on facexlib's networks and on a stand-in with known answers."""

import pytest
import torch
from torch import Tensor, nn

from codeformer_core.checkpoints.building import Target
from codeformer_core.checkpoints.reader import WeightFile
from codeformer_core.errors import CheckpointError, MissingModelError, PictureError
from codeformer_core.faces import FaceParser, build_parser
from codeformer_core.faces.parsing import LABELS, NORMALISATION, ParserKind, soften
from codeformer_core.runtime import Runtime

BLOCK = slice(200, 300)


class _Painted(nn.Module):
    """Answers with one class in a block in the middle and background around it."""

    def __init__(self, label: int, outputs: int = 2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.label = label
        self.outputs = outputs
        self.seen: list[Tensor] = []

    def forward(self, planes: Tensor) -> tuple[Tensor, ...]:
        self.seen.append(planes)
        logits = torch.zeros(planes.shape[0], 19, 512, 512)
        logits[:, 0] = 1.0
        logits[:, self.label, BLOCK, BLOCK] = 5.0
        return (logits,) * self.outputs


@pytest.mark.parametrize("kind", ["parsenet", "bisenet"])
@pytest.mark.parametrize(
    ("label", "is_face"),
    [
        ("skin", True),
        ("hair", True),
        ("glasses", True),
        ("earring", True),
        ("nose", True),
        ("background", False),
        ("hat", False),
        ("neck", False),
        ("cloth", False),
        ("necklace", False),
    ],
)
def test_classes_of_the_face_are_kept(kind, label, is_face):
    parser = FaceParser(_Painted(LABELS[kind].index(label)), kind)
    mask = parser.masks(torch.rand(1, 64, 64, 3))[0]
    assert mask.shape == (512, 512)
    assert (mask[250, 250] > 0.99) == is_face
    assert mask[60, 60] == 0.0


@pytest.mark.parametrize("kind", ["parsenet", "bisenet"])
@pytest.mark.parametrize(
    ("label", "part"),
    [("hair", "hair"), ("glasses", "glasses"), ("hat", "hat"), ("necklace", "neck")],
)
def test_parts_are_taken_or_left(kind, label, part):
    parser = FaceParser(_Painted(LABELS[kind].index(label)), kind)
    crops = torch.rand(1, 64, 64, 3)
    assert parser.masks(crops, **{part: True}).max() > 0.9
    assert parser.masks(crops, **{part: False}).max() == 0.0


def test_hair_can_be_left_out():
    parser = FaceParser(_Painted(LABELS["parsenet"].index("hair")), "parsenet")
    assert parser.masks(torch.rand(1, 64, 64, 3), hair=False).max() == 0.0


def test_label_tables_follow_the_published_numbers():
    face = {*range(1, 14), 15}  # of ParseNet, as the published helper pastes
    assert [LABELS["parsenet"][i] for i in range(19) if i not in face] == [
        "background",
        "hat",
        "necklace",
        "neck",
        "cloth",
    ]
    assert sorted(LABELS["parsenet"]) == sorted(LABELS["bisenet"])


@pytest.mark.parametrize("kind", ["parsenet", "bisenet"])
def test_networks_get_their_own_size_and_normalisation(kind):
    network = _Painted(1)
    FaceParser(network, kind).masks(torch.full((1, 128, 128, 3), 0.25))
    mean, deviation = NORMALISATION[kind]
    assert network.seen[0].shape == (1, 3, 512, 512)
    expected = [(0.25 - m) / d for m, d in zip(mean, deviation, strict=True)]
    assert network.seen[0][0, :, 9, 9].tolist() == pytest.approx(expected, rel=1e-5)


def test_many_crops_go_in_batches_and_come_back_in_order():
    network = _Painted(1)
    runtime = Runtime(batch_size=4)
    masks = FaceParser(network, "parsenet").masks(torch.rand(9, 32, 32, 3), runtime=runtime)
    assert masks.shape == (9, 512, 512)
    assert [planes.shape[0] for planes in network.seen] == [4, 4, 1]
    assert FaceParser(network, "parsenet").masks(torch.rand(0, 32, 32, 3)).shape == (0, 512, 512)


def test_softening_is_two_published_blurs_and_a_cleared_rim():
    cv2 = pytest.importorskip("cv2")
    mask = torch.zeros(1, 512, 512)
    mask[:, 100:, 150:330] = 1.0
    expected = mask[0].numpy()
    for _ in range(2):
        expected = cv2.GaussianBlur(expected, (101, 101), 11)
    soft = soften(mask)[0]
    assert (soft - torch.from_numpy(expected))[10:502, 10:502].abs().max() < 1e-3
    assert soft[:10].max() == soft[502:].max() == soft[:, :10].max() == 0.0


def test_masks_may_be_changed_by_the_caller():
    masks = FaceParser(_Painted(1), "parsenet").masks(torch.rand(1, 32, 32, 3))
    masks.mul_(0.5)  # would raise on a tensor made in inference mode


def _built(state: dict[str, torch.Tensor], kind: ParserKind) -> FaceParser:
    return build_parser(WeightFile(state), Target(), kind=kind)


def test_bisenet_agrees_with_facexlib():
    parsing = pytest.importorskip("facexlib.parsing")
    torch.manual_seed(0)
    reference = parsing.BiSeNet(num_class=19).eval()
    parser = _built(reference.state_dict(), "bisenet")
    crops = torch.rand(1, 512, 512, 3)
    mean, deviation = (torch.tensor(values) for values in NORMALISATION["bisenet"])
    with torch.no_grad():
        expected = reference(((crops - mean) / deviation).movedim(-1, 1))[0].argmax(1)
    assert parser.kind == "bisenet"
    assert (parser.labels(crops) == expected).float().mean() > 0.9999


def test_parsenet_files_are_loaded():
    parsing = pytest.importorskip("facexlib.parsing")
    reference = parsing.ParseNet(in_size=512, out_size=512, parsing_ch=19)
    parser = _built(reference.state_dict(), "parsenet")
    assert parser.kind == "parsenet"
    for name, value in parser.network.state_dict().items():
        assert torch.equal(value, reference.state_dict()[name])


def test_tensors_that_do_not_fit_are_named():
    with pytest.raises(CheckpointError, match=r"does not fit .*conv"):
        _built({"out_mask_conv.conv2d.weight": torch.zeros(19, 64, 3, 3)}, "parsenet")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "facexlib.parsing", None)
    with pytest.raises(MissingModelError, match="pip install --no-deps facexlib"):
        _built({}, "parsenet")


def test_a_picture_that_is_no_batch_of_crops_is_refused():
    with pytest.raises(PictureError, match="crops"):
        FaceParser(_Painted(1), "parsenet").masks(torch.rand(64, 64, 3))
