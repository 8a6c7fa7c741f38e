"""Rungs 4 loss, 5 gradients, 6 update, 7 state and 9 trajectory: from what Keras's `fit` did.

Each sees one thing alone. Loss and gradients are taken in inference mode, where no mask and no batch
statistic plays a part; the update is fed with Keras's own gradients; the state is one training step; the
trajectory is the whole training through Lightning's Trainer.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from lightning_impl.keras_semantics.schedules import Schedule
from porting.case import Case, RungResult, from_comparisons, recipe_of_case
from porting.comparison import Comparison, compare, compare_array
from porting.last_bits import IN_INFERENCE, IN_TRAINING, allow_own_spread
from porting.round_off import biases_before_batch_norm, share_undecided, undecided_by_keras
from porting.tolerances import (
    EVALUATION,
    FLOAT32_STEPS,
    GRADIENTS,
    LOSS,
    PARAMETERS,
    ROUND_OFF,
    SCHEDULE,
    STATISTICS,
    TOLERANCES,
    TRAINING_LOSS,
    UPDATE,
    VANISHING,
)
from porting.trace import Trace, training_of
from porting.training import (
    FINAL,
    Walk,
    compile_port,
    evaluate,
    first_batch,
    fresh_net,
    in_keras_order,
    in_torch_order,
    trained_names,
    trained_pairs,
    walk,
    walk_on,
)


def loss(case: Case) -> RungResult:
    """Rung 4: the loss of a batch and of an evaluation, and every metric, in inference mode."""
    trace, net = case.trace, fresh_net(case.module, case.trace)
    module = compile_port(net, recipe_of_case(case)).eval()
    with torch.no_grad():
        batch_loss, _ = module.loss_and_accuracy(first_batch(trace))
    ours = {"batch loss": batch_loss.numpy()}
    theirs = {"batch loss": trace.array("inference/loss")}
    for name, figure in evaluate(net, trace, recipe_of_case(case)).items():
        ours[f"evaluation {name}"] = np.asarray(figure)
    for name in ["loss", *training_of(trace).metrics]:
        theirs[f"evaluation {name}"] = trace.array(f"evaluation/{name}")
    # Keras hands out an evaluation's figures as Python numbers, whatever it computes in.
    ours, theirs = _as_float64(ours), _as_float64(theirs)
    tolerance = TOLERANCES[LOSS, trace.dtype].residual
    return from_comparisons(LOSS, f"{len(theirs)} figures", compare(ours, theirs, tolerance))


def gradients(case: Case) -> RungResult:
    """Rung 5: the gradient of every trained parameter, in inference mode."""
    trace = case.trace
    theirs = {name: trace.kept(f"inference/gradient/{name}") for name in trained_names(trace)}
    tolerance = TOLERANCES[GRADIENTS, trace.dtype].residual
    ours = _gradients(case)

    def against_own(net: nn.Module) -> list[Comparison]:
        return compare(_gradients(case, net), ours, tolerance)

    comparisons = allow_own_spread(compare(ours, theirs, tolerance), case, against_own, IN_INFERENCE)
    return from_comparisons(GRADIENTS, f"{len(theirs)} gradients", comparisons)


def _gradients(case: Case, net: nn.Module | None = None) -> dict[str, np.ndarray]:
    trace = case.trace
    net = fresh_net(case.module, trace) if net is None else net
    module = compile_port(net, recipe_of_case(case)).eval()
    value, _ = module.loss_and_accuracy(first_batch(trace))
    value.backward()
    parameters = dict(net.named_parameters())
    found = {}
    for name, pair in trained_pairs(trace, net).items():
        gradient = parameters[pair.torch_name].grad
        if gradient is not None:
            found[name] = trace.keep_same(f"inference/gradient/{name}", in_keras_order(pair, gradient))
    return found


def update(case: Case) -> RungResult:
    """Rung 6: parameters and slots after the first steps, the optimizer fed with Keras's gradients."""
    trace, net = case.trace, fresh_net(case.module, case.trace)
    training, trained = training_of(trace), trained_pairs(trace, net)
    parameters = dict(net.named_parameters())
    recipe = recipe_of_case(case)
    constrain, optimizer = recipe.constrain, recipe.make_optimizer(net.parameters())
    rates = trace.array("steps/learning_rate")
    tolerance = TOLERANCES[UPDATE, trace.dtype].residual
    comparisons: list[Comparison] = []
    for step in range(1, training.update_steps + 1):
        for name, pair in trained.items():
            parameters[pair.torch_name].grad = in_torch_order(
                pair, trace.array(f"step/{step}/gradient/{name}")
            )
        for group in optimizer.param_groups:
            group["lr"] = float(rates[step - 1])
        optimizer.step()
        if constrain is not None:
            constrain(net)
        ours, theirs = {}, {}
        for name, pair in trained.items():
            parameter = parameters[pair.torch_name]
            ours[f"{name} after step {step}"] = in_keras_order(pair, parameter)
            theirs[f"{name} after step {step}"] = trace.array(f"step/{step}/parameter/{name}")
            # An optimizer of torch's own has slots of its own: its parameters are compared alone.
            if not hasattr(optimizer, "slots"):
                continue
            for slot, tensor in optimizer.slots(parameter).items():
                ours[f"{name} {slot} after step {step}"] = in_keras_order(pair, tensor)
            for slot in trace.names(f"step/{step}/slot/{name}/"):
                theirs[f"{name} {slot} after step {step}"] = trace.array(f"step/{step}/slot/{name}/{slot}")
        comparisons += compare(ours, theirs, tolerance)
    compared = f"{len(trained)} parameters, {training.update_steps} steps, {len(comparisons)} arrays"
    return from_comparisons(UPDATE, compared, comparisons)


