"""What the running node says, and whether the user pressed Cancel."""

from __future__ import annotations

import base64
import io
import logging
import sys
from collections.abc import Iterable
from typing import Any

import comfy.model_management as memory
from comfy_execution.utils import get_executing_context

log = logging.getLogger("CodeFormer")

NOTES = "codeformer_notes"
"""Key of a node's `ui` under which the browser part finds what the node has to say."""

NEWEST = "codeformer_newest"
"""Event by which the browser part hears what the running node has just made."""


def say(text: str) -> None:
    """Write a line to the log and, where the host can, under the node while it runs."""
    log.info(text)
    send = getattr(server(), "send_progress_text", None)
    context = get_executing_context()
    if send is not None and context is not None:
        send(text, context.node_id)


def show_newest(picture: Any) -> None:
    """Show a PIL picture in the running node's panel, which drops it when the run ends."""
    server_, context = server(), get_executing_context()
    if server_ is None or context is None:
        return
    file = io.BytesIO()
    picture.save(file, "JPEG")
    address = "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
    message = {"node": context.node_id, "picture": address}
    server_.send_sync(NEWEST, message, server_.client_id)


def warn(notes: Iterable[str]) -> dict[str, list[str]]:
    """Write to the log what the user should know of a result; returns it for the node's `ui`.

    The browser part shows it in the node. What is sent during a run, newer hosts take away at its
    end.
    """
    lines = list(notes)
    for line in lines:
        log.warning(line)
    return {NOTES: lines}


def server() -> Any:
    """The host's server; None outside of a running one."""
    # Looked up, not imported: importing it would start a part of it.
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)


def raise_if_cancelled() -> None:
    """Stop the run if the user pressed Cancel."""
    memory.throw_exception_if_processing_interrupted()


def cancelled() -> bool:
    """Whether the user pressed Cancel."""
    return memory.processing_interrupted()
