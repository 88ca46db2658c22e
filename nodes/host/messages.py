"""What the running node says, and whether the user pressed Cancel."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Any

import comfy.model_management as memory
from comfy_execution.utils import get_executing_context

log = logging.getLogger("CodeFormer")


def say(text: str) -> None:
    """Write a line to the log and, where the host can, under the running node."""
    log.info(text)
    _show(text)


def warn(notes: Iterable[str]) -> None:
    """Say what the user should know; nothing where there is nothing."""
    lines = list(notes)
    for line in lines:
        log.warning(line)
    if lines:
        # At once: under a node the last message takes the place of those before.
        _show("\n".join(lines))


def server() -> Any:
    """The host's server; None outside of a running one."""
    # Looked up, not imported: importing it would start a part of it.
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)


def _show(text: str) -> None:
    send = getattr(server(), "send_progress_text", None)
    context = get_executing_context()
    if send is not None and context is not None:
        send(text, context.node_id)


def raise_if_cancelled() -> None:
    """Stop the run if the user pressed Cancel."""
    memory.throw_exception_if_processing_interrupted()


def cancelled() -> bool:
    """Whether the user pressed Cancel."""
    return memory.processing_interrupted()
