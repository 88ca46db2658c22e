"""The three loader nodes."""

from __future__ import annotations

from comfy_api.latest import io

from . import choices, shared
from .schema import CodeFormerModel, FaceDetector, FaceParser, schema

FILE_TOOLTIP = (
    "Files lie in models/{folder} (extra_model_paths.yaml counts too). An entry that begins with "
    "'download' names a published file that is not here yet, with its size and licence: press "
    "Download in the node to fetch it."
)


class _Loader(io.ComfyNode):
    """What the loaders share: refuse a name that is not there, notice a changed file."""

    CHOICES: choices.Choices

    @classmethod
    def validate_inputs(cls, file: str | None) -> bool | str:
        """Check the name when a prompt is posted: the host does not, for nodes of this API.

        A name that comes from another node is None then; `path_of` tells of it in the run.
        """
        return file is None or cls.CHOICES.problem(file) or True

    @classmethod
    def fingerprint_inputs(cls, file: str | None) -> str:
        """Run again when the file behind the name was replaced."""
        return "" if file is None else cls.CHOICES.fingerprint(file)


class CodeFormerLoader(_Loader):
    """Load CodeFormer."""

    CHOICES = choices.RESTORERS

    @classmethod
    def define_schema(cls) -> io.Schema:
        """One file name in, one model out."""
        return schema(
            node_id="CodeFormerLoader",
            display_name="Load CodeFormer",
            description="Load a CodeFormer: the built-in model, a file of your own, or a known "
            "download. Restoration, inpainting and colorization files of any size are recognised, "
            "and face restorers of others, also as ONNX graphs.",
            search_aliases=["face restore model", "codeformer model", "facerestore loader"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=cls.CHOICES.options(),
                    default=choices.BUILT_IN,
                    tooltip="The built-in model needs no file. "
                    + FILE_TOOLTIP.format(folder="facerestore_models"),
                )
            ],
            outputs=[
                CodeFormerModel.Output(
                    "model", display_name="model", tooltip="For the CodeFormer nodes."
                )
            ],
        )

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        """Load the file."""
        return io.NodeOutput(shared.restorer(file))


class FaceDetectorLoader(_Loader):
    """Load a face detector."""

    CHOICES = choices.DETECTORS

    @classmethod
    def define_schema(cls) -> io.Schema:
        """One file name in, one detector out."""
        return schema(
            node_id="CodeFormerFaceDetectorLoader",
            display_name="Load Face Detector",
            description="Load what finds the faces: YuNet (comes with the pack), RetinaFace or "
            "YOLOv5-face (files of your own, or a download).",
            search_aliases=["retinaface", "yunet", "face detection model", "dlib"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=cls.CHOICES.options(),
                    default=choices.AUTOMATIC,
                    tooltip="Automatic takes RetinaFace if its weights are there, else YuNet. "
                    + FILE_TOOLTIP.format(folder="facedetection"),
                )
            ],
            outputs=[
                FaceDetector.Output(
                    "detector",
                    display_name="detector",
                    tooltip="For Detect Faces and CodeFormer Restore.",
                )
            ],
        )

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        """Load the file."""
        return io.NodeOutput(shared.detector(file))


class FaceParserLoader(_Loader):
    """Load a face parser."""

    CHOICES = choices.PARSERS

    @classmethod
    def define_schema(cls) -> io.Schema:
        """One file name in, one parser out."""
        return schema(
            node_id="CodeFormerFaceParserLoader",
            display_name="Load Face Parser",
            description="Load ParseNet or BiSeNet, which tell skin and hair from hats, neck and "
            "background, for a mask that follows the face.",
            search_aliases=["parsenet", "bisenet", "face parsing model", "face mask"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=cls.CHOICES.options(),
                    tooltip=FILE_TOOLTIP.format(folder="facedetection"),
                )
            ],
            outputs=[
                FaceParser.Output(
                    "parser",
                    display_name="parser",
                    tooltip="For Paste Faces and CodeFormer Restore.",
                )
            ],
        )

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        """Load the file."""
        return io.NodeOutput(shared.parser(file))
