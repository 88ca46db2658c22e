"""Learn one person: a low-rank adapter of a CodeFormer from a few photos.

Stage III's losses on the person's photos, degraded anew every step:

    L = L_1 + L_per + lambda_id L_id (at a w drawn from 0 to 1) + lambda_token L_code_token

with the identity loss, which stage III has too. The codes to predict are those that the base model
predicts for the clean photo, since stage I's encoder is in no published file. Encoder, codebook and
generator stay.

A share of every batch is of other people, on whom the model shall stay what it is: its own pictures
and codes are the target. Without photos of others these are the person's own, bent until they show
somebody else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..degradation import STAGE_TWO
from ..errors import MissingModelError
from ..images import from_network, resize
from ..metrics import IdentityNetwork
from ..networks import CodeFormer, FaceCodes
from ..networks.low_rank import LowRanks
from ..runtime import fastest_dtype
from .augmentation import UNCHANGED, Augmentation
from .config import LossWeights, RunConfig
from .data import Batch, FaceBatches, Mixture
from .image_losses import ImageLosses
from .losses import code_token_loss
from .low_rank import LearntChanges
from .portraits import Portraits, bent

OF_PERSON = Augmentation(warp=0.7, colour=0.15, hue=0.02)
OF_OTHERS = Augmentation(warp=1.0, turn=8.0, zoom=0.12, colour=0.3, hue=0.1)
FIDELITIES = (0.5, 1.0)
"""At which held-back photos are restored."""
OTHERS_SEED, HELD_BACK_SEED = 1, 2
"""Beside the settings' seed."""


@dataclass(frozen=True)
class PersonalSettings:
    """How a person is learnt."""

    rank: int = 8
    """Of the changes."""
    steps: int = 600
    """At most."""
    batch_size: int = 8
    others_share: float = 0.25
    """Of a batch: faces of other people."""
    learning_rate: float = 2e-3
    warm_up: int = 20
    """Steps of linear warm-up."""
    held_back: float = 0.2
    """Share of the photos that are not learnt from; at least one."""
    check_every: int = 25
    """Steps between looks at the held-back photos."""
    patience: int = 4
    """Looks without progress after which it stops."""
    looks: int = 4
    """Degradations of each held-back photo at a look."""
    mild_share: float = 0.3
    """Of mildly degraded faces."""
    prior: float = 4.0
    """Weight of staying the same on others."""
    losses: LossWeights = field(
        default_factory=lambda: LossWeights(pixel=1.0, perceptual=1.0, identity=1.0)
    )
    seed: int = 0


class Look(NamedTuple):
    """Progress, as the held-back photos tell it."""

    step: int
    identity: float
    """Mean distance of restored held-back photos to the clean ones, by descriptor."""
    score: float
    """What is to become small: identity and pixel distance."""


