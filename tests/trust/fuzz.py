"""Read damaged files in a closed room: `python fuzz.py TARGET ROUNDS FOLDER`.

The room lets nothing write outside the folder, start a program or reach the network, grants little
memory, and ends the process when one file takes too long. Prints what came out as JSON; the exit
code is 1 if anything but a result or an error of ours did.
"""

import faulthandler
import json
import os
import random
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import damage
import samples

from codeformer_core.errors import CodeFormerError

SECONDS = 60
"""No file of a few kB may take longer, even on a busy machine."""
MOST_PIXELS = 1 << 20
"""Pixels a picture may have in the room; memory is bounded in proportion to this limit."""
LONGEST_WEBP = 16383
MOST_MEMORY_KB = 300_000
"""Growth of the largest memory ever held, once everything is imported."""
FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.", "socket.",
             "os.symlink", "os.link", "webbrowser.", "shutil.copy", "shutil.move", "shutil.chown",
             "shutil.make", "shutil.unpack")  # fmt: skip
"""Audit events of a program that does more than read."""


class EscapeError(BaseException):
    """Something in a file made the program do more than read; nothing may swallow this."""


@dataclass(frozen=True)
class Target:
    """One kind of file."""

    samples: Callable[[Path], samples.Samples]
    read: Callable[[Path], object]
    mutations: tuple[damage.Mutation, ...] = ()
    """Beside the general ones, which come as often as each of these."""


def read_picture(path: Path) -> object:
    """Read it; what was read can also be written, and read again with all its metadata."""
    from codeformer_core.images import read_picture, write_picture

    picture = read_picture(path)
    whole = replace(picture, pixels=picture.pixels.nan_to_num(0, 1, 0))
    fits = max(picture.pixels.shape) < LONGEST_WEBP
    for suffix in (".png", ".tif", ".jpg", ".webp") if fits else (".png", ".tif"):
        again = path.with_name(f"again{suffix}")
        lost = " ".join(write_picture(again, whole))
        other = read_picture(again)
        assert (other.exif == picture.exif) or "EXIF" in lost
        assert set(other.blocks) <= set(picture.blocks)
        assert len(other.blocks) == len(picture.blocks) or "not kept" in lost
        again.unlink()
    return picture


def read_shard(path: Path) -> object:
    import numpy as np
    import torch

    from codeformer_core.training.sources import FaceSet, find_pictures, hold_out

    kept, held = hold_out(find_pictures(path), 0.5)
    faces = FaceSet([*kept, *held], 1)
    return [faces.take(np.array([index]), torch.device("cpu")).shape for index in range(len(faces))]


def read_weights(path: Path) -> object:
    from codeformer_core.checkpoints.reader import read_weights
    from codeformer_core.models.registry import read_config, recognise

    file = read_weights(path)
    if file.graph is not None and path.name == "graph.onnx":
        assert file.graph.weight_bytes == 24
    size = sum(tensor.numel() * tensor.element_size() for tensor in file.state.values())
    assert size <= 2 * path.stat().st_size
    return read_config(recognise(file), file)


def damaged_pickle(data: bytes, chance: random.Random) -> bytes:
    """Damage inside an archive whose checksums are right."""
    if not data.startswith(b"PK") or len(data) > 10_000:
        return damage.any_of(data, chance)
    return samples.with_pickle(data, damage.any_of(samples.pickle_of(data), chance))


TARGETS = {
    "pictures": Target(samples.pictures, read_picture, (damage.resealed_png,)),
    "shards": Target(samples.shards, read_shard, (damage.resealed_tar, damage.resealed_tar)),
    "weights": Target(samples.weights, read_weights, (damaged_pickle,)),
}


def fuzz(target: Target, name: str, rounds: int, folder: Path) -> dict[str, Any]:
    """Read all samples as they are, then `rounds` damaged ones."""
    whole = target.samples(folder)
    outcomes, faults = Counter[str](), {}
    close_the_room(folder)
    for sample, data in whole.items():  # also imports everything
        _read(target, folder / sample, data, outcomes, faults)
    before = _peak()
    _grant_little_memory()
    for index in range(rounds):
        chance = random.Random(f"{name} {index}")
        sample = chance.choice(list(whole))
        mutate = chance.choice((damage.any_of, *target.mutations))
        renamed = chance.choice([sample, sample, chance.choice(list(whole))])
        path = folder / f"damaged-{index}{Path(renamed).suffix}"
        _read(target, path, mutate(whole[sample], chance), outcomes, faults)
    return {
        "inputs": len(whole) + rounds,
        "outcomes": dict(outcomes),
        "faults": faults,
        "grown_kb": _peak() - before,
    }


def _read(
    target: Target, path: Path, data: bytes, outcomes: Counter[str], faults: dict[str, str]
) -> None:
    path.write_bytes(data)
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    try:
        target.read(path)
        outcomes["read"] += 1
        path.unlink()
    except CodeFormerError as error:
        outcomes["refused"] += 1
        if path.name not in str(error) or len(str(error)) > 2000 or _lacks_memory(error):
            faults[path.name] = f"refused in the wrong way: {error!s:.2000}"
        else:
            path.unlink()
    except (Exception, EscapeError):
        faults[path.name] = traceback.format_exc(limit=-8)
    faulthandler.cancel_dump_traceback_later()


def _lacks_memory(error: BaseException) -> bool:
    """Whether a file was refused only because it had already asked for too much."""
    cause = error.__cause__
    return cause is not None and ("memory" in str(cause).lower() or isinstance(cause, MemoryError))


def close_the_room(folder: Path) -> None:
    """From here on nothing but reading, and writing in the folder."""
    inside = os.fspath(folder)

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(FORBIDDEN):
            raise EscapeError(f"{event} {arguments}")
        if event == "open" and isinstance(arguments[0], str) and _writes(arguments):
            if not arguments[0].startswith(inside):
                raise EscapeError(f"{event} {arguments}")

    sys.dont_write_bytecode = True
    sys.addaudithook(refuse)


def _grant_little_memory() -> None:
    import resource

    held = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (held + (1 << 30),) * 2)


def _writes(arguments: tuple[Any, ...]) -> bool:
    _, mode, flags = arguments
    return bool(set(mode or "") & set("wax+")) or bool((flags or 0) & (os.O_WRONLY | os.O_RDWR))


def _peak() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _allow_few_pixels() -> None:
    from PIL import Image

    from codeformer_core.images import reading

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2
    reading.MOST_MEGAPIXELS = MOST_PIXELS / 1e6


def main() -> int:
    name, rounds, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]).resolve()
    os.chdir(folder)
    _allow_few_pixels()
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        tempfile.tempdir = temporary  # where jpeglib leaves a file when it fails
        result = fuzz(TARGETS[name], name, rounds, folder)
    result["left"] = sorted(path.name for path in folder.iterdir())
    print(json.dumps(result))
    return 1 if result["faults"] or result["grown_kb"] > MOST_MEMORY_KB else 0


if __name__ == "__main__":
    sys.exit(main())
