"""Say what a weight file is, for `codeformer inspect`."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..checkpoints.names import to_network
from ..checkpoints.reader import Metadata, State, container_of, read_state
from ..checkpoints.write import file_sha256
from ..downloads.catalogue import KNOWN_FILES, KnownFile
from ..errors import CheckpointError
from ..networks import CodeFormerConfig, VQGANConfig
from .empty import build_empty
from .identify import CheckpointInfo, check_complete, identify, recognise

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
    info: CheckpointInfo
    """What the network is."""
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
            ("network", f"{self.info.title}: {self.info.advice}"),
            *_config_rows(self.info.config),
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
    path = Path(path)
    state, metadata = read_state(path)
    info, problem = _identify(state, metadata)
    sha256 = file_sha256(path)
    return FileReport(
        path=path,
        bytes=path.stat().st_size,
        sha256=sha256,
        container=container_of(path),
        info=info,
        problem=problem,
        tensors=len(state),
        parameters=sum(tensor.numel() for tensor in state.values()),
        dtypes=dict(Counter(str(t.dtype).removeprefix("torch.") for t in state.values())),
        metadata=metadata,
        known=next((file for file in KNOWN_FILES if file.sha256 == sha256), None),
    )


def _identify(state: State, metadata: Metadata) -> tuple[CheckpointInfo, str | None]:
    """What it is, and what would keep it from loading."""
    info = recognise(state)
    try:
        info = identify(state, metadata)
        if info.config is not None:
            check_complete(build_empty(info.config), to_network(state))
    except CheckpointError as error:
        return info, str(error)
    return info, None


def _config_rows(config: CodeFormerConfig | VQGANConfig | None) -> list[tuple[str, str]]:
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
