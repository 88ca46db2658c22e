"""Names of before, until nobody asks for them."""

from ..checkpoints.reader import State, WeightFile
from . import registry
from .registry import ModelKind


def recognise(state: State) -> ModelKind:
    """The kind of a state dict."""
    return registry.recognise(WeightFile(state))


def identify(state: State, metadata: object = None) -> ModelKind:
    """The kind of a state dict."""
    return recognise(state)
