"""The one module that touches the host: folders, memory manager, progress, Cancel, messages."""

from __future__ import annotations

import json
import logging
import math
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import comfy.cli_args
import comfy.model_management as memory
import comfy.model_patcher
import comfy.ops
import comfy.utils
import folder_paths
import torch
from comfy_execution.utils import get_executing_context
from torch import Tensor

if TYPE_CHECKING:
    from ..codeformer_core.faces import Faces

Part = TypeVar("Part")
log = logging.getLogger("CodeFormer")

FOLDERS = {
    "facerestore_models": "facerestore_models",
    "facedetection_models": "facedetection",
    "facedetection": "facedetection",
}
"""Folder keys that users of other packs already have, and their folder below `models`."""

EXTENSIONS = frozenset({".safetensors", ".sft", ".pth", ".pt", ".ckpt"})
"""Weight files we list."""

SECONDS_BETWEEN_UPDATES = 0.1
"""Of the progress bar."""

PREVIEW_SIDE = 512
"""Longest side in pixels of the preview beside the progress bar."""


# ---------------------------------------------------------------------------------------- folders


def register_folders() -> None:
    """Make our model folders known without taking anything from entries that are already there."""
    for key, folder in FOLDERS.items():
        path = str(Path(folder_paths.models_dir) / folder)
        if key in folder_paths.folder_names_and_paths:
            folder_paths.add_model_folder_path(key, path)
        else:
            # Not `add_model_folder_path`: it gives a new key no extensions and so lists every file.
            folder_paths.folder_names_and_paths[key] = ([path], set(EXTENSIONS))


def model_files(keys: Iterable[str]) -> list[str]:
    """Weight files below the folders of these keys, as names relative to them, without repeats."""
    names = {name for key in keys for name in folder_paths.get_filename_list(key)}
    return sorted(name for name in names if Path(name).suffix.lower() in EXTENSIONS)


def find_model(keys: Iterable[str], name: str) -> Path | None:
    """Full path of a listed weight file, or None."""
    for key in keys:
        path = folder_paths.get_full_path(key, name)
        if path is not None:
            return Path(path)
    return None


def model_folders(keys: Iterable[str]) -> list[Path]:
    """The user's folders of these keys."""
    listed = (folder for key in keys for folder in folder_paths.get_folder_paths(key))
    return [Path(folder) for folder in dict.fromkeys(listed)]


def preview_file(suffix: str) -> tuple[Path, dict[str, str]]:
    """A new file among the previews, which the host clears, and how the browser asks for it."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    name = f"codeformer_{uuid.uuid4().hex}{suffix}"
    return folder / name, {"filename": name, "subfolder": "", "type": "temp"}


def setting(name: str) -> Any:
    """What the user changed a setting of the browser to; None where it was left alone.

    A run does not say whose it is: of several users it is the default one's.
    """
    path = Path(folder_paths.get_user_directory()) / "default" / "comfy.settings.json"
    try:
        return json.loads(path.read_text(encoding="utf-8")).get(name)
    except (OSError, ValueError):
        return None


def download_folder(key: str) -> Path:
    """Where a download of this kind goes: the user's first folder for it."""
    return Path(folder_paths.get_folder_paths(key)[0])


# ------------------------------------------------------------------------- progress, Cancel, words


def raise_if_cancelled() -> None:
    """Stop the run if the user pressed Cancel."""
    memory.throw_exception_if_processing_interrupted()


def cancelled() -> bool:
    """Whether the user pressed Cancel."""
    return memory.processing_interrupted()


class Progress:
    """The node's progress bar, with the newest face as preview; an update also notices Cancel.

    Called as `progress(done, total)`, the way every long function of the core reports.
    """

    def __init__(self) -> None:
        self._bar: comfy.utils.ProgressBar | None = None
        self._face: Tensor | None = None
        self._shown_at = -math.inf

    def __call__(self, done: float, total: float | None) -> None:
        """Show `done` of `total`; a total of None is not known and shows as half done."""
        raise_if_cancelled()
        now = time.monotonic()
        # Every message goes through the browser's socket: a download would send thousands.
        if done != total and now - self._shown_at < SECONDS_BETWEEN_UPDATES:
            return
        self._shown_at = now
        total = 2 * max(done, 1) if total is None else total
        bar = self._bar = self._bar or comfy.utils.ProgressBar(total)
        face, self._face = self._face, None
        preview = None if face is None else ("JPEG", _as_pil(face), PREVIEW_SIDE)
        bar.update_absolute(done, total, preview)

    def show(self, face: Tensor) -> None:
        """Remember (3, S, S) in -1..1 for the next update."""
        self._face = face


def _as_pil(face: Tensor) -> Any:
    """(3, S, S) in -1..1 as a PIL picture."""
    from PIL import Image

    pixels = face.detach().float().add(1).mul(127.5).nan_to_num().clamp(0, 255)
    return Image.fromarray(pixels.byte().permute(1, 2, 0).cpu().numpy())


def say(text: str, *, warning: bool = False) -> None:
    """Write a line to the log and, where the host can, under the running node."""
    log.log(logging.WARNING if warning else logging.INFO, text)
    # Looked up, not imported: outside of a running server there is nobody to tell.
    server = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
    send = getattr(server, "send_progress_text", None)
    context = get_executing_context()
    if send is not None and context is not None:
        send(text, context.node_id)


def say_broken(faces: Iterable[int]) -> None:
    """Name the faces, counted from 0, that did not come out; none says nothing."""
    numbers = ", ".join(str(index + 1) for index in faces)
    if numbers:
        say(f"left as it was, no finite pixels came out: face {numbers}", warning=True)


