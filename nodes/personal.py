"""One person: learnt from photos, and known to a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from comfy_api.latest import io, ui

from . import adapters, choices, host, shared, written
from .schema import CodeFormerModel, schema

if TYPE_CHECKING:
    from ..codeformer_core.models.restorer import Restorer
    from ..codeformer_core.training.personal import Look

ALL_FACES, LIKE_THEM = "all faces", "faces like the person's"
CONSENT = (
    "It invents what a picture does not hold, as this person would look, and is for pictures of "
    "people who agree."
)


class ApplyPerson(io.ComfyNode):
    """Make a model know a person."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Model and adapter in, model out."""
        return schema(
            node_id="CodeFormerApplyPerson",
            display_name="Apply Person",
            description="Make a CodeFormer know one person, from an adapter that Personalize made: "
            "damaged faces then come back as that person. " + CONSENT,
            search_aliases=["personal model", "face lora", "identity", "adapter"],
            inputs=[
                io.Combo.Input(
                    "adapter",
                    options=adapters.listed() or [adapters.NO_ADAPTER],
                    tooltip="From models/facerestore_adapters; Personalize and codeformer "
                    "personalize make them. It must have been made for this model.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=1.5,
                    step=0.05,
                    round=0.01,
                    tooltip="0 is the model without the person, 1 the person as learnt.",
                ),
                io.Combo.Input(
                    "whose",
                    options=[ALL_FACES, LIKE_THEM],
                    default=ALL_FACES,
                    tooltip="Restore all faces as this person (choose them before, with Select "
                    "Faces or Match People), or only those that look like the person. For several "
                    "people put several of these nodes one behind the other, by likeness.",
                ),
                CodeFormerModel.Input(
                    "model",
                    optional=True,
                    tooltip="From Load CodeFormer or another Apply Person. Without one: the "
                    "built-in model.",
                ),
                io.Float.Input(
                    "sureness",
                    default=0.8,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    round=0.01,
                    optional=True,
                    tooltip="By likeness: how sure it must be that a face is the person's. Badly "
                    "damaged faces need less, about 0.5.",
                ),
            ],
            outputs=[
                CodeFormerModel.Output(
                    "personal", display_name="model", tooltip="For the CodeFormer nodes."
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, adapter: str | None) -> bool | str:
        """Check the name when a prompt is posted."""
        return adapter is None or adapters.problem(adapter) or True

    @classmethod
    def fingerprint_inputs(cls, adapter: str | None, **_: object) -> str:
        """Run again when the adapter was replaced."""
        if adapter is None:
            return ""
        path = adapters.path_of(adapter)
        return f"{path} {choices.version(path)}"

    @classmethod
    def execute(
        cls,
        adapter: str,
        strength: float = 1.0,
        whose: str = ALL_FACES,
        model: Restorer | None = None,
        sureness: float = 0.8,
    ) -> io.NodeOutput:
        """Apply."""
        from ..codeformer_core.people.adapters import read_adapter
        from ..codeformer_core.people.knowing import with_person

        person = read_adapter(adapters.path_of(adapter))
        return io.NodeOutput(
            with_person(
                shared.restorer_or_default(model),
                person,
                strength,
                by_likeness=whose == LIKE_THEM,
                sureness=sureness,
            )
        )


class Personalize(io.ComfyNode):
    """Learn a person."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Photos in, the name of an adapter out."""
        return schema(
            node_id="CodeFormerPersonalize",
            display_name="Personalize",
            description="Learn one person from 3 to 20 good photos, for Apply Person. It takes "
            "minutes, and stops by itself when photos that were held back no longer gain. "
            + CONSENT,
            search_aliases=["train person", "face lora", "dreambooth", "identity"],
            is_output_node=True,
            not_idempotent=True,
            inputs=[
                io.Image.Input(
                    "photos",
                    tooltip="3 to 20 sharp photos of the person, in different light and from "
                    "slightly different sides; of each its largest face counts.",
                ),
                io.String.Input(
                    "name",
                    default="person",
                    tooltip="Of the adapter, in models/facerestore_adapters. An older one of this "
                    "name is replaced.",
                ),
                io.Combo.Input(
                    "base",
                    options=choices.RESTORERS.options(),
                    default=choices.BUILT_IN,
                    tooltip="The CodeFormer it is for; it fits no other.",
                ),
                io.Float.Input(
                    "minutes",
                    default=30.0,
                    min=0.1,
                    max=1440.0,
                    step=1.0,
                    round=0.1,
                    optional=True,
                    tooltip="Stop learning after so many. After Cancel, the next run with the same "
                    "photos and name goes on where this one was.",
                ),
                io.Image.Input(
                    "others",
                    optional=True,
                    tooltip="Aligned faces of other people, from Crop Faces, on whom the model "
                    "shall stay what it is. Without them the photos are bent until they show "
                    "somebody else.",
                ),
            ],
            outputs=[
                io.String.Output(
                    "adapter", display_name="adapter", tooltip="Its name, as Apply Person lists it."
                ),
                io.String.Output("text", display_name="text", tooltip="How learning went."),
            ],
        )

    @classmethod
    def validate_inputs(cls, base: str | None) -> bool | str:
        """Check the name when a prompt is posted."""
        return base is None or choices.RESTORERS.problem(base) or True

    @classmethod
    def fingerprint_inputs(cls, name: str | None, base: str | None, **_: object) -> str:
        """Run again when the base was replaced, or the adapter is no longer there."""
        if name is None or base is None:
            return ""
        target = adapters.new_adapter(name)
        return written.fingerprint(target, choices.RESTORERS.fingerprint(base))

    @classmethod
    def execute(
        cls,
        photos: torch.Tensor,
        name: str,
        base: str = choices.BUILT_IN,
        minutes: float = 30.0,
        others: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Learn and save."""
        from ..codeformer_core.images import as_images
        from ..codeformer_core.people.adapters import save_adapter
        from ..codeformer_core.people.references import known_person
        from ..codeformer_core.training.personalize import forget, personalize

        target, path = adapters.new_adapter(name), adapters.base_path(base)
        state, runtime, told = target.with_suffix(".run"), host.HostRuntime(), list[str]()
        person = known_person(
            [photos],
            shared.detector_or_default(None),
            shared.identity_network(),
            runtime=runtime.share(0, 0.05),
        )
        adapter = personalize(
            path,
            person,
            others=None if others is None else as_images(others)[..., :3],
            folder=state,
            minutes=minutes,
            on_look=lambda look: told.append(_line(look)),
            device=host.offload_device(),
            runtime=runtime.share(0.05, 1),
        )
        save_adapter(target, adapter)
        written.note(target)
        forget(state)
        text = "\n".join([f"{target.name} for {path.stem}, {len(person.crops)} photos", *told])
        return io.NodeOutput(target.name, text, ui=ui.PreviewText(text))


def _line(look: Look) -> str:
    line = f"step {look.step}: identity distance of the photos held back {look.identity:.3f}"
    host.say(line)
    return line
