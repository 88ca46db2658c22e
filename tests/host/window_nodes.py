"""Nodes that send frames through a workflow in windows, as VideoHelperSuite's batch manager does.

Put into the host's custom_nodes. The manager's node gives itself out, the same object in every
window; whoever saves the frames queues the workflow again until whoever loads them has no more; the
prompt counts the windows as the manager's `requeue`.
"""

from pathlib import Path
from typing import Any
from uuid import uuid4

import server
import torch

MANAGER = "VHS_BatchManager"


class Manager:
    """Says how many frames make a window."""

    RETURN_TYPES = (MANAGER,)
    FUNCTION = "begin"
    CATEGORY = "tests"
    INPUT_TYPES = classmethod(
        lambda cls: {
            "required": {"frames_per_batch": ("INT", {"default": 4})},
            "hidden": {"prompt": "PROMPT", "unique_id": "UNIQUE_ID"},
        }
    )

    def begin(self, frames_per_batch: int, prompt: dict[str, Any], unique_id: str) -> tuple[Any]:
        """Forget the last run in the first window of a new one."""
        if not prompt[unique_id]["inputs"].get("requeue"):
            self.frames_per_batch, self.unique_id = frames_per_batch, unique_id
            self.shown, self.has_closed_inputs = 0, False
            self.kept: list[torch.Tensor] = []
        return (self,)


class Load:
    """Gives the next frames of a file of a tensor."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "load"
    CATEGORY = "tests"
    INPUT_TYPES = classmethod(
        lambda cls: {"required": {"path": ("STRING", {}), "meta_batch": (MANAGER,)}}
    )

    def load(self, path: str, meta_batch: Manager) -> tuple[torch.Tensor]:
        """Load a window."""
        frames, start = torch.load(path), meta_batch.shown
        meta_batch.shown = start + meta_batch.frames_per_batch
        meta_batch.has_closed_inputs = meta_batch.shown >= len(frames)
        return (frames[start : meta_batch.shown],)


class Save:
    """Writes all windows' frames when the last one is there."""

    RETURN_TYPES = ()
    OUTPUT_NODE = True
    FUNCTION = "save"
    CATEGORY = "tests"
    INPUT_TYPES = classmethod(
        lambda cls: {
            "required": {"images": ("IMAGE",), "path": ("STRING", {}), "meta_batch": (MANAGER,)}
        }
    )

    def save(self, images: torch.Tensor, path: str, meta_batch: Manager) -> dict[str, Any]:
        """Keep a window, and ask for the next."""
        meta_batch.kept.append(images)
        if not meta_batch.has_closed_inputs:
            _queue_again(meta_batch.unique_id)
            return {}
        unfinished = Path(path).with_suffix(".part")
        torch.save(torch.cat(meta_batch.kept), unfinished)
        unfinished.rename(path)
        return {}


def _queue_again(manager: str) -> None:
    queue = server.PromptServer.instance.prompt_queue
    (running,) = queue.currently_running.values()
    number, _, prompt, *rest = running
    inputs = prompt[manager]["inputs"]
    inputs = inputs | {"requeue": inputs.get("requeue", 0) + 1}
    queue.put(
        (number, str(uuid4()), prompt | {manager: prompt[manager] | {"inputs": inputs}}, *rest)
    )


NODE_CLASS_MAPPINGS = {"VHS_BatchManager": Manager, "TestLoad": Load, "TestSave": Save}
