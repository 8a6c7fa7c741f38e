"""What each rung may be off by, per dtype: one table, each figure with its measured reason.

A residual is max|ours - theirs| / max|theirs| of one array.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """A rung's tolerance in one dtype.

    Attributes:
        residual: The largest that holds; 0 means the same bytes.
        reason: What was measured, on what.
    """

    residual: float
    reason: str


WEIGHTS = "weights"
FORWARD = "forward"
LOSS = "loss"
GRADIENTS = "gradients"
UPDATE = "update"
TRAINING_LOSS = "training loss"
PARAMETERS = "parameters"
ROUND_OFF = "round-off"
VANISHING = "vanishing gradients"
SCHEDULE = "schedule"
STATISTICS = "statistics"
EVALUATION = "evaluation"
AUGMENTATION = "augmentation"
WHOLE_LEVELS = "whole levels"
WHOLE_LEVELS_SHARE = "share of whole levels"
STANDARDISING = "standardising"

# Two float32 trainings part by events, a ReLU or a pooling that switches at a tie, and not smoothly: beyond
# a few dozen steps only statistics over seeds say anything (torch against itself, changed in one last bit,
# parts the same way).
FLOAT32_STEPS = 10

# Measured with v1, v2, v3 in both profiles, 6 seeds, a batch of 4, 2,048 values of each activation, on two
# x86 cores (TF 2.21, torch 2.15). "Keras's own" is float32 Keras against float64 Keras, worst layer:
#
#                                  v1        v2        v3
#     float32 Keras's own        1.3e-6    2.9e-6    4.6e-6
#     float32 port against it    4.5e-6    1.4e-6    4.9e-6
#     float64 port against it    2.8e-15   5.7e-15   4.5e-15
#
# The smallest fault these must catch is BatchNorm's epsilon, 1e-5 for 1e-3: 8e-4 at the layer itself.
TOLERANCES: dict[tuple[str, str], Tolerance] = {
    (WEIGHTS, "float64"): Tolerance(0.0, "a permutation of axes computes nothing"),
    (WEIGHTS, "float32"): Tolerance(0.0, "a permutation of axes computes nothing"),
    (FORWARD, "float64"): Tolerance(1e-13, "20 times the worst measured, 5.7e-15: room for other CPUs' sums"),
    (FORWARD, "float32"): Tolerance(1e-5, "twice what float32 Keras itself is off from float64, 4.6e-6"),
    (LOSS, "float64"): Tolerance(1e-13, "500 times what one training of v3 had, 2e-16"),
    (LOSS, "float32"): Tolerance(1e-5, "float32's sums of a batch: 5.7e-7 at worst in 40 trainings"),
    (GRADIENTS, "float64"): Tolerance(1e-13, "30 times what one training of v3 had, 2.9e-15"),
    (GRADIENTS, "float32"): Tolerance(
        1e-5, "1.4e-6 in the middle of 40 trainings; beyond it only last bits (last_bits.py)"
    ),
    (VANISHING, "float64"): Tolerance(
        1e-13, "3.6e-14 in one training of v3: of the kernel's gradient, whose round-off it is"
    ),
    (VANISHING, "float32"): Tolerance(1e-4, "six times the worst of 40 trainings: 1.8e-5 of the kernel's"),
    (UPDATE, "float64"): Tolerance(1e-12, "3.7e-16 measured over 3 steps of one training of v3"),
    (UPDATE, "float32"): Tolerance(1e-6, "four times the worst measured in 40 trainings, 2.3e-7"),
    (SCHEDULE, "float64"): Tolerance(
        2.4e-7, "two float32 units: Keras's graph gives the neighbour at times, 7.7e-8 measured"
    ),
    (SCHEDULE, "float32"): Tolerance(2.4e-7, "the same: a schedule is computed in float32 in either"),
    (TRAINING_LOSS, "float64"): Tolerance(
        1e-12, "40 times the worst of 500 steps of v1 to v3 in two runs, 2.3e-14 (the last: docs/lockstep.md)"
    ),
    (TRAINING_LOSS, "float32"): Tolerance(
        1e-5, "5.4e-6 in the middle of 10 steps and 40 trainings; beyond it only last bits"
    ),
    (PARAMETERS, "float64"): Tolerance(
        1e-12, "twice the worst of 500 steps of v1 to v3 in two runs, 4.2e-13 (the last: docs/lockstep.md)"
    ),
    (PARAMETERS, "float32"): Tolerance(
        1e-4, "4e-6 in the middle of 40 trainings; an update's round-off times learning rate over epsilon"
    ),
    (ROUND_OFF, "float64"): Tolerance(
        1e-8, "thrice the worst of 500 steps, 3.2e-9: what only round-off decides (round_off.py)"
    ),
    (STATISTICS, "float64"): Tolerance(
        1e-8, "they follow biases that round-off decides: 2.8e-10 measured over 500 steps"
    ),
    (STATISTICS, "float32"): Tolerance(
        1e-4, "7.5e-7 in the middle of 40 trainings; they follow the parameters"
    ),
    (EVALUATION, "float64"): Tolerance(
        1e-8, "of nets whose statistics are off by their tolerance: 3.7e-11 measured over 500 steps"
    ),
    (AUGMENTATION, "float32"): Tolerance(
        8e-5, "a fiftieth of a grey level of 255; measured 2.4e-5 at 45 x 67"
    ),
    (WHOLE_LEVELS, "float32"): Tolerance(
        3.1 / 255, "brightness cuts to whole levels; the stretch widens a step"
    ),
    (WHOLE_LEVELS_SHARE, "float32"): Tolerance(5e-4, "measured 1.5e-4 to 2.9e-4: float32 at the cut's edge"),
    (STANDARDISING, "float32"): Tolerance(
        1e-4, "Keras's means over a set are float32 sums: 5.6e-5 off on photographs"
    ),
}
"""By rung and dtype. Structure is compared exactly and needs none."""
