"""A hundred trainings drawn at random, alone and in a group; an error ends the group."""

from __future__ import annotations

import sys

import numpy as np
from equal_script import communicator_of, same_bits
from random_trainings import check_equal, training

group = communicator_of(sys.argv[1])
for seed in range(100):
    case = training(seed)
    many = case.fit(group)
    check_equal(case.fit(), many)
    assert same_bits(group, np.concatenate([a.ravel() for layer in many[0] for a in layer]))
group.max(0)
print("ENDED", flush=True)
