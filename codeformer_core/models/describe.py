"""Say what a weight file is, for `codeformer inspect`."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..checkpoints.reader import Metadata, WeightFile, read_weights
from ..downloads.catalogue import KnownFile, published
from ..errors import CheckpointError
from ..files import file_sha256
from ..networks import CodeFormerConfig
from .registry import Config, ModelKind, check_whole, read_config, recognise

CONTAINERS = {
    "safetensors": "safetensors",
    "archive": "PyTorch zip archive",
    "legacy": "PyTorch before 1.6",
}
"""Names of the formats before a person."""
MAX_METADATA = 50
"""Most lines of metadata shown."""


@dataclass(frozen=True)
class FileReport:
    """What is known of a weight file; `str()` of it is the text for the screen."""

    path: Path
    """The file."""
    bytes: int
    """Its length."""
    sha256: str
    """Its hash."""
    container: str
    """Its format: safetensors, archive or legacy."""
    kind: ModelKind
    """What the network is."""
    config: Config | None
    """Its sizes, for the networks of this library."""
    problem: str | None
    """What is wrong with it, if it is of this library and cannot be loaded."""
    tensors: int
    """Number of tensors."""
    parameters: int
    """Number of numbers in them."""
    dtypes: dict[str, int]
    """Tensors of each type."""
    metadata: Metadata
    """What the file says about itself."""
    known: KnownFile | None
    """The published file it is byte for byte."""

    def __str__(self) -> str:
        """A few lines for the screen."""
        rows = [
            ("file", f"{self.path} ({self.bytes:,} bytes, {CONTAINERS[self.container]})"),
            ("sha256", f"{self.sha256} ({self._publication()})"),
            ("network", f"{self.kind.title}: {self.kind.advice}"),
            *_config_rows(self.config),
            ("weights", self._weights()),
            *(
                (f"metadata {key}", value)
                for key, value in sorted(self.metadata.items())[:MAX_METADATA]
            ),
        ]
        if self.problem:
            rows.append(("problem", self.problem))
        return "\n".join(_printable(f"{label:<10} {value}") for label, value in rows)

    def _publication(self) -> str:
        if self.known is None:
            return "not one of the known published files"
        return f"the published {self.known.name}, {self.known.licence}"

    def _weights(self) -> str:
        types = ", ".join(f"{count} {name}" for name, count in sorted(self.dtypes.items()))
        return f"{self.parameters / 1e6:.1f} M in {self.tensors} tensors ({types})"


def describe(path: str | Path) -> FileReport:
    """Read a weight file and say what it is and whether it can be used.

    Args:
        path: .safetensors or .pth.

    Raises:
        MissingModelError: there is no such file.
        CheckpointError: it is no file of weights, or damaged.
    """
    file = read_weights(path)
    kind = recognise(file)
    config, problem = _examine(kind, file)
    sha256 = file_sha256(path)
    return FileReport(
        path=file.path,
        bytes=file.path.stat().st_size,
        sha256=sha256,
        container=file.container,
        kind=kind,
        config=config,
        problem=problem,
        tensors=len(file.state),
        parameters=sum(tensor.numel() for tensor in file.state.values()),
        dtypes=dict(Counter(str(t.dtype).removeprefix("torch.") for t in file.state.values())),
        metadata=file.metadata,
        known=published(sha256),
    )


def _examine(kind: ModelKind, file: WeightFile) -> tuple[Config | None, str | None]:
    """Sizes of the network, and what would keep it from loading."""
    config = None
    try:
        config = read_config(kind, file)
        check_whole(kind, file)
    except CheckpointError as error:
        return config, str(error)
    return config, None


def _config_rows(config: Config | None) -> list[tuple[str, str]]:
    if config is None:
        return []
    vqgan = config.vqgan if isinstance(config, CodeFormerConfig) else config
    rows = [
        (
            "sizes",
            f"{vqgan.image_size} px crops, channels {_listed(vqgan.level_channels)}, "
            f"{vqgan.blocks} blocks a level, attention at {_listed(vqgan.attention_sizes)}, "
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


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))


def _printable(text: str) -> str:
    """One line without control characters, which a file could use to fool a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)[:1000]