def say_large(images: Tensor, faces: Faces | None, size: int) -> None:
    """Warn of faces of pictures, or of crops without `faces`, that a model of `size` px softens."""
    from ..codeformer_core.pipeline.large_faces import large_face_notes, sides_of

    for note in large_face_notes(sides_of(images, faces), size):
        say(note, warning=True)


# ------------------------------------------------------------------------------------------ memory


def operations() -> Any:
    """Layer classes that cast and move their weights at the moment of use."""
    return comfy.ops.manual_cast


def offload_device() -> torch.device:
    """Where networks wait while they are not needed."""
    return memory.unet_offload_device()


def network_dtype() -> torch.dtype:
    """Type for an autoencoder of pixels, under the same command line switches as the host's VAE.

    The host itself leaves the processor at float32, even where bfloat16 is several times faster.
    """
    from ..codeformer_core.runtime import fastest_dtype

    device = memory.get_torch_device()
    chosen = memory.vae_dtype(device, [torch.bfloat16, torch.float32])
    wants_float32 = comfy.cli_args.args.fp32_vae or comfy.cli_args.args.force_fp32
    if is_cpu(device) and chosen == torch.float32 and not wants_float32:
        return fastest_dtype(device)
    return chosen


def is_cpu(device: torch.device) -> bool:
    """Whether the host computes on the processor there."""
    return memory.is_device_cpu(device)


def free_memory(device: torch.device) -> float:
    """Bytes that can be taken on a device now."""
    return memory.get_free_memory(device)


def to_output(tensor: Tensor) -> Tensor:
    """Bring a result to where the host keeps what goes from node to node."""
    return tensor.to(memory.intermediate_device())


def in_parts(run: Callable[[slice], Part], count: int) -> list[Part]:
    """Run over `count` items at once, or in ever smaller parts while memory runs out.

    Args:
        run: takes the slice of items to do.
        count: number of items.

    Raises:
        Exception: the host's out-of-memory error, if even a single item does not fit.
    """
    results: list[Part] = []
    start, step = 0, max(1, count)
    while start < count:
        result = _unless_out_of_memory(run, slice(start, start + step), last=step == 1)
        if result is None:
            # Outside of the handler: until it ends, the error keeps the failed tensors alive.
            memory.soft_empty_cache()
            step = max(1, step // 2)
            log.info("out of memory, going on with %d at a time", step)
        else:
            results.append(result)
            start += step
    return results


def _unless_out_of_memory(run: Callable[[slice], Part], part: slice, *, last: bool) -> Part | None:
    """Result of `run`, or None if memory ran out and there is something smaller to try."""
    try:
        return run(part)
    except memory.OOM_EXCEPTION:
        if last:
            raise
        return None


TILES = (512, 256, 128)
"""Sides of the tiles that an upscale model gets, from the first to what is tried at the last."""
TILE_OVERLAP = 32


class _Tiles:
    """What the host's tiling takes for a progress bar."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._done, self._total = progress, 0, total

    def update(self, tiles: int) -> None:
        self._done += tiles
        self._progress(self._done, self._total)


def upscale_tiled(
    run: Callable[[Tensor], Tensor], planes: Tensor, factor: float, progress: Progress
) -> Tensor:
    """Enlarge pictures by the host's own tiling, in smaller tiles while memory runs out.

    Args:
        run: enlarges one tile (1, 3, h, w).
        planes: (B, 3, H, W).
        factor: by which `run` enlarges.
        progress: called after every tile.

    Raises:
        Exception: the host's out-of-memory error, if even the smallest tile does not fit.
    """
    height, width = planes.shape[2:]
    for tile in TILES:
        size = {"tile_x": tile, "tile_y": tile, "overlap": TILE_OVERLAP}
        steps = len(planes) * comfy.utils.get_tiled_scale_steps(width, height, **size)

        def enlarge(_: slice, size: dict[str, int] = size, steps: int = steps) -> Tensor:
            bar = _Tiles(progress, steps)
            return comfy.utils.tiled_scale(planes, run, upscale_amount=factor, pbar=bar, **size)

        result = _unless_out_of_memory(enlarge, slice(None), last=tile == TILES[-1])
        if result is not None:
            return result
        memory.soft_empty_cache()
        log.info("out of memory, going on with smaller tiles than %d pixels", tile)
    raise AssertionError("the smallest tile either fits or raises")


class Hosted:
    """A network under the host's memory manager.

    Attributes:
        name: what the user knows it by.
        network: the network; its weights are where the host wants them, call `load` before use.
        patcher: the host's handle on it.
    """

    def __init__(self, network: torch.nn.Module, name: str, *, casting: bool) -> None:
        """Hand the network to the memory manager.

        Args:
            network: with its weights, on the offload device.
            name: what the user knows it by.
            casting: whether its layers are the host's; plain layers are moved as a whole.
        """
        self.name = name
        self.network = network.eval().requires_grad_(False)
        self.casting = casting
        self.patcher = _new_patcher(network, casting)

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return self.patcher.load_device

    def load(self, memory_required: float) -> None:
        """Bring the weights to the device, making room for `memory_required` more bytes."""
        memory.load_models_gpu(
            [self.patcher], memory_required=memory_required, force_full_load=True
        )
        if not self.casting:
            # A partial load leaves plain layers where they were; ours are a few megabytes.
            self.network.to(self.device)


def _new_patcher(network: torch.nn.Module, casting: bool) -> comfy.model_patcher.ModelPatcher:
    """The newest patcher that knows how to handle the network's layers."""
    archive_dtypes = getattr(memory, "archive_model_dtypes", None)
    if archive_dtypes is not None:
        archive_dtypes(network)
    newest = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)
    make = newest if casting else comfy.model_patcher.ModelPatcher
    return make(network, load_device=memory.get_torch_device(), offload_device=offload_device())
