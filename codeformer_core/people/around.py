"""What restorers around a CodeFormer have in common."""

from torch import nn

from ..networks import CodeFormer


class AroundCodeFormer(nn.Module):
    """A restorer that knows people, and is a CodeFormer for everybody else.

    Args:
        base: the CodeFormer.
    """

    notice: str | None = None
    """What its user should know; nothing."""

    def __init__(self, base: CodeFormer) -> None:
        super().__init__()
        self.base = base

    @property
    def size(self) -> int:
        """Side of the crops in pixels."""
        return self.base.size

    @property
    def variant(self) -> str:
        """What the weights were trained for."""
        return self.base.variant

    @property
    def bytes_per_face(self) -> float:
        """Memory that the activations of one face take at their peak."""
        return self.base.bytes_per_face
