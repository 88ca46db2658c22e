"""CodeFormer face restoration as ComfyUI nodes: the entry point of the pack, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .nodes import CodeFormerExtension

WEB_DIRECTORY = "./web"
"""Help pages and browser code, served by the host."""


async def comfy_entrypoint() -> CodeFormerExtension:
    """Return the extension whose nodes the host registers."""
    from .nodes import CodeFormerExtension

    return CodeFormerExtension()


__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
