"""Weights whose shapes and settings do not fit together: a network, or an error of ours.

CODEFORMER_FUZZ_ROUNDS=3000 makes the long run of it.
"""

import os
import random

import torch

from codeformer_core.errors import CodeFormerError
from codeformer_core.models import network_from_state

ROUNDS = int(os.environ.get("CODEFORMER_FUZZ_ROUNDS", "60"))


def test_shuffled_shapes_build_a_network_or_are_refused(
    published_state: dict[str, torch.Tensor],
) -> None:
    chance = random.Random(0)
    keys = list(published_state)
    for _ in range(ROUNDS // 3):
        state = dict(published_state)
        for _ in range(chance.randint(1, 4)):
            key = chance.choice(keys)
            action = chance.randrange(4)
            if action == 0:
                state.pop(key, None)
            elif action == 1:
                state[key] = torch.zeros([chance.choice([0, 1, 7, 64])] * chance.randint(0, 5))
            elif action == 2:
                state[key.replace("1", "2")] = published_state[key]
            else:
                state[key] = published_state[chance.choice(keys)]
        try:
            network_from_state(state, {"heads": chance.choice(["8", "4", "-1", "x", "1e9"])})
        except CodeFormerError as error:
            assert len(str(error)) > 20
