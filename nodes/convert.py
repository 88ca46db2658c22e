"""Convert weight files to safetensors from inside the host."""

from __future__ import annotations

from comfy_api.latest import io, ui

from . import choices, host
from .schema import schema

NOTHING = "nothing to convert"
"""The entry of an empty list, which the browser would show as undefined."""


class ConvertFile(io.ComfyNode):
    """Convert a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """A file name in, the name of the new file out."""
        return schema(
            node_id="CodeFormerConvertFile",
            display_name="Convert to safetensors",
            description="Write a CodeFormer, detector or parser file as .safetensors beside the "
            "old one: the same numbers, faster to load, and unable to hold code.",
            search_aliases=["pth to safetensors", "convert checkpoint"],
            is_output_node=True,
            not_idempotent=True,
            inputs=[
                io.Combo.Input(
                    "file",
                    options=choices.convertible_files() or [NOTHING],
                    tooltip="A .pth, .pt or .ckpt file from models/facerestore_models or "
                    "models/facedetection. It is kept.",
                )
            ],
            outputs=[
                io.String.Output(
                    "name", display_name="name", tooltip="Of the new file, for the loaders."
                )
            ],
        )

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        """Convert."""
        from ..codeformer_core.models import convert

        source = choices.convertible_path(file)
        target = convert(source, source.with_suffix(".safetensors"))
        text = f"{source.name} was written as {target.name} beside it"
        host.say(text)
        return io.NodeOutput(target.name, ui=ui.PreviewText(text))
