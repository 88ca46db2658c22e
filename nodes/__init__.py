"""The nodes: a schema and one call each; only `host` touches the host."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from .host import register_folders


class CodeFormerExtension(ComfyExtension):
    """All nodes of the pack, in the order in which a workflow uses them."""

    async def on_load(self) -> None:
        """Stand in for nodes of other packs; only newer hosts call this."""
        from .host.legacy import register_replacements

        await register_replacements()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Make the model folders known to the host and list the nodes."""
        from . import (
            blocks,
            codes,
            compare,
            convert,
            degrade,
            loaders,
            people,
            personal,
            restore_image,
            select,
            variants,
            video,
        )
        from .host.routes import register as register_routes

        register_routes()
        register_folders()
        return [
            restore_image.RestoreImage,
            video.RestoreVideo,
            loaders.CodeFormerLoader,
            loaders.FaceDetectorLoader,
            loaders.FaceParserLoader,
            blocks.DetectFaces,
            select.SelectFaces,
            people.MatchPeople,
            personal.ApplyPerson,
            personal.Personalize,
            video.TrackFaces,
            video.SmoothFaces,
            blocks.CropFaces,
            blocks.RestoreFaces,
            blocks.PasteFaces,
            codes.EncodeFaces,
            codes.DecodeFaces,
            codes.FidelitySweep,
            codes.CodesToImage,
            variants.InpaintFaces,
            variants.ColorizeFaces,
            degrade.DegradeImage,
            compare.CompareFaces,
            compare.CompareRestorers,
            convert.ConvertFile,
        ]
