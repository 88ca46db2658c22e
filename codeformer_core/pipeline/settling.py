"""One fidelity for several pictures of a face, as of a video: one for each frame would flicker."""

import torch
from torch import Tensor

from ..images import resize, to_network
from ..models.restorer import Restorer
from ..people.recogniser import Whom
from ..people.restorer import told
from ..runtime import Runtime
from .automatic import LADDER, Automatic, best_steps, decoder

LOOKS = 5
"""At a face, evenly over the frames in which it is seen."""


def looks(count: int) -> list[int]:
    """Which of so many frames are looked at."""
    return torch.linspace(0, count - 1, min(count, LOOKS)).round().int().tolist()


def settled_fidelity(
    network: Restorer,
    automatic: Automatic,
    crops: Tensor,
    *,
    adain: bool | None = None,
    whom: Whom | None = None,
    runtime: Runtime,
) -> float:
    """Choose the fidelity that suits a face, by the median over its pictures.

    Args:
        network: restores it.
        automatic: what chooses.
        crops: (n, H, H, 3) of the face, RGB in 0..1, n at least 1.
        adain: match colours in the network; None takes its own setting.
        whom: as whom it is restored, where the network knows anybody.
        runtime: where networks run, and where progress goes.

    Raises:
        OutOfMemoryError: there is no room even for one picture.
    """
    device = runtime.device(network)

    def distances(part: slice) -> Tensor:
        inputs = resize(crops[part].float(), network.size, network.size)
        faces = to_network(inputs.clamp(0, 1)).to(device)
        decode = decoder(told(network, [whom] * len(faces) if whom else ()), faces, adain)
        pictures = torch.stack([decode(fidelity) for fidelity in LADDER])
        return automatic.distances(inputs, pictures, runtime)

    batches = runtime.batches(network, len(crops), distances, bytes_per_item=network.bytes_per_face)
    found = torch.cat([each for _, each in batches])
    return LADDER[int(best_steps(found.median(0).values[None]))]
