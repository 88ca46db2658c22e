"""The one module that touches the host: folders, memory manager, progress, Cancel, messages.

Networks are kept by ComfyUI's memory manager, one patcher each. A hosted network is called like
the network it holds; each call brings the weights to the device first, so nothing breaks when the
host evicted them in between, and an out-of-memory halves the batch and tries again.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import comfy.model_management as memory
import comfy.model_patcher
import comfy.ops
import comfy.utils
import folder_paths
import torch
from comfy_execution.utils import get_executing_context
from torch import Tensor

if TYPE_CHECKING:
    from ..codeformer_core.faces import FaceDetector, FaceParser, Faces
    from ..codeformer_core.networks import CodeFormer, CodeFormerConfig, Fidelity

ProgressCallback = Callable[[int, int], None]

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

MOST_ON_GPU = 32
"""Faces in one forward pass; more gains nothing and delays progress and Cancel."""

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


# ------------------------------------------------------------------------------------------ memory


def operations() -> Any:
    """Layer classes that cast and move their weights at the moment of use."""
    return comfy.ops.manual_cast


def offload_device() -> torch.device:
    """Where networks wait while they are not needed."""
    return memory.unet_offload_device()


def network_dtype() -> torch.dtype:
    """Type for an autoencoder of pixels, under the same command line switches as the host's VAE."""
    return memory.vae_dtype(memory.get_torch_device(), [torch.bfloat16, torch.float32])


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


class HostedCodeFormer(Hosted):
    """CodeFormer under the memory manager; called as the network itself, crops from any device."""

    def __init__(self, network: CodeFormer, name: str) -> None:
        super().__init__(network, name, casting=True)
        self.network: CodeFormer = network

    @property
    def config(self) -> CodeFormerConfig:
        """Sizes and variant of the network."""
        return self.network.config

    @property
    def size(self) -> int:
        """Side of the crops in pixels."""
        return self.network.size

    @property
    def memory_per_crop(self) -> float:
        """Bytes that the activations of one crop take at their peak, estimated from the sizes."""
        vqgan = self.config.vqgan
        widest = max(
            side**2 * channels
            for side, channels in zip(vqgan.level_sizes, vqgan.level_channels, strict=True)
        )
        bytes_per_number = next(self.network.parameters()).element_size()
        return ACTIVATIONS_AT_PEAK * widest * bytes_per_number

    def chunk(self) -> int:
        """Number of crops for one forward pass: what is free now, within reason."""
        if memory.is_device_cpu(self.device):
            # A batch is no faster on a CPU: as much as one 512 px face, so that progress moves.
            return max(1, min(16, (512 // self.size) ** 2))
        free = memory.get_free_memory(self.device)
        return max(1, min(MOST_ON_GPU, int(0.8 * free / self.memory_per_crop)))

    def __call__(
        self, crops: Tensor, fidelity: Fidelity = 0.5, adain: bool | None = None
    ) -> Tensor:
        """Restore aligned faces as the network does, in parts that fit into memory.

        Args:
            crops: (N, 3, S, S) in -1..1 on any device.
            fidelity: one number or one a face.
            adain: None takes the variant's own setting.

        Returns:
            (N, 3, S, S) on the device and in the type of `crops`.
        """
        values = torch.as_tensor(fidelity, dtype=torch.float32, device="cpu").reshape(-1)

        def restore(part: slice) -> Tensor:
            chosen = crops[part]
            self.load(self.memory_per_crop * len(chosen))
            weight = values[part] if values.numel() > 1 else values
            return self.network(chosen.to(self.device), weight, adain).to(crops)

        with torch.no_grad():
            parts = in_parts(restore, len(crops))
        return torch.cat(parts) if parts else crops.clone()


ACTIVATIONS_AT_PEAK = 9.0
"""Feature maps of the widest level alive at once: 7.9 were counted for the published sizes, 9.1 for
a small network; the rest is for what convolutions need to work in."""


class Watched:
    """A hosted CodeFormer whose newest face goes to the progress bar as preview."""

    def __init__(self, model: HostedCodeFormer, progress: Progress) -> None:
        self._model = model
        self._progress = progress
        self.size = model.size
        self.config = model.config

    def __call__(
        self, crops: Tensor, fidelity: Fidelity = 0.5, adain: bool | None = None
    ) -> Tensor:
        """Restore as the model does and remember the last face for the preview."""
        restored = self._model(crops, fidelity, adain)
        if len(restored):
            self._progress.show(restored[-1])
        return restored


class HostedDetector:
    """A face detector; if it is a network, under the memory manager.

    Attributes:
        name: what the user knows it by.
    """

    def __init__(self, detector: FaceDetector) -> None:
        """Wrap a detector of the core; one with an attribute `network` is a network."""
        self.name = detector.name
        self._detector = detector
        network = getattr(detector, "network", None)
        # Plain layers in float32: the host has no casting BatchNorm, and detection is cheap.
        self.hosted = None if network is None else Hosted(network, detector.name, casting=False)

    def detect(
        self, frames: Tensor, *, on_progress: ProgressCallback | None = None, **settings: Any
    ) -> Faces:
        """Find faces as the detector does; see `FaceDetector.detect` of the core."""
        if self.hosted is None:
            return self._detector.detect(frames, on_progress=on_progress, **settings)
        hosted = self.hosted

        def find(part: slice) -> Faces:
            hosted.load(DETECTION_MEMORY)
            report = None if on_progress is None else partial(_later, on_progress, part, frames)
            return self._detector.detect(frames[part], on_progress=report, **settings)

        return _joined(in_parts(find, max(1, len(frames))))


class HostedParser:
    """A face parser under the memory manager; called as the parser itself.

    Attributes:
        name: what the user knows it by.
    """

    def __init__(self, parser: FaceParser) -> None:
        """Take over a parser of the core."""
        self.name = parser.name
        self._parser = parser
        self.hosted = Hosted(parser.network, parser.name, casting=False)

    def masks(self, crops: Tensor, *, hair: bool = True) -> Tensor:
        """Make masks as the parser does; see `FaceParser.masks` of the core."""

        def parse(part: slice) -> Tensor:
            self.hosted.load(PARSING_MEMORY)
            return self._parser.masks(crops[part], hair=hair)

        return torch.cat(in_parts(parse, max(1, len(crops))))


DETECTION_MEMORY = 1.2e9
"""Bytes for the activations of RetinaFace on as many pixels as it searches at once."""

PARSING_MEMORY = 1.2e9
"""Bytes for the activations of a parser on as many crops as it takes at once."""


def _later(on_progress: ProgressCallback, part: slice, frames: Tensor, done: int, _: int) -> None:
    """Report what is done of a part as done of the whole."""
    on_progress(part.start + done, len(frames))


def _joined(parts: list[Faces]) -> Faces:
    """The faces of consecutive parts of a batch as those of the whole batch."""
    if len(parts) == 1:
        return parts[0]
    frames = [frame for part in parts for frame in part.frames]
    numbered = (
        tuple(dataclasses.replace(face, frame=index) for face in frame)
        for index, frame in enumerate(frames)
    )
    return dataclasses.replace(parts[0], frames=tuple(numbered))
