"""A custom node of the tests: points the pack's catalogue at a server on this machine.

Put into the host's custom_nodes with `FILES` filled in; it adds no node.
"""

import dataclasses
import importlib
import json
import os
import sys

from server import PromptServer

NODE_CLASS_MAPPINGS: dict[str, type] = {}


async def use_local_files(app: object) -> None:
    """Replace what is known about files once all packs are loaded."""
    pack = next(name for name in sys.modules if name.endswith("custom_nodes/codeformer"))
    catalogue = importlib.import_module(f"{pack}.codeformer_core.downloads.catalogue")
    changes = json.loads(os.environ["CODEFORMER_TEST_FILES"])
    catalogue.KNOWN_FILES = tuple(
        dataclasses.replace(
            file, **{**changes[file.name], "urls": tuple(changes[file.name]["urls"])}
        )
        if file.name in changes
        else file
        for file in catalogue.KNOWN_FILES
    )


PromptServer.instance.app.on_startup.append(use_local_files)
