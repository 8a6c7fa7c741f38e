"""What a Keras optimizer holds: slots of each parameter and scalars, how they are saved and carried over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_impl.keras_semantics.profile import Profile
from parity_common.command_errors import UserError

Group = dict[str, Any]


class OptimizerState(Optimizer):
    """The state of a `KerasOptimizer`: slots in `state[parameter]`, scalars in the param groups.

    Args:
        params: As every torch optimizer takes them.
        profile: The Keras generation.
        defaults: Hyperparameters and scalar state of a group.
    """

    def __init__(self, params: Any, profile: Profile, defaults: dict[str, Any]) -> None:
        self.profile = profile
        super().__init__(params, defaults)

    @property
    def keras_name(self) -> str:
        """The class name in Keras."""
        return type(self).__name__.removeprefix("Keras")

    @property
    def slot_names(self) -> tuple[str, ...]:
        """The slots a parameter has in this configuration, in Keras's order and under Keras's names."""
        return tuple(self._initial_slots())

    def slots(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        """The slots themselves by name, shaped as the parameter; before a first step as Keras creates them.

        Raises:
            UserError: A parameter that this optimizer does not train.
        """
        if not any(parameter is known for known in self._all_parameters()):
            raise UserError(f"a parameter of shape {tuple(parameter.shape)} is not this optimizer's")
        slots = self._slots_of(parameter)
        return {name: slots[name] for name in self.slot_names}

    @torch.no_grad()
    def load_slots(self, parameter: nn.Parameter, values: Mapping[str, Tensor]) -> None:
        """Overwrites all slots of a parameter.

        Args:
            parameter: One that this optimizer trains.
            values: Every slot by name, shaped as the parameter (a kernel transposed to torch's layout).

        Raises:
            UserError: A slot too many or missing, or of another shape.
        """
        slots = self.slots(parameter)
        if set(values) != set(slots):
            raise UserError(
                f"{self.keras_name} of profile {self.profile.name} has the slots "
                f"{', '.join(slots) or 'none'}, not {', '.join(values) or 'none'}: "
                "configure it as the Keras optimizer was"
            )
        for name, value in values.items():
            if value.shape != parameter.shape:
                raise UserError(
                    f"slot {name} has shape {tuple(value.shape)}, its parameter {tuple(parameter.shape)}: "
                    "transpose it as the weight was"
                )
            slots[name].copy_(value)

    def keras_scalars(self) -> dict[str, float]:
        """What Keras holds once for all parameters.

        They are `iterations`, the number of calls (also where gradients accumulate), `learning_rate` and what
        `scalar_names` adds.
        """
        shared = self.param_groups[0]
        return {
            "iterations": shared["iterations"],
            "learning_rate": float(shared["lr"]),
            **{name: shared[name] for name in self.scalar_names},
        }

    def load_keras_scalars(self, values: Mapping[str, float]) -> None:
        """Overwrites what `keras_scalars` gives; a missing `learning_rate` leaves it as it is.

        Raises:
            UserError: Another name missing, or an unknown one.
        """
        known = ("iterations", *self.scalar_names)
        missing = [name for name in known if name not in values]
        unknown = [name for name in values if name not in (*known, "learning_rate")]
        if missing or unknown:
            raise UserError(
                f"{self.keras_name} of profile {self.profile.name} goes on from {', '.join(known)}: "
                + " and ".join(
                    [f"{name} is missing" for name in missing] + [f"{name} is unknown" for name in unknown]
                )
            )
        for group in self.param_groups:
            group["iterations"] = int(values["iterations"])
            group.update({name: float(values[name]) for name in self.scalar_names})
            group["lr"] = float(values.get("learning_rate", group["lr"]))

    @property
    def scalar_names(self) -> tuple[str, ...]:
        """Scalar state besides the iterations, under Keras's names."""
        return ()

    def add_param_group(self, param_group: Group) -> None:
        """As torch's; the new group goes on from the others' iterations, as a Keras variable would."""
        if self.param_groups:
            first = self.param_groups[0]
            carried = ("iterations", *self.scalar_names)
            param_group = {**{name: first[name] for name in carried}, **param_group}
        super().add_param_group(param_group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's; slots take the memory layout of their parameters.

        Raises:
            UserError: The state of another optimizer or configuration.
        """
        expected = {name for name in self.defaults if name != "lr"}
        for group in state_dict["param_groups"]:
            if missing := sorted(expected - set(group)):
                raise UserError(
                    f"the saved optimizer is not {self.keras_name} of profile {self.profile.name}: "
                    f"it has no {missing[0]}; resume with the optimizer it was saved from"
                )
        super().load_state_dict(state_dict)
        for parameter in self._all_parameters():
            for name, value in self.state.get(parameter, {}).items():
                if value.stride() != parameter.stride():
                    self.state[parameter][name] = torch.empty_like(parameter).copy_(value)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "profile": self.profile}

    def _initial_slots(self) -> dict[str, float]:
        """Slot names, in the order in which Keras creates them, with what they are filled with."""
        shared, names = self.param_groups[0], {}
        if shared.get("use_ema"):
            names["average"] = 0.0
        if shared.get("gradient_accumulation_steps"):
            names["gradient_accumulator"] = 0.0
        return {**names, **self._own_slots()}

    def _own_slots(self) -> dict[str, float]:
        """The same of the optimizer's own slots."""
        raise NotImplementedError

    def _slot_lists(self, parameters: list[Tensor], *names: str) -> list[list[Tensor]]:
        """For each name the slots of these parameters, in their order."""
        states = [self._slots_of(parameter) for parameter in parameters]
        return [[state[name] for state in states] for name in names]

    def _slots_of(self, parameter: Tensor) -> dict[str, Tensor]:
        state = self.state[parameter]
        if not state:
            for name, value in self._initial_slots().items():
                slot = torch.full_like(parameter, value, memory_format=torch.preserve_format)
                if slot.stride() != parameter.stride():
                    raise UserError(
                        f"a parameter of shape {tuple(parameter.shape)} is a view with gaps: clone() it first"
                    )
                state[name] = slot.detach()
        return state

    def _all_parameters(self) -> Iterable[nn.Parameter]:
        return (parameter for group in self.param_groups for parameter in group["params"])
