"""Say what a weight file is, for `codeformer inspect`."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..checkpoints.reader import State, WeightFile, read_weights
from ..downloads.catalogue import published
from ..errors import CheckpointError
from ..files import file_sha256
from ..networks import CodeFormerConfig, VQGANConfig
from .registry import Config, ModelKind, check_whole, read_config, recognise

CONTAINERS = {
    "safetensors": "safetensors",
    "archive": "PyTorch zip archive",
    "legacy": "PyTorch before 1.6",
    "onnx": "ONNX graph",
}
"""Names of the formats before a person."""
MAX_METADATA = 50
"""Most lines of metadata shown."""


@dataclass(frozen=True)
class FileReport:
    """What is known of a weight file; `str()` of it is the text for the screen."""

    file: WeightFile
    """Its content."""
    bytes: int
    """Its length."""
    sha256: str
    """Its hash."""
    kind: ModelKind
    """What the network is."""
    config: Config | None
    """Its sizes, for the networks of this library."""
    problem: str | None
    """What is wrong with it, if it is of this library and cannot be loaded."""

    def __str__(self) -> str:
        """A few lines for the screen."""
        container = CONTAINERS[self.file.container]
        metadata = sorted(self.file.metadata.items())[:MAX_METADATA]
        rows = [
            ("file", f"{self.file.path} ({self.bytes:,} bytes, {container})"),
            ("sha256", f"{self.sha256} ({self._publication()})"),
            ("network", f"{self.kind.title}: {self.kind.advice}"),
            *_config_rows(self.config),
            ("weights", _weights(self.file.state)),
            *((f"metadata {key}", value) for key, value in metadata),
            *([("problem", self.problem)] if self.problem else []),
        ]
        return "\n".join(_printable(f"{label:<10} {value}") for label, value in rows)

    def _publication(self) -> str:
        known = published(self.sha256)
        if known is None:
            return "not one of the known published files"
        return f"the published {known.name}, {known.licence}"


def describe(path: str | Path) -> FileReport:
    """Read a weight file and say what it is and whether it can be used.

    Args:
        path: .safetensors, .pth or .onnx.

    Raises:
        MissingModelError: there is no such file.
        CheckpointError: it is no file of weights, or damaged.
    """
    file = read_weights(path)
    kind, config, problem = recognise(file), None, None
    try:
        config = read_config(kind, file)
        check_whole(file, kind, config)
    except CheckpointError as error:
        problem = str(error)
    return FileReport(file, file.path.stat().st_size, file_sha256(path), kind, config, problem)


def _weights(state: State) -> str:
    parameters = sum(tensor.numel() for tensor in state.values())
    counts = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in state.values())
    types = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    return f"{parameters / 1e6:.1f} M in {len(state)} tensors ({types})"


def _config_rows(config: Config | None) -> list[tuple[str, str]]:
    if config is None:
        return []
    vqgan = config.vqgan if isinstance(config, CodeFormerConfig) else config
    rows = [
        (
            "sizes",
            f"{vqgan.image_size} px crops, channels {_listed(vqgan.level_channels)}, "
            f"{_blocks(vqgan)} blocks a level, attention at {_listed(vqgan.attention_sizes)}, "
            f"stem of {vqgan.patch}",
        ),
        ("codebook", f"{vqgan.codebook_size} codes of {vqgan.code_channels}"),
    ]
    if isinstance(config, CodeFormerConfig):
        rows.insert(0, ("variant", config.variant))
        rows.append(
            (
                "prediction",
                f"{config.layers} layers of {config.width}, {config.heads} heads, "
                f"fusion at {_listed(config.fusion_sizes) or 'no level (stage II)'}",
            )
        )
    return rows


def _blocks(vqgan: VQGANConfig) -> str:
    """Of the encoder's levels, and of the generator's where those are others."""
    others = vqgan.generator_blocks
    return f"{vqgan.blocks}" + (f" (generator: {_listed(others)})" if others else "")


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))


def _printable(text: str) -> str:
    """One line without control characters, which a file could use to fool a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)[:1000]
