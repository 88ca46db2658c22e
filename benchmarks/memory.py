"""Peak memory: flat in faces and frames beyond one batch, and weights held once while loading.

Every line is a process of its own, and its peak is what the operating system (Linux) saw: Python,
torch and the weights included.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from scenes import placed_faces, published_codeformer, sides
from side_by_side import Row, parser, report

from codeformer_core.checkpoints import save_network
from codeformer_core.models import find_restorer, load_codeformer
from codeformer_core.pipeline import restore_image
from codeformer_core.runtime import Runtime

MEBIBYTE = 2**20
FRAME = (240, 320)
FACE_SIDE = 128.0

Job = Callable[[], Row]


def main() -> None:
    """Measure and report."""
    options = parser(__doc__)
    options.add_argument("--device", default="cpu", help="where the networks run")
    arguments = options.parse_args()
    faces = partial(restored_faces, device=arguments.device)
    frames = partial(restored_frames, device=arguments.device)
    jobs: list[Job] = [partial(faces, "builtin", 0.1, count, 8) for count in (1, 16)]
    jobs += [partial(frames, count) for count in (1, 4)]
    jobs += [partial(loaded, find_restorer("builtin"), arguments.device)]
    if not arguments.quick:
        jobs = [partial(faces, "builtin", 8, count, 8) for count in (1, 8, 64)]
        jobs += [partial(frames, count) for count in (1, 64, 512)]
    with tempfile.TemporaryDirectory() as folder:
        if not arguments.quick:
            files = [Path(folder) / f"published.{suffix}" for suffix in ("safetensors", "pth")]
            in_fresh_process(partial(write_published, files))
            jobs += [partial(faces, str(files[0]), 8, count, 1) for count in (1, 8)]
            jobs += [partial(loaded, file, arguments.device) for file in files]
        rows = [in_fresh_process(job) for job in jobs]
    report("Memory", rows, arguments.out)


def in_fresh_process(job: Job) -> Row:
    """Run a job in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(job)


def restored_faces(model: str, megapixels: float, count: int, batch: int, device: str) -> Row:
    """Restore so many faces of one picture."""
    height, width = sides(megapixels)
    network = load_codeformer(model, device=device)
    picture = torch.rand(height, width, 3, generator=torch.Generator().manual_seed(0))
    faces = placed_faces(height, width, count, FACE_SIDE)
    with torch.no_grad():
        result = restore_image(picture, network, faces=faces, runtime=Runtime(batch_size=batch))
    name = Path(model).stem
    held = held_mebibytes(picture, result.image, result.mask)
    return {"what": f"{name}, {megapixels} MP, batches of {batch}", "faces": count} | peaks(held)


def restored_frames(count: int, device: str) -> Row:
    """Restore a batch of small frames with one face each."""
    network = load_codeformer("builtin", device=device)
    frames = torch.rand(count, *FRAME, 3, generator=torch.Generator().manual_seed(0))
    faces = placed_faces(*FRAME, 1, FACE_SIDE, count)
    result = restore_image(frames, network, faces=faces)
    held = held_mebibytes(frames, result.image, result.mask)
    return {"what": f"builtin, frames {FRAME[1]} x {FRAME[0]}", "frames": count} | peaks(held)


def loaded(file: Path, device: str) -> Row:
    """Load a file of the published size; the pages of the mapped file count while it lasts."""
    before = resident_mebibytes("VmRSS")
    network = load_codeformer(file, device=device)
    weights = sum(weight.numel() * weight.element_size() for weight in network.parameters())
    return {
        "what": f"loading {file.name}",
        "file, MiB": file.stat().st_size / MEBIBYTE,
        "weights, MiB": weights / MEBIBYTE,
        "more at the peak, MiB": peak_mebibytes() - before,
        "more afterwards, MiB": resident_mebibytes("VmRSS") - before,
    }


def write_published(files: list[Path]) -> Row:
    """Write a network of the published size with random weights, as safetensors and pickled."""
    network = published_codeformer()
    save_network(files[0], network)
    torch.save({"params_ema": network.state_dict()}, files[1])
    return {}


def held_mebibytes(*tensors: torch.Tensor) -> float:
    """Memory of what the caller holds anyway: pictures in, pictures and mask out."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) / MEBIBYTE


def peaks(held: float = 0.0) -> Row:
    """Return the peaks of this process so far, and what is left without the pictures."""
    row = {"peak RSS, MiB": peak_mebibytes()}
    if held:
        row |= {"pictures in and out, MiB": held, "the rest, MiB": peak_mebibytes() - held}
    if torch.cuda.is_available():
        row["peak CUDA, MiB"] = torch.cuda.max_memory_allocated() / MEBIBYTE
    return row


def peak_mebibytes() -> float:
    """Largest resident size of this process, in MiB."""
    return resident_mebibytes("VmHWM")


def resident_mebibytes(name: str) -> float:
    """A size that Linux tells of this process (unlike getrusage's, without what the parent had)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


if __name__ == "__main__":
    main()
