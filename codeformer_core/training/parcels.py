"""A run in a few small files, for a way that takes no large ones.

What a run needs to go on with, but for what it finds again in a hundred steps: averaged weights in
float16, from which the weights themselves start anew; the optimiser's second moments in bfloat16,
as far as they fit; discriminator, log, samples and settings. Stage II is left out once stage III
has begun, and so is what stage III has from stage I. One archive, cut into parts.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checkpoints import read_state, write_state
from ..errors import CheckpointError
from ..images import atomic_write, make_folder
from .run_folder import RunFolder, State
from .stage_two import PRIOR, UNKNOWN

STAGES = ("stage3", "stage2", "stage1")
"""Folders of a run, in the order in which their moments are worth their room."""
PART_BYTES = 16 << 20
"""Of a part, at most."""
LIMIT = 60 << 20
"""Of all parts together, at most, where moments can be left out."""
NAME = "run.{:03d}"
PARTS = "run.[0-9][0-9][0-9]"
FILES = ("run.json", "log.jsonl", "samples.jpg")
"""Of a stage, that travel as they are."""
OPTIMIZERS = ("optimizer", "discriminator_optimizer")
REBUILT = "network."
"""Start of the names of tensors that the average stands for."""


def write_parcels(run: Path, out: Path, limit: int = LIMIT) -> list[Path]:
    """Write the stages of a run as parts.

    Args:
        run: folder of its stages.
        out: folder for the parts; made if it is not there. Older parts in it are replaced.
        limit: moments are left out where the parts would grow larger together.

    Raises:
        CheckpointError: there is no run, or a damaged one.
        PictureError: a part cannot be written.
    """
    stages = {name: RunFolder(run / name) for name in STAGES}
    states = {name: folder.load() for name, folder in stages.items()}
    begun = {name: state for name, state in states.items() if state is not None}
    if not begun:
        raise CheckpointError(f"{run}: holds no run; train a stage first")
    if "stage3" in begun:
        begun.pop("stage2", None)
    content = {name: _packed(state, stages[name]) for name, state in begun.items()}
    if "stage1" in content:
        first = content["stage1"]["average"]
        for name in set(content) - {"stage1"}:
            content[name]["average"] = _without_prior(content[name]["average"], first)
    for name, state in begun.items():
        moments = _second_moments(state["optimizer"])
        if _bytes_of(content) + _bytes_of(moments) <= limit:
            content[name]["moments"] = moments
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return _cut(buffer.getbuffer(), out)


def read_parcels(folder: Path, run: Path) -> list[str]:
    """Lay out the folders of a run from its parts; the names of its stages.

    Args:
        folder: of the parts.
        run: folder for the stages; must hold none yet.

    Raises:
        CheckpointError: no parts, not all of them, damaged ones, or a run that is there already.
        PictureError: the folder cannot be written.
    """
    parts = sorted(folder.glob(PARTS))
    if not parts:
        raise CheckpointError(f"{folder}: holds no part of a run ({PARTS})")
    if any((run / name).exists() for name in STAGES):
        raise CheckpointError(f"{run}: holds a run already; choose another folder")
    data = io.BytesIO(b"".join(part.read_bytes() for part in parts))
    try:
        content = torch.load(data, map_location="cpu", weights_only=True)  # noqa: TID251
    except Exception as error:
        raise CheckpointError(f"{folder}: parts are missing or damaged ({error!s:.200})") from error
    for name in sorted(content):  # stage I first, from which the others have their prior
        first = content.get("stage1", content[name])["average"]
        prior = {key: each for key, each in first.items() if key.startswith(PRIOR)}
        content[name]["average"] = prior | content[name]["average"]
        _lay_out(content[name], RunFolder(run / name))
    return sorted(content)


def _packed(state: State, folder: RunFolder) -> State:
    """A stage without what is rebuilt."""
    _, metadata = read_state(folder.weights)
    stage: dict[str, Tensor] = state["stage"]
    kept = {name: each for name, each in stage.items() if not name.startswith(REBUILT)}
    remembered = kept.pop("known_codes", None)
    files = {
        path.name: torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
        for path in (folder.path / name for name in FILES)
        if path.is_file()
    }
    return {
        **{name: state[name] for name in ("step", "seconds", "averaged")},
        "average": _halved(state["average"]),
        "discriminator": _halved(state["discriminator"]),
        "stage": kept,
        "remembered": None if remembered is None else list(remembered.shape),
        "groups": [state[name]["param_groups"] for name in OPTIMIZERS],
        "moments": {},
        "metadata": metadata,
        "files": files,
    }


def _lay_out(stage: State, folder: RunFolder) -> None:
    """Write the files of a stage, as the run itself would have."""
    make_folder(folder.path)
    average = {name: each.float() for name, each in stage["average"].items()}
    write_state(folder.weights, average, stage["metadata"])
    for name, data in stage["files"].items():
        with atomic_write(folder.path / name) as file:
            file.write(data.numpy().tobytes())
    own = {**stage["stage"], **{REBUILT + name: each for name, each in average.items()}}
    if stage["remembered"] is not None:
        own["known_codes"] = torch.full(stage["remembered"], UNKNOWN, dtype=torch.int16)
    groups = dict(zip(OPTIMIZERS, stage["groups"], strict=True))
    moments = {index: _first_moments(each) for index, each in stage["moments"].items()}
    folder.save_state(
        {
            **{name: stage[name] for name in ("step", "seconds", "averaged")},
            "average": average,
            "discriminator": {n: each.float() for n, each in stage["discriminator"].items()},
            "stage": own,
            "optimizer": {"state": moments, "param_groups": groups["optimizer"]},
            "discriminator_optimizer": {
                "state": {},
                "param_groups": groups["discriminator_optimizer"],
            },
        }
    )


def _without_prior(average: dict[str, Tensor], first: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without codebook and generator where they are stage I's: a generator may have gone on."""
    return {
        name: each
        for name, each in average.items()
        if not (name.startswith(PRIOR) and torch.equal(each, first[name]))
    }


def _halved(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: each.half() for name, each in tensors.items()}


def _second_moments(optimizer: State) -> dict[int, State]:
    """Adam's, which say how large steps may be; the first ones are those of ten steps."""
    return {
        index: {"step": each["step"], "exp_avg_sq": each["exp_avg_sq"].bfloat16()}
        for index, each in optimizer["state"].items()
    }


def _first_moments(moments: State) -> State:
    """An optimiser's state of a parameter that stands still."""
    squares = moments["exp_avg_sq"].float()
    return {"step": moments["step"], "exp_avg": torch.zeros_like(squares), "exp_avg_sq": squares}


def _bytes_of(content: Any) -> int:
    """Size of the tensors of nested dictionaries."""
    return sum(tensor.nbytes for tensor in _tensors(content))


def _tensors(content: Any) -> Iterator[Tensor]:
    if isinstance(content, Tensor):
        yield content
    elif isinstance(content, dict):
        for each in content.values():
            yield from _tensors(each)


def _cut(data: memoryview, out: Path) -> list[Path]:
    make_folder(out)
    for old in out.glob(PARTS):
        old.unlink()
    paths = []
    for number, start in enumerate(range(0, len(data), PART_BYTES)):
        paths.append(out / NAME.format(number))
        with atomic_write(paths[-1]) as file:
            file.write(data[start : start + PART_BYTES])
    return paths
