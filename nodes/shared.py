"""Loaded models, each held once for all nodes that use it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from . import choices, host

if TYPE_CHECKING:
    import torch

    from ..codeformer_core.faces import FaceDetector, FaceParser
    from ..codeformer_core.metrics import IdentityNetwork, PerceptualDistance
    from ..codeformer_core.models.restorer import Restorer
    from ..codeformer_core.people import Person
    from ..codeformer_core.pipeline.automatic import Automatic, FidelityChoice
    from ..codeformer_core.pipeline.upscaling import Upscaler

Model = TypeVar("Model")

_shared: WeakValueDictionary[tuple[Any, ...], Any] = WeakValueDictionary()
"""Loaded models while anything uses them: two loaders of one file share its weights."""
_kept: dict[str, Any] = {}
"""The models that nodes fall back on; no loader in the graph keeps them for us."""


def restorer(entry: str) -> Restorer:
    """What restores faces, behind an entry of its loader's list.

    Raises:
        CodeFormerError: no such file or package, not a restorer, damaged, or a failed download.
    """
    from ..codeformer_core.models.load import find_restorer, load_restorer

    built_in = choices.BUILT_IN_MODELS.get(entry)
    path = find_restorer(built_in) if built_in else choices.RESTORERS.path_of(entry)

    def load() -> Restorer:
        return load_restorer(
            path,
            operations=host.operations(),
            device=host.offload_device(),
            dtype=host.network_dtype(),
        )

    return _share(path, load)


def detector(entry: str) -> FaceDetector:
    """The face detector behind an entry of its loader's list.

    Raises:
        CodeFormerError: no such file or package, not a detector, damaged, or a failed download.
    """
    if entry == choices.AUTOMATIC:
        return _best_detector()
    if entry == choices.FORMER_DETECTOR:
        host.say("dlib is no longer a choice: YuNet finds the faces")
    if entry in (choices.OWN_DETECTOR, choices.FORMER_DETECTOR):
        return _own_detector()
    return _detector_of(choices.DETECTORS.path_of(entry))


def parser(entry: str) -> FaceParser:
    """The face parser behind an entry of its loader's list.

    Raises:
        CodeFormerError: no such file or package, not a parser, damaged, or a failed download.
    """
    from ..codeformer_core.models.load import load_parser

    path = choices.PARSERS.path_of(entry)
    device, dtype = host.offload_device(), host.network_dtype()
    return _share(path, lambda: load_parser(path, device=device, dtype=dtype))


def restorer_or_default(model: Restorer | None, entry: str = choices.BUILT_IN) -> Restorer:
    """What is connected, or a built-in model."""
    return model or _keep(entry, lambda: restorer(entry))


def detector_or_default(connected: FaceDetector | str | None) -> FaceDetector:
    """What is connected, or the best detector that is there.

    Args:
        connected: also a name, where a prompt of facerestore_cf was replaced (host/legacy.py).

    Raises:
        MissingModelError: there is none; the message names the choices.
        CodeFormerError: a named one cannot be loaded.
    """
    return detector(connected) if isinstance(connected, str) else connected or _best_detector()


def upscaler(connected: Any | None, method: str) -> Upscaler | None:
    """What enlarges pictures: an upscale model of the host's, or what the widget says.

    Raises:
        CodeFormerError: the package is not whole.
    """
    from ..codeformer_core.models import load_upscaler
    from ..codeformer_core.pipeline.upscaling import BICUBIC

    def load() -> Upscaler:
        return load_upscaler(
            operations=host.operations(), device=host.offload_device(), dtype=host.network_dtype()
        )

    if connected is not None or method == BICUBIC:
        return host.upscaler(connected)
    return _keep("upscaler", load)


def identity_network() -> IdentityNetwork:
    """What tells people apart.

    Raises:
        MissingModelError: the package is not whole.
    """
    from ..codeformer_core.metrics import IdentityNetwork

    return _keep("identity", IdentityNetwork)


def known_people(photos: torch.Tensor | None) -> tuple[Person, ...]:
    """The people on reference photos.

    Args:
        photos: (B, H, W, 3), or None for nobody.

    Raises:
        PictureError: a photo without a face.
    """
    from ..codeformer_core.people import known_people

    if photos is None:
        return ()
    runtime = host.HostRuntime(previews=False).share(0, 0)  # silent, but Cancel counts
    detector = detector_or_default(None)
    return known_people([photos], detector, identity_network(), runtime=runtime)


def knowing(
    model: Restorer | None, people: Sequence[Person], strength: float
) -> tuple[Restorer, tuple[str, ...]]:
    """A model that draws these people, where there is a conditioning for it, and a note if not.

    Args:
        model: what is connected; None takes the built-in model.
        people: from reference photos.
        strength: 0 leaves the model as it is, 1 is as learnt.

    Raises:
        CheckpointError: a conditioning's file is damaged.
    """
    from ..codeformer_core.people.knowing import UNCONDITIONED, References, with_references

    network = restorer_or_default(model)
    if not people or not strength:
        return network, ()
    known = with_references(
        network,
        References(tuple(people), identity_network()),
        strength,
        folders=host.model_folders(choices.RESTORERS.folders),
        operations=host.operations(),
    )
    return known, (UNCONDITIONED,) if known is network else ()


def fidelity_choice(
    automatic: bool,
    fidelity: float | Sequence[float],
    per_face: str = "",
    people: Sequence[Person] = (),
) -> FidelityChoice:
    """What the fidelity widgets of a node say.

    Args:
        automatic: whether it is chosen face by face.
        fidelity: what all faces get otherwise, or a list.
        per_face: numbers that come before both; may be empty.
        people: known from reference photos.

    Raises:
        SettingError: a list that cannot be read.
    """
    from ..codeformer_core.pipeline.codes import parse_fidelities

    listed = parse_fidelities(per_face)
    if listed or not automatic:
        return listed or fidelity
    return automatic_fidelity(people)


def automatic_fidelity(people: Sequence[Person] = ()) -> Automatic:
    """What chooses fidelities, and compares with people from reference photos."""
    from ..codeformer_core.pipeline.automatic import Automatic

    return Automatic(identity_network(), people)


def perceptual_distance() -> PerceptualDistance:
    """What compares pictures as the eye does.

    Raises:
        MissingModelError: its weights are not installed.
    """
    from ..codeformer_core.metrics import EVALUATION_BACKBONE, PerceptualDistance

    return _keep("perceptual", lambda: PerceptualDistance(EVALUATION_BACKBONE))


def _best_detector() -> FaceDetector:
    """That of weights in the user's folders, else the one that needs none."""
    from ..codeformer_core.errors import MissingModelError

    path = choices.best_detector()
    if path is None:
        return _own_detector()
    try:
        return _keep(f"{path} {choices.version(path)}", lambda: _detector_of(path))
    except MissingModelError as problem:  # the package that runs it
        host.say(f"{path.name}: YuNet finds the faces instead, because {problem}")
        return _own_detector()


def _own_detector() -> FaceDetector:
    from ..codeformer_core.models.load import OWN_DETECTOR

    return _keep(OWN_DETECTOR, lambda: _new_detector(OWN_DETECTOR))


def _detector_of(path: Path) -> FaceDetector:
    return _share(path, lambda: _new_detector(path))


def _new_detector(name: str | Path) -> FaceDetector:
    from ..codeformer_core.models.load import load_detector

    folders = host.model_folders(choices.DETECTORS.folders)
    return load_detector(name, folders=folders, device=host.offload_device())


def _share(path: Path, load: Callable[[], Model]) -> Model:
    key = (path, choices.version(path), host.network_dtype())
    model = _shared.get(key)
    if model is None:
        model = _shared[key] = load()
    return model


def _keep(name: str, make: Callable[[], Model]) -> Model:
    if name not in _kept:
        _kept[name] = make()
    return _kept[name]