def state(case: Case) -> RungResult:
    """Rung 7: one training step with Keras's masks: its loss, gradients, and the statistics after it."""
    walked = walk(case.module, case.trace, recipe_of_case(case), steps=1)

    def against_own(net: nn.Module) -> list[Comparison]:
        return _one_step(walk_on(net, case.trace, recipe_of_case(case), 1), case.trace, walked)

    comparisons = allow_own_spread(_one_step(walked, case.trace), case, against_own, IN_TRAINING)
    return from_comparisons("state", f"{len(comparisons)} arrays of one training step", comparisons)


def _one_step(walked: Walk, trace: Trace, reference: Walk | None = None) -> list[Comparison]:
    """A walk's first step against Keras's, or against that of another walk."""
    ours = {name: walked.states[1][f"gradient/{name}"] for name in trained_names(trace)}
    theirs = {name: _whole(trace, reference, 1, f"gradient/{name}") for name in ours}
    vanishing = biases_before_batch_norm(trace)
    comparisons = _training_loss(walked, trace, 1, reference)
    tolerance = TOLERANCES[GRADIENTS, trace.dtype].residual
    for name, array in theirs.items():
        # A gradient that is round-off is measured by the kernel's, of which it is the round-off.
        kernel = theirs.get(f"{name.split('/')[0]}/kernel") if name in vanishing else None
        if kernel is None:
            comparisons.append(compare_array(name, ours[name], array, tolerance))
            continue
        scale, round_off = float(np.max(np.abs(kernel))), TOLERANCES[VANISHING, trace.dtype].residual
        comparisons.append(compare_array(name, ours[name], array, round_off, scale))
    statistics = trace.names("step/1/statistic/")
    return comparisons + compare(
        {name: walked.states[1][f"statistic/{name}"] for name in statistics},
        {name: _whole(trace, reference, 1, f"statistic/{name}") for name in statistics},
        TOLERANCES[LOSS, trace.dtype].residual,
    )


def trajectory(case: Case) -> RungResult:
    """Rung 9: the whole training: every step's loss and learning rate, every epoch's figures, the end.

    In float32 only the first steps.
    """
    trace, training = case.trace, training_of(case.trace)
    single = trace.dtype == "float32"
    steps = min(training.steps, FLOAT32_STEPS) if single else training.steps
    last = steps if single else None
    walked = walk(case.module, trace, recipe_of_case(case), last)

    def compared(other: Walk, reference: Walk | None = None) -> list[Comparison]:
        first = _first_steps(other, case, steps, reference)
        if single:
            return first
        # As they follow from each other: a wrong learning rate is named before the losses that come of it.
        return [_length(other, trace, reference), *first, *_end(other, trace, reference)]

    def against_own(net: nn.Module) -> list[Comparison]:
        return compared(walk_on(net, trace, recipe_of_case(case), last), walked)

    comparisons = allow_own_spread(compared(walked), case, against_own, IN_TRAINING)
    said = f"{steps} steps" + (f" of {training.steps}" if steps < training.steps else "")
    said += f", {len(comparisons)} arrays, {share_undecided(trace):.1%} of the parameters apart"
    return from_comparisons("trajectory", said, comparisons)


def _length(walked: Walk, trace: Trace, reference: Walk | None = None) -> Comparison:
    """How long the training went."""
    training = training_of(trace)
    theirs = [training.steps, training.epochs_run] if reference is None else _lengths(reference)
    ours = np.asarray(_lengths(walked), float)
    return compare_array("steps and epochs until it ended", ours, np.asarray(theirs, float), 0.0)


def _end(walked: Walk, trace: Trace, reference: Walk | None = None) -> list[Comparison]:
    """Every epoch's figures, and where the training ended."""
    training = training_of(trace)
    comparisons = _epochs(walked, trace, reference)
    comparisons += _states(walked, trace, FINAL, "parameter", reference)
    comparisons += _states(walked, trace, FINAL, "statistic", reference)
    names = ["loss", *training.metrics]
    if reference is None:
        theirs = {name: trace.array(f"final/evaluation/{name}") for name in names}
    else:
        theirs = {name: np.asarray(reference.evaluation[name]) for name in names}
    return comparisons + compare(
        {f"final evaluation {name}": np.asarray(walked.evaluation[name]) for name in names},
        {f"final evaluation {name}": figure for name, figure in theirs.items()},
        TOLERANCES[EVALUATION, trace.dtype].residual,
    )


