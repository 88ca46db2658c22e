"""Tell what a state dict is, from its keys and shapes alone."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor, nn

from ..checkpoints.reader import Metadata, State
from ..errors import CheckpointError, SettingError
from ..networks import CodeFormerConfig, VQGANConfig
from .layout import codeformer_config, vqgan_config


@dataclass(frozen=True)
class CheckpointInfo:
    """What a file of weights is."""

    kind: str
    """codeformer, vqgan, retinaface_resnet50, retinaface_mobile0.25, parsenet, bisenet; or a
    network of others (gfpgan, restoreformer, esrgan, yolov5-face, ...); or unknown."""
    title: str
    """What to call it before a person."""
    advice: str
    """Where it belongs, as one sentence."""
    config: CodeFormerConfig | VQGANConfig | None = None
    """Sizes, for the networks of this library."""

    @property
    def variant(self) -> str | None:
        """What a CodeFormer was trained for: restoration, inpainting or colorization."""
        return self.config.variant if isinstance(self.config, CodeFormerConfig) else None


@dataclass(frozen=True)
class _Signature:
    """How a kind of network is recognised."""

    kind: str
    title: str
    advice: str
    keys: tuple[str, ...]
    """Beginnings of keys, each of which must occur."""


_DETECTOR = "use it as the face detector (Load Face Detector)"
_PARSER = "use it as the face parser (Load Face Parser)"
_OURS = "use Load CodeFormer"
SIGNATURES = (
    _Signature(
        "codeformer", "a CodeFormer", _OURS, ("position_emb", "quantize.", "encoder.blocks.0.")
    ),
    _Signature(
        "codeformer", "a CodeFormer", _OURS, ("idx_pred_layer.", "ft_layers.", "generator.blocks.")
    ),
    _Signature(
        "vqgan",
        "a stage I VQGAN",
        "it holds no transformer, so it restores nothing by itself: use load_vqgan, "
        "or train stages II and III on it",
        ("encoder.blocks.0.", "quantize.embedding.", "generator.blocks.0."),
    ),
    _Signature(
        "retinaface_resnet50",
        "a RetinaFace detector (ResNet50)",
        _DETECTOR,
        ("body.conv1.", "body.layer4.", "fpn.", "ssh1.", "ClassHead.", "LandmarkHead."),
    ),
    _Signature(
        "retinaface_mobile0.25",
        "a RetinaFace detector (MobileNet 0.25)",
        _DETECTOR,
        ("body.stage1.", "fpn.", "ssh1.", "ClassHead.", "LandmarkHead."),
    ),
    _Signature("parsenet", "a ParseNet face parser", _PARSER, ("out_mask_conv.", "encoder.0.")),
    _Signature("bisenet", "a BiSeNet face parser", _PARSER, ("cp.resnet.", "ffm.", "conv_out.")),
    _Signature(
        "gfpgan",
        "a GFPGAN",
        "this library does not run it; load it with Load Upscale Model and use it in the place "
        "of Restore Faces",
        ("stylegan_decoder",),
    ),
    _Signature(
        "restoreformer",
        "a RestoreFormer",
        "this library does not run it; load it with Load Upscale Model and use it in the place "
        "of Restore Faces",
        ("vqvae.encoder.", "vqvae.quantize."),
    ),
    _Signature(
        "restoreformer",
        "a RestoreFormer",
        "this library does not run it; load it with Load Upscale Model and use it in the place "
        "of Restore Faces",
        ("encoder.down.", "decoder.up.", "quantize.embedding."),
    ),
    _Signature(
        "esrgan",
        "an ESRGAN upscaler",
        "load it with Load Upscale Model and connect it as upscale_model",
        ("conv_first.", "body.0.rdb1."),
    ),
    _Signature(
        "esrgan",
        "an ESRGAN upscaler",
        "load it with Load Upscale Model and connect it as upscale_model",
        ("conv_first.", "RRDB_trunk."),
    ),
    _Signature(
        "esrgan",
        "an ESRGAN upscaler",
        "load it with Load Upscale Model and connect it as upscale_model",
        ("model.0.weight", "model.1.sub."),
    ),
    _Signature(
        "yolov5-face",
        "a YOLOv5 face detector",
        "this library does not run it; choose retinaface_resnet50, retinaface_mobile0.25 or dlib",
        ("model.0.stem_1.",),
    ),
    _Signature(
        "discriminator",
        "a GAN discriminator",
        "it is needed for training only; choose the network trained with it",
        ("main.0.weight", "main.2.weight"),
    ),
    _Signature(
        "stable-diffusion",
        "a diffusion checkpoint",
        "load it with Load Checkpoint; CodeFormer comes after VAE Decode",
        ("model.diffusion_model.",),
    ),
)
"""Every kind that is recognised, the first that fits counts."""
UNKNOWN = CheckpointInfo(
    "unknown",
    "a network this library does not know",
    "choose a CodeFormer, RetinaFace, ParseNet or BiSeNet file",
)


def identify(state: State, metadata: Metadata | None = None) -> CheckpointInfo:
    """Tell what a state dict is.

    Args:
        state: flat tensors by key, as `read_state` returns them; only keys and shapes count.
        metadata: `variant`, `heads` and `image_size` say what shapes cannot.

    Returns:
        Kind, words for a person, and for networks of this library all sizes.

    Raises:
        CheckpointError: it is a network of this library, but sizes contradict each other or keys
            are missing; the message names the first.
    """
    info = recognise(state)
    if reader := _CONFIG_READERS.get(info.kind):
        try:
            return replace(info, config=reader(state, metadata or {}))
        except (CheckpointError, SettingError) as error:
            raise CheckpointError(f"looks like {info.title}, but {error}") from error
    return info


def recognise(state: State) -> CheckpointInfo:
    """Kind of a state dict without its sizes, from its keys alone; never fails."""
    signature = next((s for s in SIGNATURES if _fits(s, state)), None)
    if signature is None:
        return UNKNOWN
    return CheckpointInfo(signature.kind, signature.title, signature.advice)


def _fits(signature: _Signature, state: State) -> bool:
    return all(any(key.startswith(start) for key in state) for start in signature.keys)


_CONFIG_READERS: dict[str, Callable[[State, Metadata], CodeFormerConfig | VQGANConfig]] = {
    "codeformer": codeformer_config,
    "vqgan": vqgan_config,
}


def check_complete(network: nn.Module, state: State) -> None:
    """Check that a state dict has exactly the keys and shapes of a network.

    Args:
        network: its own keys and shapes are what is expected.
        state: tensors by our key names.

    Raises:
        CheckpointError: keys are missing, left over or of another shape; counts and the first.
    """
    expected = {key: tensor.shape for key, tensor in network.state_dict().items()}
    reshaped = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(shape)}"
        for key, shape in expected.items()
        if key in state and state[key].shape != shape
    ]
    problems = [
        ("missing", [key for key in expected if key not in state]),
        ("unexpected", [key for key in state if key not in expected]),
        ("of another shape", reshaped),
    ]
    found = [f"{len(keys)} keys {what}, first {keys[0][:120]!r}" for what, keys in problems if keys]
    if found:
        raise CheckpointError("; ".join(found))
    _check_floating(state)


def _check_floating(state: dict[str, Tensor]) -> None:
    wrong = [key for key, tensor in state.items() if not tensor.is_floating_point()]
    if wrong:
        raise CheckpointError(f"{len(wrong)} keys are not floating point, first {wrong[0][:120]!r}")
