"""Convert weight files to safetensors from inside the host."""

from __future__ import annotations

from pathlib import Path, PurePath

from comfy_api.latest import io, ui

from . import choices, host, written
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
                    "name", display_name="name", tooltip="Of the new file, as the loaders list it."
                )
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, file: str | None) -> str:
        """Run again when the file was replaced, or the new one is no longer there."""
        source = None if file is None else choices.convertible(file)
        if source is None:
            return ""  # the run will tell
        return written.fingerprint(_target(source), str(choices.version(source)))

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        """Convert."""
        from ..codeformer_core.errors import SettingError
        from ..codeformer_core.models import convert

        source = choices.convertible_path(file)
        target = _target(source)
        if target.exists():
            raise SettingError(f"{target.name} is there already: delete it to convert anew")
        convert(source, target)
        written.note(target)
        text = f"{source.name} was written as {target.name} beside it"
        host.say(text)
        name = str(PurePath(file).with_name(target.name))
        return io.NodeOutput(name, ui=ui.PreviewText(text))


def _target(source: Path) -> Path:
    return source.with_suffix(".safetensors")
