"""Keras's recurrent layers on `(N, T, features)` that torch has no kernels for: step by step.

The gates are in torch's order; `sequences` and `backwards` are as in porting/helpers/recurrent.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LoopedLSTM(nn.Module):
    """Keras's LSTM with other activations than nn.LSTM's, step by step."""

    def __init__(
        self,
        features: int,
        units: int,
        activation: nn.Module,
        recurrent_activation: nn.Module,
        bias: bool = True,
        sequences: bool = False,
        backwards: bool = False,
    ) -> None:
        super().__init__()
        self.units, self.sequences, self.backwards = units, sequences, backwards
        self.activation, self.recurrent_activation = activation, recurrent_activation
        self.weight_ih = nn.Parameter(nn.init.xavier_uniform_(torch.empty(4 * units, features)))
        self.weight_hh = nn.Parameter(nn.init.xavier_uniform_(torch.empty(4 * units, units)))
        self.bias = nn.Parameter(torch.zeros(4 * units)) if bias else None

    def forward(self, features: Tensor) -> Tensor:
        steps = F.linear(features.flip(1) if self.backwards else features, self.weight_ih, self.bias)
        hidden = carry = features.new_zeros(len(features), self.units)
        outputs = []
        for step in steps.unbind(1):
            gates = step + F.linear(hidden, self.weight_hh)
            enter, forget, candidate, leave = gates.chunk(4, dim=1)
            kept = self.recurrent_activation(forget) * carry
            carry = kept + self.recurrent_activation(enter) * self.activation(candidate)
            hidden = self.recurrent_activation(leave) * self.activation(carry)
            outputs.append(hidden)
        return torch.stack(outputs, dim=1) if self.sequences else hidden


class LoopedGRU(nn.Module):
    """Keras's GRU where nn.GRU computes another one, step by step.

    Args:
        features: Of each step.
        units: Of the state.
        activation: Of the candidate.
        recurrent_activation: Of both gates.
        reset_after: Whether the reset gate acts behind the product with the state; then there are two biases.
        bias: Whether there is a bias.
        sequences: Gives the output of every step.
        backwards: Begins with the last step.
    """

    def __init__(
        self,
        features: int,
        units: int,
        activation: nn.Module,
        recurrent_activation: nn.Module,
        reset_after: bool,
        bias: bool = True,
        sequences: bool = False,
        backwards: bool = False,
    ) -> None:
        super().__init__()
        self.units, self.sequences, self.backwards = units, sequences, backwards
        self.activation, self.recurrent_activation = activation, recurrent_activation
        self.reset_after = reset_after
        self.weight_ih = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3 * units, features)))
        self.weight_hh = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3 * units, units)))
        biases = (2, 3 * units) if reset_after else (1, 3 * units)
        self.bias = nn.Parameter(torch.zeros(biases)) if bias else None

    def forward(self, features: Tensor) -> Tensor:
        outer = None if self.bias is None else self.bias[0]
        inner = None if self.bias is None or not self.reset_after else self.bias[1]
        steps = F.linear(features.flip(1) if self.backwards else features, self.weight_ih, outer)
        hidden = features.new_zeros(len(features), self.units)
        outputs = []
        for step in steps.unbind(1):
            hidden = self._next(step, hidden, inner)
            outputs.append(hidden)
        return torch.stack(outputs, dim=1) if self.sequences else hidden

    def _next(self, step: Tensor, hidden: Tensor, bias: Tensor | None) -> Tensor:
        reset_in, update_in, candidate_in = step.chunk(3, dim=1)
        if self.reset_after:
            reset_own, update_own, own = F.linear(hidden, self.weight_hh, bias).chunk(3, dim=1)
            own = self.recurrent_activation(reset_in + reset_own) * own
        else:
            both, last = self.weight_hh.split([2 * self.units, self.units])
            reset_own, update_own = F.linear(hidden, both).chunk(2, dim=1)
            own = F.linear(self.recurrent_activation(reset_in + reset_own) * hidden, last)
        update = self.recurrent_activation(update_in + update_own)
        return update * hidden + (1 - update) * self.activation(candidate_in + own)


class LoopedRNN(nn.Module):
    """Keras's SimpleRNN with another activation than nn.RNN's, step by step."""

    def __init__(
        self,
        features: int,
        units: int,
        activation: nn.Module,
        bias: bool = True,
        sequences: bool = False,
        backwards: bool = False,
    ) -> None:
        super().__init__()
        self.units, self.sequences, self.backwards = units, sequences, backwards
        self.activation = activation
        self.weight_ih = nn.Parameter(nn.init.xavier_uniform_(torch.empty(units, features)))
        self.weight_hh = nn.Parameter(nn.init.xavier_uniform_(torch.empty(units, units)))
        self.bias = nn.Parameter(torch.zeros(units)) if bias else None

    def forward(self, features: Tensor) -> Tensor:
        steps = F.linear(features.flip(1) if self.backwards else features, self.weight_ih, self.bias)
        hidden = features.new_zeros(len(features), self.units)
        outputs = []
        for step in steps.unbind(1):
            hidden = self.activation(step + F.linear(hidden, self.weight_hh))
            outputs.append(hidden)
        return torch.stack(outputs, dim=1) if self.sequences else hidden
