"""Keras's recurrent layers on `(N, T, features)` where torch has kernels for them.

Of all of them: `sequences` gives the output of every step, `(N, T, units)`, not of the last alone,
`(N, units)`; `backwards` begins with the last step, and the outputs stay in the order in which they are made.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class KerasLSTM(nn.Module):
    """Keras's LSTM: it has one bias, where nn.LSTM has two, of which the second stays zero."""

    def __init__(
        self, features: int, units: int, bias: bool = True, sequences: bool = False, backwards: bool = False
    ) -> None:
        super().__init__()
        self.sequences, self.backwards = sequences, backwards
        self.rnn = nn.LSTM(features, units, bias=bias, batch_first=True)
        if bias:
            del self.rnn.bias_hh_l0
            self.rnn.bias_hh_l0 = nn.Buffer(torch.zeros(4 * units), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        outputs, _ = self.rnn(features.flip(1) if self.backwards else features)
        return outputs if self.sequences else outputs[:, -1]


class KerasRNN(nn.Module):
    """Keras's SimpleRNN: it has one bias, where nn.RNN has two, of which the second stays zero.

    Args:
        features: Of each step.
        units: Of the state.
        activation: "tanh" or "relu".
        bias: Whether there is a bias.
        sequences: Gives the output of every step.
        backwards: Begins with the last step.
    """

    def __init__(
        self,
        features: int,
        units: int,
        activation: str = "tanh",
        bias: bool = True,
        sequences: bool = False,
        backwards: bool = False,
    ) -> None:
        super().__init__()
        self.sequences, self.backwards = sequences, backwards
        self.rnn = nn.RNN(features, units, nonlinearity=activation, bias=bias, batch_first=True)
        if bias:
            del self.rnn.bias_hh_l0
            self.rnn.bias_hh_l0 = nn.Buffer(torch.zeros(units), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        outputs, _ = self.rnn(features.flip(1) if self.backwards else features)
        return outputs if self.sequences else outputs[:, -1]


class KerasGRU(nn.Module):
    """Keras's GRU with reset_after: nn.GRU, whose two biases are the rows of one here."""

    def __init__(
        self, features: int, units: int, bias: bool = True, sequences: bool = False, backwards: bool = False
    ) -> None:
        super().__init__()
        self.units, self.sequences, self.backwards = units, sequences, backwards
        self.weight_ih = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3 * units, features)))
        self.weight_hh = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3 * units, units)))
        self.bias = nn.Parameter(torch.zeros(2, 3 * units)) if bias else None

    def forward(self, features: Tensor) -> Tensor:
        start = features.new_zeros(1, len(features), self.units)
        weights = [self.weight_ih, self.weight_hh, *(() if self.bias is None else self.bias)]
        if self.backwards:
            features = features.flip(1)
        # As nn.GRU calls it: one layer, no dropout, one direction, the batch first.
        outputs, _ = torch.gru(
            features, start, weights, self.bias is not None, 1, 0.0, self.training, False, True
        )
        return outputs if self.sequences else outputs[:, -1]
