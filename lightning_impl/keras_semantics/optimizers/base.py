"""What Keras's optimizers have in common: the order of a step, the learning rate, weight decay, averages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lightning_impl.keras_semantics.optimizers.arguments import (
    EPSILON,
    SharedArguments,
    checked_number,
    shared_arguments,
)
from lightning_impl.keras_semantics.optimizers.buckets import Bucket, buckets_of, clip_buckets
from lightning_impl.keras_semantics.optimizers.rounding import Number, cast, number_of
from lightning_impl.keras_semantics.optimizers.state import Group, OptimizerState
from lightning_impl.keras_semantics.profile import Profile
from parity_common.command_errors import UserError

Parameters = Iterable[nn.Parameter] | Iterable[Group] | Iterable[tuple[str, nn.Parameter]]


class KerasOptimizer(OptimizerState):
    """A Keras optimizer's rule on torch parameters.

    The learning rate is `param_groups[i]["lr"]`, read at every step with Keras's rounding. Hyperparameters
    and scalar state lie in the param groups and slots in `state[parameter]` under Keras's names, so
    state_dict() holds all that goes on changing. Scalars are computed in the parameters' precision, as in
    Keras: float64 parameters stand for a Keras whose floatx is float64.

    Args:
        params: Parameters, named parameters or param groups, as every torch optimizer takes them.
        profile: The Keras generation.
        learning_rate: Per step.
        own: The optimizer's own hyperparameters.
        shared: See `SharedArguments`.

    Raises:
        UserError: An argument this generation does not have, or a value it refuses.
    """

    def __init__(
        self,
        params: Parameters,
        profile: Profile,
        learning_rate: float,
        own: Mapping[str, Any],
        shared: SharedArguments,
    ) -> None:
        arguments = shared_arguments(self.keras_name, profile, shared)
        if profile.optimizers_are_legacy and "epsilon" in own:
            # tf_keras 2.21 takes `epsilon or backend_config.epsilon()`.
            own = {**own, "epsilon": own["epsilon"] or EPSILON}
        defaults = {
            "lr": checked_number(self.keras_name, "learning_rate", learning_rate, 0),
            **own,
            **arguments,
            "iterations": 0,
            "undecayed": (),
        }
        super().__init__(params, profile, defaults)

    @property
    def iterations(self) -> int:
        """Updates so far; with accumulated gradients, the calls so far over their number, rounded down."""
        shared = self.param_groups[0]
        return shared["iterations"] // (shared.get("gradient_accumulation_steps") or 1)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One call of Keras's `apply_gradients`; nothing happens where no parameter has a gradient.

        Parameters without a gradient stay as they are, weight decay included.

        Args:
            closure: Computes the loss again and returns it.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        buckets = buckets_of(self.param_groups)
        if not buckets:
            return loss
        shared = self.param_groups[0]
        accumulated = shared.get("gradient_accumulation_steps")
        if not accumulated or self._accumulate(buckets, accumulated):
            clip_buckets(buckets, shared, self.profile.optimizers_are_legacy)
            for group in self.param_groups:
                if group["params"]:
                    self._prepare(group, number_of(group["params"][0].dtype))
            for bucket in buckets:
                number = number_of(bucket.parameters[0].dtype)
                self._decay_weights(bucket, number)
                self._update(bucket.group, bucket.parameters, bucket.gradients, number)
        if shared.get("use_ema"):
            self._average_parameters(shared)
        for group in self.param_groups:
            group["iterations"] += 1
        return loss

    def exclude_from_weight_decay(
        self, parameters: Iterable[nn.Parameter] = (), names: Iterable[str] = ()
    ) -> None:
        """Keeps parameters out of weight decay from now on; a second call replaces the first.

        Args:
            parameters: To keep out.
            names: Regular expressions; a parameter with a match anywhere in its name is kept out. It takes an
                optimizer made of named parameters (`model.named_parameters()`).

        Raises:
            UserError: Names given, but the parameters have none.
        """
        excluded, pattern = {id(parameter) for parameter in parameters}, "|".join(names)
        for group in self.param_groups:
            if pattern and "param_names" not in group:
                raise UserError(
                    f"{self.keras_name}: no parameter names to match {pattern}: "
                    "give the optimizer model.named_parameters()"
                )
            group["undecayed"] = tuple(
                place
                for place, parameter in enumerate(group["params"])
                if id(parameter) in excluded
                or (pattern and re.search(pattern, group["param_names"][place]) is not None)
            )

    @property
    def averages(self) -> bool:
        """Whether there are averages of the parameters: `use_ema`, after a step or more."""
        return bool(self.param_groups[0].get("use_ema") and self.param_groups[0]["iterations"])

    @torch.no_grad()
    def finalize_variable_values(self) -> None:
        """With `use_ema`, overwrites every parameter with its average, as Keras's fit() does at its end.

        Before a first step there is none, and nothing happens.
        """
        if self.averages:
            for parameter in self._all_parameters():
                parameter.copy_(self._slots_of(parameter)["average"])

    def _prepare(self, group: Group, number: Number) -> None:
        """Advances the group's scalar state before an update."""

    def _update(
        self, group: Group, parameters: list[Tensor], gradients: list[Tensor], number: Number
    ) -> None:
        """One update of parameters of one dtype and device."""
        raise NotImplementedError

    def _learning_rate(self, group: Group, number: Number) -> Number:
        # A float32 variable in the legacy optimizers, one of floatx in Keras 3.
        if not self.profile.optimizers_are_legacy:
            return number(group["lr"])
        rate, decay = cast(group["lr"], number), group["decay"]
        if decay:
            rate = rate / (1 + cast(decay, number) * number(self.iterations))
        return rate

    def _accumulate(self, buckets: list[Bucket], steps: int) -> bool:
        """Whether an update is due; its gradients are then the means since the last."""
        due = (self.param_groups[0]["iterations"] + 1) % steps == 0
        for bucket in buckets:
            (sums,) = self._slot_lists(bucket.parameters, "gradient_accumulator")
            if due:
                means = torch._foreach_add(bucket.gradients, sums)
                torch._foreach_div_(means, steps)
                bucket.gradients = list(means)
            else:
                torch._foreach_add_(sums, bucket.gradients)
        if due:
            # As in Keras also where this call has no gradient: what that parameter gathered is lost.
            for parameter in self._all_parameters():
                self._slots_of(parameter)["gradient_accumulator"].zero_()
        return due

    def _decay_weights(self, bucket: Bucket, number: Number) -> None:
        # w <- w - w * wd * lr, before the update and with the rate of that step.
        group = bucket.group
        if not group.get("weight_decay"):
            return
        out = {id(group["params"][place]) for place in group["undecayed"]}
        decayed = [parameter for parameter in bucket.parameters if id(parameter) not in out]
        if decayed:
            factor = cast(group["weight_decay"], number) * self._learning_rate(group, number)
            torch._foreach_add_(decayed, decayed, alpha=-float(factor))

    def _average_parameters(self, shared: Group) -> None:
        """average <- momentum * average + (1 - momentum) * w; the first time the average is w."""
        parameters = list(self._all_parameters())
        for parameter in parameters:
            number = number_of(parameter.dtype)
            momentum = number(shared["ema_momentum"]) if self.iterations else number(0)
            average = self._slots_of(parameter)["average"]
            average.mul_(float(momentum)).add_(parameter, alpha=float(1 - momentum))
        every = shared["ema_overwrite_frequency"]
        if every and (self.iterations + 1) % every == 0:
            for parameter in parameters:
                parameter.copy_(self._slots_of(parameter)["average"])
