"""Options of `codeformer restore` that the nodes in ComfyUI have under the same names."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .options import AUTO, number_between

if TYPE_CHECKING:
    from ..jobs.settings import Settings
    from ..people import Person
    from ..pipeline.automatic import FidelityChoice

Value = bool | float | str


@dataclass(frozen=True)
class Option:
    """An option, and the widget of the node."""

    name: str
    """The widget's, such as ``min_size``."""
    default: Value
    """Its kind is the option's."""
    help: str
    """What it does."""
    between: tuple[float, float] = (0, 1)
    """The range of a number."""
    choices: tuple[str, ...] = ()
    """Of a text."""
    also: tuple[str, ...] = ()
    """Other names."""


OPTIONS = (
    Option("upscale_by", 1.0, "enlarge the whole picture, 1 to 4", (1, 4), also=("--upscale",)),
    Option(
        "upscale_method",
        "network",
        "what enlarges it: the network that comes with this package, or bicubic interpolation",
        choices=("network", "bicubic"),
    ),
    Option(
        "upscale_faces",
        False,
        "also enlarge the restored faces with the network, where they are pasted larger than the "
        "model makes them",
    ),
    Option("confidence", 0.8, "leave faces alone that are less certain, 0 to 1"),
    Option("min_size", 16.0, "leave faces alone that are smaller, in pixels", (0, 8192)),
    Option(
        "search_size",
        0.0,
        "search at so many pixels of the shorter side, which finds smaller faces where there are "
        "more and takes longer; 0 takes the detector's own size, mostly 640",
        (0, 4096),
    ),
    Option("feather", 0.12, "soft edge of the masks, as a share of a face's side", (0, 0.5)),
    Option("opacity", 1.0, "strength of the restored faces, 0 to 1"),
    Option(
        "colour_match",
        "none",
        "bring the faces' colours to the picture's: mean (light and tint), lab (also contrast)",
        choices=("none", "mean", "lab"),
    ),
    Option(
        "adain",
        "automatic",
        "match statistics inside the network, which keeps colour and light",
        choices=("automatic", "on", "off"),
    ),
    Option("restore_hair", True, "with --parser: replace hair too"),
    Option("restore_glasses", True, "with --parser: replace glasses too"),
    Option("restore_hat", False, "with --parser: replace a hat too"),
    Option("restore_neck", False, "with --parser: replace the neck too"),
    Option("leave_clean", True, "leave faces alone that the model would only soften"),
    Option("picked", "", "numbers of the faces to restore, such as 1,3-5, in every picture"),
    Option("per_face", "", "a fidelity for each of these faces, such as 0.3,1"),
    Option("auto_fidelity", False, "choose the fidelity of each face, as --fidelity auto does"),
    Option(
        "reference_strength",
        1.0,
        "how much --references change what is drawn, 0 to 1; at 0 they are only compared with",
    ),
)
"""Of CodeFormer Restore and, for the search size, of Detect Faces: all but those that say which
model and detector, which other commands have too."""


def add_node_options(parser: argparse.ArgumentParser) -> None:
    """Add the table to a command."""
    for option in OPTIONS:
        names = [f"--{option.name.replace('_', '-')}", *option.also]
        shown = "all" if option.default == "" else option.default
        described = {"help": f"{option.help} (default: {shown})", "default": option.default}
        parser.add_argument(*names, dest=option.name, **described, **_kind(option))


def _kind(option: Option) -> dict[str, Any]:
    if isinstance(option.default, bool):
        return {"action": argparse.BooleanOptionalAction}
    if isinstance(option.default, float):
        return {"type": number_between(*option.between), "metavar": "NUMBER"}
    return {"choices": option.choices} if option.choices else {"metavar": "LIST"}


def settings_from(options: argparse.Namespace, people: "Sequence[Person]" = ()) -> "Settings":
    """What a job needs of the options.

    Args:
        options: of `codeformer restore`.
        people: known from the reference photos.

    Raises:
        SettingError: a list of faces or fidelities cannot be read.
    """
    from ..faces import PasteOptions
    from ..faces.selection import parse_numbers
    from ..jobs.settings import Settings

    return Settings(
        fidelity=_fidelity_choice(options, people),
        picked=parse_numbers(options.picked),
        upscale=options.upscale_by,
        confidence=options.confidence,
        min_size=options.min_size,
        search_size=round(options.search_size) or None,
        adain={"automatic": None, "on": True, "off": False}[options.adain],
        leave_clean=options.leave_clean,
        paste=PasteOptions(
            feather=options.feather,
            opacity=options.opacity,
            colour_match=options.colour_match,
            restore_hair=options.restore_hair,
            restore_glasses=options.restore_glasses,
            restore_hat=options.restore_hat,
            restore_neck=options.restore_neck,
        ),
        quality=options.quality,
        max_megapixels=options.max_megapixels,
        stability=options.stability,
        people=options.people,
        resume=options.resume,
    )


def _fidelity_choice(options: argparse.Namespace, people: "Sequence[Person]") -> "FidelityChoice":
    from ..metrics import IdentityNetwork
    from ..pipeline.automatic import Automatic
    from ..pipeline.codes import parse_fidelities

    listed = parse_fidelities(options.per_face)
    if listed or not (options.auto_fidelity or options.fidelity == AUTO):
        return listed or options.fidelity
    return Automatic(IdentityNetwork(), people)