class PersonalTraining:
    """Learns one person, step by step.

    Args:
        network: the base model, float32, as `load_network` gives it; changed in place.
        photos: (K, S, S, 3) aligned faces of the person in 0..1, at least 2.
        others: (M, S, S, 3) aligned faces of other people; may be empty.
        settings: how.
        micro_batch: faces at once.
        device: of the network.
    """

    def __init__(
        self,
        network: CodeFormer,
        photos: Tensor,
        others: Tensor,
        settings: PersonalSettings,
        *,
        micro_batch: int,
    ) -> None:
        self.settings, self.network, self.micro_batch = settings, network, micro_batch
        device = network.position_emb.device
        network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] (stubs)
        self._narrow = fastest_dtype(device) == torch.bfloat16
        held = max(1, round(settings.held_back * len(photos)))
        size, seed = network.size, settings.seed
        photos, others = (resize(each.float(), size, size) for each in (photos, others))
        mixture = Mixture(STAGE_TWO, mild_share=settings.mild_share)
        own = settings.batch_size - round(settings.others_share * settings.batch_size)
        self._own = FaceBatches(Portraits(photos[held:]), own, device, seed, mixture, OF_PERSON)
        self._bends = not len(others)
        self._others = FaceBatches(
            Portraits(photos[held:] if self._bends else others),
            settings.batch_size - own,
            device,
            seed + OTHERS_SEED,
            mixture,
            OF_OTHERS,
        )
        self._held_back = FaceBatches(
            Portraits(photos[:held]), held, device, seed + HELD_BACK_SEED, mixture, UNCHANGED
        )
        self.changes = LearntChanges(network, settings.rank, seed)
        self.losses = _image_losses(settings.losses).to(device)
        self._identity = IdentityNetwork().to(device)
        self.optimizer = torch.optim.Adam(self.changes.parameters(), settings.learning_rate)

    def step(self, number: int) -> float:
        """One step of the optimiser; returns the loss on the person."""
        rate = self.settings.learning_rate * min(1.0, (number + 1) / self.settings.warm_up)
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.zero_grad()
        loss = self._backward(self._own, number, self._of_person)
        if self._others.size:
            self._backward(self._others, number, self._of_others)
        nn.utils.clip_grad_norm_(self.changes.parameters(), 1.0)
        self.optimizer.step()
        return loss

    def _backward(
        self, batches: FaceBatches, number: int, loss_of: Callable[[Batch], Tensor]
    ) -> float:
        """Gradients of a batch, in as many parts as the memory wants."""
        total, share = 0.0, self.settings.batch_size
        for start in range(0, batches.size, self.micro_batch):
            places = range(start, min(start + self.micro_batch, batches.size))
            batch = batches.at(number, places)
            with torch.autocast(batch.clean.device.type, torch.bfloat16, enabled=self._narrow):
                loss = loss_of(batch) * len(places) / share
            loss.backward()
            total += float(loss.detach())
        return total

    def _of_person(self, batch: Batch) -> Tensor:
        assert batch.degraded is not None
        with torch.no_grad(), self.changes.off():
            codes = self.network.encode(batch.clean).codes
        encoded = _encoded(self.network, batch.degraded)
        pictures = self.network.generate(encoded, _fidelity(batch)).float()
        loss, _ = self.losses(pictures, batch.clean)
        return loss + self.settings.losses.code_token * code_token_loss(encoded.logits, codes)

    def _of_others(self, batch: Batch) -> Tensor:
        assert batch.degraded is not None
        degraded = bent(batch.degraded, batch.chances) if self._bends else batch.degraded
        fidelity = _fidelity(batch)
        with torch.no_grad(), self.changes.off():
            base = _encoded(self.network, degraded)
            wanted = self.network.generate(base, fidelity).float()
        encoded = _encoded(self.network, degraded)
        pictures = self.network.generate(encoded, fidelity).float()
        ours, theirs = encoded.logits.float(), base.logits.float()
        apart = F.kl_div(ours.log_softmax(-1), theirs.softmax(-1), reduction="none")
        codes = self.settings.losses.code_token * apart.sum(-1).mean()
        return self.settings.prior * F.l1_loss(pictures, wanted) + codes

    @torch.no_grad()
    def look(self, number: int) -> Look:
        """Restore the held-back photos, degraded in the same ways each time."""
        identity, pixels = [], []
        for variant in range(self.settings.looks):
            batch = self._held_back.at(variant)
            assert batch.degraded is not None
            clean = from_network(batch.clean)
            person = self._identity.embed(clean)
            encoded = self.network.encode(batch.degraded)
            for fidelity in FIDELITIES:
                restored = from_network(self.network.decode(encoded, fidelity))
                identity.append((self._identity.embed(restored) - person).norm(dim=1).mean())
                pixels.append((restored - clean).abs().mean())
        apart, off = (float(torch.stack(each).mean()) for each in (identity, pixels))
        return Look(number, apart, apart + off)


class Learnt(NamedTuple):
    """What came of it."""

    changes: LowRanks
    looks: tuple[Look, ...]
    """The first is the base model's; the best one's changes are kept."""

    @property
    def best(self) -> Look:
        """The look at what is kept."""
        return min(self.looks, key=lambda look: look.score)


def _encoded(network: CodeFormer, degraded: Tensor) -> FaceCodes:
    """`CodeFormer.encode` with gradients of the code prediction, none of the encoder."""
    with torch.no_grad():
        latents, features = network.encoder.with_features(degraded, network.config.fusion_sizes)
    return network.face_codes(latents, features)


def _fidelity(batch: Batch) -> Tensor:
    """(B, 1, 1, 1): 1 for half of the faces, drawn below it for the others."""
    full, drawn = batch.chances.unbind(1)
    return torch.where(full < 0.5, 1.0, drawn).view(-1, 1, 1, 1)


def _image_losses(weights: LossWeights) -> ImageLosses:
    """Stage III's; without L_per where its network is not installed."""
    from dataclasses import replace

    config = RunConfig(stage=3, data="", losses=weights)
    try:
        return ImageLosses(config)
    except MissingModelError:
        return ImageLosses(replace(config, losses=replace(weights, perceptual=0.0)))


def stopped(looks: Sequence[Look], patience: int) -> bool:
    """Whether the last looks show no progress."""
    best = min(range(len(looks)), key=lambda place: looks[place].score)
    return len(looks) - 1 - best >= patience
