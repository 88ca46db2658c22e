"""Addresses such as ``s3://bucket/photos``, which answer to the same words as a path."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from .errors import CodeFormerError, PictureError, SettingError

ONE_PROCESS = "memory"
"""The protocol of what no other process sees."""


@dataclass(frozen=True)
class Address:
    """A file or folder in a file system that fsspec knows."""

    protocol: str
    path: PurePosixPath
    """Without the protocol, such as ``bucket/photos/a.jpg``."""

    def __str__(self) -> str:
        return f"{self.protocol}://{self.path}"

    def __truediv__(self, place: str | PurePosixPath | Path) -> "Address":
        return Address(self.protocol, self.path / place)

    @property
    def name(self) -> str:
        """As of a path."""
        return self.path.name

    @property
    def stem(self) -> str:
        """As of a path."""
        return self.path.stem

    @property
    def suffix(self) -> str:
        """As of a path."""
        return self.path.suffix

    @property
    def parent(self) -> "Address":
        """As of a path."""
        return Address(self.protocol, self.path.parent)

    def with_name(self, name: str) -> "Address":
        """As of a path."""
        return Address(self.protocol, self.path.with_name(name))

    def with_stem(self, stem: str) -> "Address":
        """As of a path."""
        return Address(self.protocol, self.path.with_stem(stem))

    def relative_to(self, folder: "Place") -> PurePosixPath:
        """As of a path."""
        if not isinstance(folder, Address) or folder.protocol != self.protocol:
            raise ValueError(f"{self} is not below {folder}")
        return self.path.relative_to(folder.path)

    def is_dir(self) -> bool:
        """As of a path."""
        with address_errors(self, "cannot be looked up"):
            return self.files.isdir(str(self))

    @property
    def files(self) -> Any:
        """The file system, an fsspec one, with the credentials that this process has for it."""
        return _file_system(self.protocol)


Place: TypeAlias = Path | Address


def place(text: str) -> Place:
    """The path or address that a text names.

    Raises:
        SettingError: an address that this machine cannot reach, or that holds a password.
    """
    protocol, found, path = text.partition("://")
    if not found:
        return Path(text)
    if protocol in ("file", "local"):
        return Path(path)
    if "@" in path.partition("/")[0] or (protocol.startswith("http") and "?" in path):
        raise SettingError(
            f"{protocol}://...: give no name, password or signature in an address, where others "
            "can read it; set what the store's own tools read, such as AWS_PROFILE"
        )
    _file_system(protocol)
    return Address(protocol, PurePosixPath(path))


@lru_cache
def _file_system(protocol: str) -> Any:
    import fsspec

    try:
        # No list of what was there before: other processes write too, and a list costs memory.
        return fsspec.filesystem(protocol, use_listings_cache=False)
    except ImportError as error:
        raise SettingError(f"{protocol}:// addresses need a package: {error}") from error
    except ValueError as error:
        raise SettingError(f"{protocol}://: no kind of address that is known here") from error


@contextmanager
def address_errors(address: Address, what: str) -> Iterator[None]:
    """Turn what a file system says, which may be any error at all, into one for the user.

    Raises:
        PictureError: always, if anything was raised that is not the user's already.
    """
    try:
        yield
    except CodeFormerError:
        raise
    except FileNotFoundError as error:
        raise PictureError(f"{address}: there is no such file") from error
    except Exception as error:
        raise PictureError(f"{address}: {what}: {str(error) or type(error).__name__}") from error
