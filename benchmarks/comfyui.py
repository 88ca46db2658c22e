"""From a photo to its restored faces inside a real ComfyUI: our node and facerestore_cf's.

Two servers of the same ComfyUI run side by side, one with each pack, with the same weights in both:
CodeFormer and ParseNet of the published sizes with random numbers in them, and a RetinaFace that
finds the faces. They take turns; the first run loads the models. Theirs always runs ParseNet, ours
only where a parser is connected. Also told: what importing each pack adds to the host's start.
"""

from __future__ import annotations

import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from scenes import group_photo, portraits, published_codeformer, sides
from side_by_side import Row, parser, report
from torch import Tensor

from codeformer_core.checkpoints import save_network
from codeformer_core.images import to_uint8

PACK = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PACK / "tests" / "host"))
from real_host import Server, comfy_folder, make_base, running  # noqa: E402

Prompt = dict[str, Any]

OURS = "codeformer"
PHOTO = "photo.png"
CODEFORMER = "codeformer.pth"
DETECTOR = "detection_mobilenet0.25_Final.pth"
PARSER = "parsing_parsenet.pth"
PEOPLE = 6
SLOWEST_RUN = 600.0
"""Seconds; then it has failed."""


def main() -> None:
    """Measure and report."""
    options = parser(__doc__)
    options.add_argument("--facerestore-cf", type=Path, help="a checkout of that pack")
    options.add_argument("--weights", type=Path, help="RetinaFace file of the mobile0.25 layout")
    options.add_argument("--photos", type=Path, help="folder with portrait_*.jpg")
    options.add_argument("--threads", default=str(torch.get_num_threads()), help="of each server")
    arguments = options.parse_args()
    quick, detector = arguments.quick, arguments.weights is not None
    people, megapixels = portraits(arguments.photos), 0.3 if quick else 2.0
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:

        def server(name: str, pack: Path | None) -> Server:
            base = prepare(Path(folder) / name, pack, arguments.weights, quick)
            save_photo(base, megapixels, people)
            started = running(comfy_folder(), base, OMP_NUM_THREADS=arguments.threads)
            return stack.enter_context(started)

        here = server(OURS, None)
        contestants = [Contestant("ours", here, partial(ours, quick, detector, False))]
        if not quick:
            parsing = partial(ours, quick, detector, True)
            contestants.append(Contestant("ours, with ParseNet", here, parsing))
        peer: Path | None = arguments.facerestore_cf
        if peer is not None:
            contestants.append(Contestant(peer.name, server(peer.name, peer), theirs))
        for turn in range(1 + arguments.repeats):
            for contestant in contestants:
                contestant.run(0.5 + 0.01 * turn)
        rows = [row(contestant, contestants[0]) for contestant in contestants]
    report("ComfyUI, from photo to preview", rows, arguments.out)


def row(contestant: Contestant, ours: Contestant) -> Row:
    """Describe one way beside ours."""
    later, our_later = (statistics.median(each.seconds[1:]) for each in (contestant, ours))
    return {
        "way": contestant.name,
        "import, s": contestant.import_seconds(),
        "first run, s": contestant.seconds[0],
        "first / ours": contestant.seconds[0] / ours.seconds[0],
        "later runs, s": later,
        "later / ours": later / our_later,
    }


def prepare(base: Path, pack: Path | None, weights: Path | None, quick: bool) -> Path:
    """Return a base directory with one pack and the weights."""
    make_base(base)
    if pack is not None:
        (base / "custom_nodes" / "codeformer").unlink()
        ignored = shutil.ignore_patterns(".git")
        shutil.copytree(pack, base / "custom_nodes" / pack.name, ignore=ignored)
    models = base / "models"
    if weights is not None:
        shutil.copy(weights, models / "facedetection" / DETECTOR)
    if not quick:
        save_network(models / "facerestore_models" / CODEFORMER, published_codeformer())
        torch.save(random_parsenet(), models / "facedetection" / PARSER)
    return base


def random_parsenet() -> dict[str, Tensor]:
    """Return weights of ParseNet's published size."""
    from facexlib.parsing import ParseNet

    torch.manual_seed(0)
    return ParseNet(in_size=512, out_size=512, parsing_ch=19).state_dict()


def save_photo(base: Path, megapixels: float, people: list[Tensor]) -> None:
    """Put a group photo among the host's inputs."""
    (base / "input").mkdir()
    photo = to_uint8(group_photo(*sides(megapixels), PEOPLE, people))
    Image.fromarray(photo).save(base / "input" / PHOTO)


def ours(quick: bool, detector: bool, parser: bool, fidelity: float) -> Prompt:
    """Load, restore and preview with our nodes."""
    restore = {"image": ["photo", 0], "fidelity": fidelity, "adain": "off"}
    prompt: Prompt = {"photo": node("LoadImage", image=PHOTO)}
    if not quick:
        prompt["model"] = node("CodeFormerLoader", file=CODEFORMER)
        restore["model"] = ["model", 0]
    if parser:
        prompt["parser"] = node("CodeFormerFaceParserLoader", file=PARSER)
        restore["parser"] = ["parser", 0]
    if detector:
        prompt["detector"] = node("CodeFormerFaceDetectorLoader", file=DETECTOR)
        restore["detector"] = ["detector", 0]
    prompt["restore"] = node("CodeFormerRestoreImage", **restore)
    return prompt | {"shown": node("PreviewImage", images=["restore", 0])}


def theirs(fidelity: float) -> Prompt:
    """Load, restore and preview with the nodes of facerestore_cf, which always parses."""
    return {
        "photo": node("LoadImage", image=PHOTO),
        "model": node("FaceRestoreModelLoader", model_name=CODEFORMER),
        "restore": node(
            "FaceRestoreCFWithModel",
            facerestore_model=["model", 0],
            image=["photo", 0],
            facedetection="retinaface_mobile0.25",
            codeformer_fidelity=fidelity,
        ),
        "shown": node("PreviewImage", images=["restore", 0]),
    }


def node(kind: str, **inputs: object) -> dict[str, object]:
    """One node of a prompt in API format."""
    return {"class_type": kind, "inputs": inputs}


class Contestant:
    """One way to restore the photo, and what was measured of it."""

    def __init__(self, name: str, server: Server, prompt: Callable[[float], Prompt]) -> None:
        self.name = name
        self.seconds: list[float] = []
        self._server = server
        self._prompt = prompt

    def run(self, fidelity: float) -> None:
        """Restore the photo; another fidelity each time, or the host would know the answer."""
        identifier = self._server.post(self._prompt(fidelity))
        entry = self._server.wait(identifier, SLOWEST_RUN)
        times = {kind: details["timestamp"] for kind, details in entry["status"]["messages"]}
        self.seconds.append((times["execution_success"] - times["execution_start"]) / 1000)

    def import_seconds(self) -> float:
        """What the host's log says that importing the pack took."""
        pack = OURS if self.name.startswith("ours") else self.name
        log = self._server.log.read_text(errors="replace")
        found = re.search(rf"([\d.]+) seconds.*: .*{pack}$", log, re.MULTILINE)
        return float(found[1]) if found else float("nan")


if __name__ == "__main__":
    main()
