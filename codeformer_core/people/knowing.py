"""Make a model know people: by personal adapters, by reference photos, or by both."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from ..errors import SettingError
from ..metrics import IdentityNetwork
from ..models.restorer import Restorer
from ..networks import CodeFormer
from ..networks.layers import Operations
from .adapters import Adapter
from .conditioning import Conditioning, find_conditioning
from .matching import DEFAULT_SURENESS
from .recogniser import Recogniser
from .references import Person
from .refinement import ReferenceRefinement
from .restorer import PeopleRestorer, base_of

UNCONDITIONED = (
    "the references are only compared with and change nothing that is drawn: no file "
    "*_references.safetensors among the models was trained beside this one (codeformer train all "
    "references_256 makes one)"
)
"""What to say where `with_references` gave the model back."""


@dataclass(frozen=True)
class References:
    """People known from photos, and what tells who a face is."""

    people: tuple[Person, ...]
    identity: IdentityNetwork


def with_person(
    model: Restorer,
    adapter: Adapter,
    strength: float = 1.0,
    *,
    by_likeness: bool = False,
    sureness: float = DEFAULT_SURENESS,
) -> Restorer:
    """A model that knows one person more, by an adapter.

    Args:
        model: a CodeFormer, or one to which people were added.
        adapter: what it shall know.
        strength: 0 to 1.
        by_likeness: only faces that look like the person get it; else all faces do.
        sureness: how sure that must be, 0 to 1; the last one counts for all people.

    Returns:
        A new model; the given one stays as it is.

    Raises:
        CheckpointError: the adapter was made for another model.
        SettingError: the model is no CodeFormer, or a strength that is not finite.
    """
    known = model if isinstance(model, PeopleRestorer) else None
    base = known.base if known else model
    if not isinstance(base, CodeFormer):
        raise SettingError(f"{adapter.name} is for a CodeFormer, and this model is none")
    personal = adapter.apply(base, strength)
    if by_likeness:
        known = known or PeopleRestorer(base, Recogniser(IdentityNetwork()))
        shown = Person(adapter.descriptors.new_zeros(0, 1, 1, 3), adapter.descriptors)
        adapted = (*known.recogniser.adapted, shown)
        recogniser = replace(known.recogniser, adapted=adapted, sureness=sureness)
        return PeopleRestorer(base, recogniser, [*known.networks, personal], known.refinement)
    if known is None:
        return personal
    if known.networks:
        raise SettingError(
            f"{adapter.name} would be applied to the faces of the people before it too: "
            "apply each by likeness"
        )
    return PeopleRestorer(personal, known.recogniser, (), known.refinement)


def with_references(
    model: Restorer,
    references: References,
    strength: float = 1.0,
    *,
    folders: Sequence[Path] = (),
    operations: Operations = nn,
) -> Restorer:
    """A model that draws the people of references, where there is a conditioning for it.

    Args:
        model: any restorer; people whom it knows by adapters stay known.
        references: who is known.
        strength: 0 leaves the model as it is, 1 is as learnt.
        folders: where conditionings are looked for beside the package's own.
        operations: where layer classes come from, as when the model was built.

    Returns:
        A `PeopleRestorer`, or the very model.

    Raises:
        CheckpointError: a conditioning's file is damaged.
    """
    takes_people = isinstance(model, CodeFormer | PeopleRestorer)
    if not (takes_people and references.people and strength):
        return model
    found = find_conditioning(base_of(model), folders, operations)
    return with_conditioning(model, found, references, strength) if found else model


def with_conditioning(
    model: CodeFormer | PeopleRestorer,
    conditioning: Conditioning,
    references: References,
    strength: float = 1.0,
) -> PeopleRestorer:
    """A model that draws the people of references by this conditioning.

    Raises:
        CheckpointError: it was trained beside another model.
    """
    base, people, identity = base_of(model), references.people, references.identity
    conditioning.check(base)
    refinement = ReferenceRefinement(conditioning.network, people, strength)
    refinement = refinement.to(next(base.parameters()).device)
    known = model if isinstance(model, PeopleRestorer) else None
    recogniser = known.recogniser if known else Recogniser(identity)
    recogniser = replace(recogniser, identity=identity, referred=people)
    return PeopleRestorer(base, recogniser, known.networks if known else (), refinement)
