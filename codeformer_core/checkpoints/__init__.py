"""Weight files: read and write them, under the published key names."""

from .reader import Metadata, State, read_state
from .write import save_network, write_state

__all__ = [
    "Metadata",
    "State",
    "read_state",
    "save_network",
    "write_state",
]
