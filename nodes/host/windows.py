"""Videos that come in windows.

The batch manager of VideoHelperSuite queues a workflow again and again, with the next frames every
time; what a node knows of the last window waits here.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

_waiting: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()
"""By manager, with which it goes, and by node."""


def recall(manager: Any, node: str, prompt: dict[str, Any]) -> Any:
    """Take what a node left at the window before; None in the first window of a run.

    Args:
        manager: what the batch manager's node gives out, the same object for all windows.
        node: id of the node.
        prompt: the workflow that is running, in which the manager counts its windows.
    """
    left = _waiting.get(manager, {}).pop(node, None)
    counted = prompt.get(str(manager.unique_id), {}).get("inputs", {})
    return left if counted.get("requeue") else None


def leave(manager: Any, node: str, known: Any) -> None:
    """Leave what the next window needs, if there is to be one."""
    if not getattr(manager, "has_closed_inputs", False):
        _waiting.setdefault(manager, {})[node] = known
