"""What the nodes' schemas share: sockets, recurring inputs, and what only newer hosts know."""

from __future__ import annotations

import dataclasses
from typing import Any

from comfy_api.latest import io

CATEGORY = "CodeFormer"

CodeFormerModel = io.Custom("CODEFORMER_MODEL")
FaceDetector = io.Custom("FACE_DETECTOR")
FaceParser = io.Custom("FACE_PARSER")
FacesSocket = io.Custom("FACES")
FaceCodesSocket = io.Custom("FACE_CODES")
# Core's own socket type on newer hosts; the name is what connects.
BoundingBoxes = io.Custom("BOUNDING_BOX")
# Of the Impact Pack.
Segments = io.Custom("SEGS")
# Of VideoHelperSuite.
BatchManager = io.Custom("VHS_BatchManager")


def schema(**described: Any) -> io.Schema:
    """Make a schema in our category, leaving out what this host's version does not know."""
    known = {field.name for field in dataclasses.fields(io.Schema)}
    described = {"category": CATEGORY, **described}
    return io.Schema(**{key: value for key, value in described.items() if key in known})


def advanced(*inputs: Any) -> list[Any]:
    """The same inputs, which the node folds away until its user asks for them."""
    for each in inputs:
        each.extra_dict["advanced"] = True  # older hosts take no such argument
    return list(inputs)


def image_input(tooltip: str) -> io.Image.Input:
    """The pictures: one, or a batch of frames."""
    return io.Image.Input("image", tooltip=tooltip)


def fidelity_input(default: float = 0.5) -> io.Float.Input:
    """The paper's w."""
    return io.Float.Input(
        "fidelity",
        default=default,
        min=0.0,
        max=1.0,
        step=0.05,
        round=0.01,
        display_mode=io.NumberDisplay.slider,
        tooltip="How closely the restored face follows the input. 0 gives the best quality, "
        "1 stays closest to the person in the picture.",
    )


def stability_input() -> io.Float.Input:
    """How much the frames of a video help each other."""
    return io.Float.Input(
        "stability",
        default=0.5,
        min=0.0,
        max=1.0,
        step=0.05,
        round=0.01,
        display_mode=io.NumberDisplay.slider,
        tooltip="How much neighbouring frames help each other. 0 restores every frame by itself, "
        "which flickers; 1 is the steadiest, and softens fast expressions.",
    )


def per_face_input() -> io.String.Input:
    """Another fidelity for each crop."""
    return io.String.Input(
        "per_face",
        default="",
        optional=True,
        tooltip="One fidelity for each face instead, for example 0.3, 1, 0.5. Empty: all faces get "
        "the number above.",
    )


def auto_fidelity_input(
    tooltip: str = "Try several fidelities and take the one that suits each face: as much as keeps "
    "the person, no more than the damage allows. The node says which. The slider is then "
    "without effect, numbers in per_face are not.",
) -> io.Boolean.Input:
    """A fidelity for each face by itself."""
    return io.Boolean.Input(
        "auto_fidelity",
        default=False,
        optional=True,
        display_name="automatic fidelity",
        tooltip=tooltip,
    )


def references_input() -> io.Image.Input:
    """Photos of people who are in the picture."""
    return io.Image.Input(
        "references",
        optional=True,
        tooltip="Clean photos of people in the picture, one to five of each. Their faces are "
        "restored as these people; what the picture does not hold is invented, so use photos of "
        "people who agree. Who is who is found by itself; a single face is taken for the only "
        "person. Automatic fidelity compares with them too. The node says what was done.",
    )


def reference_strength_input() -> io.Float.Input:
    """How much references change what is drawn."""
    return io.Float.Input(
        "reference_strength",
        default=1.0,
        min=0.0,
        max=1.0,
        step=0.05,
        round=0.01,
        optional=True,
        tooltip="How much the references change what is drawn, with the built-in model or another "
        "that has a conditioning file. 0: they are only compared with.",
    )


def adain_input() -> io.Combo.Input:
    """Statistics matching inside the network."""
    return io.Combo.Input(
        "adain",
        options=["automatic", "on", "off"],
        default="automatic",
        optional=True,
        tooltip="Match the statistics of the generated face to those of the input inside the "
        "network (AdaIN), which keeps colour and light. Automatic does what the model was "
        "trained for.",
    )


def leave_clean_input() -> io.Boolean.Input:
    """Faces that are too good for the model."""
    return io.Boolean.Input(
        "leave_clean",
        default=True,
        optional=True,
        display_name="leave clean faces",
        tooltip="Leave faces alone that are clean and sharper than what the model makes of them; "
        "the node says which. Off restores every face.",
    )