def _lengths(walked: Walk) -> list[int]:
    return [len(walked.loss), len(walked.epochs.get("loss", []))]


def _first_steps(walked: Walk, case: Case, steps: int, reference: Walk | None = None) -> list[Comparison]:
    """Losses and learning rates of the first steps, parameters and statistics at the recorded ones of them.

    Against Keras's, or against those of another walk.
    """
    trace, training = case.trace, training_of(case.trace)
    comparisons = _learning_rates(walked, trace, recipe_of_case(case).schedule, steps, reference)
    comparisons += _training_loss(walked, trace, steps, reference)
    for step in (training.update_steps, *training.at_steps):
        if step <= steps:
            comparisons += _states(walked, trace, step, "parameter", reference)
            comparisons += _states(walked, trace, step, "statistic", reference)
    return comparisons


def _training_loss(walked: Walk, trace: Trace, steps: int, reference: Walk | None = None) -> list[Comparison]:
    """The training loss of the first `steps` steps; in float32 each apart, since they part one by one."""
    ours = np.asarray(walked.loss[:steps])
    theirs = (trace.array("steps/loss") if reference is None else np.asarray(reference.loss))[:steps]
    tolerance = TOLERANCES[TRAINING_LOSS, trace.dtype].residual
    if trace.dtype != "float32" or ours.shape != theirs.shape:
        return [compare_array("training loss", ours, theirs, tolerance)]
    scale = float(np.abs(theirs).max())
    return [
        compare_array(f"training loss, step {step + 1}", *pair, tolerance, scale)
        for step, pair in enumerate(zip(ours[:, None], theirs[:, None], strict=True))
    ]


def _learning_rates(
    walked: Walk, trace: Trace, schedule: Schedule | None, steps: int, reference: Walk | None = None
) -> list[Comparison]:
    # Keras's variable is float32, ours a Python number that stands for it.
    ours = np.asarray(walked.learning_rate[:steps], dtype=np.float32)
    theirs = trace.array("steps/learning_rate") if reference is None else np.asarray(reference.learning_rate)
    tolerance = 0.0 if schedule is None else TOLERANCES[SCHEDULE, trace.dtype].residual
    return [compare_array("learning rate", ours, theirs[:steps].astype(np.float32), tolerance)]


def _epochs(walked: Walk, trace: Trace, reference: Walk | None = None) -> list[Comparison]:
    comparisons = []
    for kind, names in (
        (TRAINING_LOSS, [name for name in trace.names("epochs/") if not name.startswith("val_")]),
        (EVALUATION, [name for name in trace.names("epochs/") if name.startswith("val_")]),
    ):
        if reference is None:
            theirs = {f"epochs' {name}": trace.array(f"epochs/{name}") for name in names}
        else:
            theirs = {f"epochs' {name}": np.asarray(reference.epochs[name]) for name in names}
        comparisons += compare(
            {f"epochs' {name}": np.asarray(walked.epochs[name]) for name in names if name in walked.epochs},
            theirs,
            TOLERANCES[kind, trace.dtype].residual,
        )
    return comparisons


def _whole(trace: Trace, reference: Walk | None, step: int, name: str) -> np.ndarray:
    return trace.array(f"step/{step}/{name}") if reference is None else reference.states[step][name]


def _states(
    walked: Walk, trace: Trace, step: int, kind: str, reference: Walk | None = None
) -> list[Comparison]:
    """Parameters or statistics after a step; what only round-off decides by a tolerance of its own."""
    place = "final" if step == FINAL else f"step/{step}"
    when = "at the end" if step == FINAL else f"after step {step}"
    tolerance = TOLERANCES[PARAMETERS if kind == "parameter" else STATISTICS, trace.dtype].residual
    round_off = TOLERANCES.get((ROUND_OFF, trace.dtype))
    comparisons = []
    for name in trace.names(f"{place}/{kind}/"):
        whole = f"{place}/{kind}/{name}"
        ours, theirs = trace.keep_same(whole, walked.states[step][f"{kind}/{name}"]), trace.kept(whole)
        if reference is not None:
            theirs = trace.keep_same(whole, reference.states[step][f"{kind}/{name}"])
        undecided = trace.keep_same(whole, undecided_by_keras(trace, name))
        if ours.shape != theirs.shape or not undecided.any():
            comparisons.append(compare_array(f"{name} {when}", ours, theirs, tolerance))
            continue
        if not undecided.all():
            decided = np.where(undecided, theirs, ours)
            comparisons.append(compare_array(f"{name} {when}", decided, theirs, tolerance))
        if round_off is not None:
            rest = np.where(undecided, ours, theirs)
            comparisons.append(
                compare_array(f"{name} {when}, round-off's part", rest, theirs, round_off.residual)
            )
    return comparisons


def _as_float64(figures: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.asarray(figure, dtype=np.float64) for name, figure in figures.items()}


TRAINING_RUNGS = (loss, gradients, update, state, trajectory)
