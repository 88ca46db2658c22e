"""`codeformer personalize`: make an adapter of one person from a few photos."""

import argparse
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SettingError
from .options import Commands, add_detector_options, load_face_detector, number_between

if TYPE_CHECKING:
    from torch import Tensor

    from ..training.personal import Look

INTERRUPTED = 130
MOST_OTHERS = 200
"""Faces of others that are held at once, 3 MB each."""


def add_parser(commands: Commands) -> argparse.ArgumentParser:
    """Describe the command."""
    parser = commands.add_parser(
        "personalize",
        help="teach a model one person from a few photos",
        description="Learn a small adapter from 3 to 20 good photos of one person, so that damaged "
        "pictures come back as that person. It invents what a picture does not hold, and is for "
        "pictures of people who agree. It stops by itself; the same command goes on after Ctrl-C.",
    )
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO", help="3 to 20 of them")
    parser.add_argument(
        "--model",
        default="builtin",
        metavar="NAME",
        help="the CodeFormer it is for: builtin, the path of a weight file, or the name of a "
        "downloaded one (default: builtin)",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the adapter, .safetensors"
    )
    parser.add_argument(
        "--others",
        type=Path,
        metavar="DIR",
        help="aligned faces of other people, on whom the model shall stay what it is (default: the "
        "photos, bent until they show somebody else)",
    )
    parser.add_argument(
        "--minutes",
        type=number_between(0, 1e6),
        default=30.0,
        metavar="N",
        help="stop learning after so many (default: 30)",
    )
    add_detector_options(parser)
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    from ..images import read_picture
    from ..metrics import IdentityNetwork
    from ..models.folders import model_folders
    from ..models.load import find_restorer
    from ..people.adapters import save_adapter
    from ..people.references import known_person
    from ..runtime import Runtime, check_device
    from ..training.interrupts import stopping_on_interrupt
    from ..training.personalize import forget, personalize
    from .progress import steps

    if options.out.suffix.lower() != ".safetensors":
        raise SettingError(f"{options.out.name}: adapters are written as .safetensors")
    base = find_restorer(options.model, model_folders(options.weights_dir))
    photos = [read_picture(path).pixels for path in options.photos]
    person = known_person(photos, load_face_detector(options), IdentityNetwork())
    state, stop = options.out.with_suffix(".run"), threading.Event()
    with steps("learning") as on_progress, stopping_on_interrupt(stop):
        adapter = personalize(
            base,
            person,
            others=_faces_of(options.others) if options.others else None,
            folder=state,
            minutes=options.minutes,
            stop=stop,
            on_look=_say,
            device=check_device(options.device),
            runtime=Runtime(on_progress),
        )
    save_adapter(options.out, adapter)
    print(f"{options.out}: {options.out.stat().st_size:,} bytes, for {base.stem}", flush=True)
    if stop.is_set():
        print("stopped early: the same command goes on from here")
        return INTERRUPTED
    forget(state)
    return 0


def _say(look: "Look") -> None:
    print(
        f"step {look.step}: identity distance of the photos held back {look.identity:.3f}",
        flush=True,
    )


def _faces_of(folder: Path) -> "Tensor":
    """(M, S, S, 3) faces of a folder."""
    import torch

    from ..images import picture_files, read_picture, resize
    from ..people.references import CROP_SIZE

    faces = [
        resize(read_picture(path).pixels[None, ..., :3], CROP_SIZE, CROP_SIZE)
        for path in list(picture_files(folder))[:MOST_OTHERS]
    ]
    if not faces:
        raise SettingError(f"{folder}: holds no picture of a face")
    return torch.cat(faces)