def adain_setting(choice: str) -> bool | None:
    """The network's setting for an item of `adain_input`."""
    return {"automatic": None, "on": True, "off": False}[choice]


def model_input(tooltip: str) -> Any:
    """An optional CodeFormer."""
    return CodeFormerModel.Input("model", optional=True, tooltip=tooltip)


def detector_input() -> Any:
    """An optional face detector."""
    return FaceDetector.Input(
        "detector",
        optional=True,
        tooltip="From Load Face Detector. Without one: RetinaFace if its weights are in your "
        "model folders, else YuNet. Nothing is downloaded.",
    )


def parser_input() -> Any:
    """An optional face parser."""
    return FaceParser.Input(
        "parser",
        optional=True,
        tooltip="From Load Face Parser. Makes the mask follow skin and hair as it sees them in the "
        "restored face, so that hats and background are left alone; hands it does not know. "
        "Without one, the mask is a soft oval.",
    )


def detection_inputs() -> list[Any]:
    """What counts as a face."""
    return [
        io.Float.Input(
            "confidence",
            default=0.8,
            min=0.0,
            max=1.0,
            step=0.05,
            round=0.01,
            optional=True,
            tooltip="How sure the detector must be. Lower finds more faces, and more that are "
            "none.",
        ),
        io.Int.Input(
            "min_size",
            default=16,
            min=0,
            max=8192,
            optional=True,
            tooltip="Faces whose longer side is smaller than this many pixels are left alone.",
        ),
    ]


def paste_inputs(colour_match: bool = True) -> list[Any]:
    """How restored faces are blended into the picture."""
    inputs = _blending_inputs()
    return [each for each in inputs if colour_match or each.id != "colour_match"]


def _blending_inputs() -> list[Any]:
    return [
        io.Float.Input(
            "feather",
            default=0.12,
            min=0.0,
            max=0.5,
            step=0.01,
            round=0.001,
            optional=True,
            tooltip="Width of the soft edge of the mask, as a part of the face crop's side.",
        ),
        io.Float.Input(
            "opacity",
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.05,
            round=0.01,
            optional=True,
            tooltip="How much of the restored face is mixed in: 1 all of it, 0 nothing.",
        ),
        io.Combo.Input(
            "colour_match",
            options=["none", "mean", "lab"],
            default="none",
            optional=True,
            tooltip="Bring the colours of the restored face to those of the picture: none, mean "
            "(brightness and tint), lab (also contrast).",
        ),
        _part_input("restore_hair", True, "hair"),
    ]


def part_inputs() -> list[Any]:
    """What else of a parser's classes is replaced; apart from hair, which came first."""
    return [
        _part_input("restore_glasses", True, "glasses"),
        _part_input("restore_hat", False, "a hat"),
        _part_input("restore_neck", False, "the neck"),
    ]


def _part_input(name: str, default: bool, what: str) -> Any:
    return io.Boolean.Input(
        name,
        default=default,
        optional=True,
        tooltip=f"With a parser: whether {what} may be replaced too. Off leaves it as it was.",
    )


def upscale_inputs() -> list[Any]:
    """How the picture grows."""
    return [
        io.Float.Input(
            "upscale_by",
            default=1.0,
            min=1.0,
            max=4.0,
            step=0.25,
            round=0.01,
            optional=True,
            tooltip="Enlarge the picture by this factor and put the faces in sharp.",
        ),
        io.UpscaleModel.Input(
            "upscale_model",
            optional=True,
            tooltip="From Load Upscale Model: enlarges the background instead of the built-in "
            "network. Any factor; the result is brought to the size asked for.",
        ),
        io.Boolean.Input(
            "upscale_faces",
            default=False,
            optional=True,
            tooltip="Also enlarge the restored faces with what enlarges the background, where they "
            "are pasted larger than the model makes them.",
        ),
    ]


def upscale_method_input() -> io.Combo.Input:
    """What enlarges; last, since saved workflows list the values in order."""
    return io.Combo.Input(
        "upscale_method",
        options=["network", "bicubic"],
        default="network",
        optional=True,
        tooltip="What enlarges the background where no upscale model is connected: the built-in "
        "network, which is sharper, or plain bicubic interpolation.",
    )


def picking_inputs() -> list[Any]:
    """What the picker in the node fills in."""
    return [
        io.String.Input(
            "picked",
            default="",
            optional=True,
            tooltip="Numbers of the faces to restore, for example 1, 3-5; clicking in the node's "
            "picture fills it in. Empty: all faces.",
        ),
        io.String.Input(
            "per_face",
            default="",
            optional=True,
            tooltip="One fidelity for each of these faces, in the order above, for example 0.3, 1, "
            "0.5. Empty: all get the fidelity above.",
        ),
    ]
