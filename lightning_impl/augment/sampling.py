"""Random numbers that are a function of (seed, epoch, index, draw), for an image or a whole batch at once.

Image `index` of `epoch` has a stream of its own: its n-th number is splitmix64 of the stream's key and n
(Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). Nothing is remembered between
images, so that workers, batch sizes, order and resumption cannot change what an image gets, and a batch's
numbers come out of one vectorised expression. `Draws` is the batch's side; `counter_state` dresses the same
streams up as the two generators that Albumentations takes, so that both sides draw the same.
"""

from __future__ import annotations

import random
from collections.abc import MutableSequence, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

GOLDEN = 0x9E3779B97F4A7C15
MIX_1 = 0xBF58476D1CE4E5B9
MIX_2 = 0x94D049BB133111EB
WORD = 0xFFFFFFFFFFFFFFFF

Rows = NDArray[np.int64]

# The same as numpy's numbers: making one costs as much as a batch's product with it.
_GOLDEN, _MIX_1, _MIX_2 = (np.uint64(number) for number in (GOLDEN, MIX_1, MIX_2))
_11, _27, _30, _31 = (np.uint64(bits) for bits in (11, 27, 30, 31))


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The output function of splitmix64; uint64 wraps around as the algorithm wants it."""
    state = (state ^ (state >> _30)) * _MIX_1
    state = (state ^ (state >> _27)) * _MIX_2
    return state ^ (state >> _31)


def _mix_one(state: int) -> int:
    """The same of one number, in Python's whole numbers: numpy's scalars would cost three times as much."""
    state = ((state ^ (state >> 30)) * MIX_1) & WORD
    state = ((state ^ (state >> 27)) * MIX_2) & WORD
    return state ^ (state >> 31)


def numbers_at(keys: NDArray[np.uint64], places: NDArray[np.int64]) -> NDArray[np.float64]:
    """Numbers of streams, uniform in [0, 1), 53 bits; keys and places are broadcast.

    Args:
        keys: From `stream_keys`.
        places: Which numbers of the streams, from 0.
    """
    return _numbers(keys + _steps(places))


def _steps(places: NDArray[np.int64]) -> NDArray[np.uint64]:
    """How far a stream's state is from its key at each place."""
    return (places + 1).astype(np.uint64) * _GOLDEN


def _numbers(states: NDArray[np.uint64]) -> NDArray[np.float64]:
    return (_mix(states) >> _11) * np.float64(2.0**-53)


# Of a batch's streams so many numbers are worked out together: one by one numpy's calls would cost more than
# their work.
_STEPS_AHEAD = _steps(np.arange(12))


def stream_keys(seed: int, epoch: int, indices: ArrayLike) -> NDArray[np.uint64]:
    """The key of each image's stream, `(N,)`.

    Args:
        seed: Of the run, 0 or more.
        epoch: From 0.
        indices: `(N,)` places in the epoch's unshuffled order, 0 or more.
    """
    key = 0
    for part in (seed, epoch):
        key = _mix_one((key + part + GOLDEN) & WORD)
    return _mix(np.asarray(indices, np.uint64) * _GOLDEN + np.uint64((key + GOLDEN) & WORD))


class Draws:
    """The streams of a batch's images, each with a position of its own.

    Methods take `rows`, the images that draw, and give one number a row, in that order. The arithmetic is
    that of Python's `random` and numpy's `Generator` over the same uniform number: see `CounterRandom` and
    `CounterGenerator`, its twins for one image.

    Args:
        keys: `(N,)` from `stream_keys`.
        numbers: `(N, any)` the streams' first numbers, where they are known.

    Attributes:
        drawn: `(N,)` how many numbers each stream has given.
        all_rows: Every image.
    """

    def __init__(self, keys: NDArray[np.uint64], numbers: NDArray[np.float64] | None = None) -> None:
        self.keys = keys
        self.drawn = np.zeros(len(keys), np.int64)
        self.all_rows: Rows = np.arange(len(keys))
        # No stream has given more; and whether all have given as many: a column of `numbers` comes next then.
        self.most, self.is_level = 0, True
        self.numbers = _numbers(keys[:, None] + _STEPS_AHEAD) if numbers is None else numbers

    def part(self, start: int, stop: int) -> Draws:
        """The streams of some of the images, from their first numbers on."""
        return Draws(self.keys[start:stop], self.numbers[start:stop])

    def random(self, rows: Rows) -> NDArray[np.float64]:
        """Uniform in [0, 1), 53 bits."""
        return self.several(1, rows)[:, 0]

    def several(self, count: int, rows: Rows) -> NDArray[np.float64]:
        """The next `count` of `random` at once, `(len(rows), count)`."""
        place, self.most = self.most, self.most + count
        if self.most > self.numbers.shape[1]:
            self.numbers = numbers_at(self.keys[:, None], np.arange(2 * self.most))
        if rows is self.all_rows and self.is_level:
            self.drawn += count
            return self.numbers[:, place : place + count]
        places = self.drawn[rows]
        self.drawn[rows] = places + count
        self.is_level = False
        return self.numbers[rows[:, None], places[:, None] + np.arange(count)]

    def skip(self, rows: Rows, counts: NDArray[np.int64]) -> None:
        """Leaves out the next numbers of each row, `counts[i]` of row i."""
        self.drawn[rows] += counts
        self.is_level = False
        self.most += int(counts.max(initial=0))

    def uniform(self, low: float, high: float, rows: Rows) -> NDArray[np.float64]:
        """Uniform between `low` and `high`."""
        return low + (high - low) * self.random(rows)

    def below(self, count: int | NDArray[np.int64], rows: Rows) -> NDArray[np.int64]:
        """Whole numbers in [0, count)."""
        return (self.random(rows) * count).astype(np.int64)

    def randint(self, low: int, high: int, rows: Rows) -> NDArray[np.int64]:
        """Whole numbers from `low` to `high`, both included, as `random.Random.randint`."""
        return low + self.below(high - low + 1, rows)

    def weighted(self, weights: ArrayLike, rows: Rows) -> NDArray[np.int64]:
        """Places in `weights`, each as likely as its weight, as `Generator.choice(n, p=weights)`."""
        return _place(weights, self.random(rows))

    def distinct(self, count: int, kept: int, rows: Rows) -> NDArray[np.int64]:
        """`kept` different whole numbers in [0, count) a row, `(len(rows), kept)`, in random order."""
        return np.argsort(self.several(count, rows), axis=1, kind="stable")[:, :kept]

    def orders(self, count: int, rows: Rows) -> NDArray[np.int64]:
        """A random order of `range(count)` a row, `(len(rows), count)`, as `Generator.shuffle` of a list."""
        order = np.tile(np.arange(count), (len(rows), 1))
        here = np.arange(len(rows))
        for last in range(count - 1, 0, -1):
            other = self.below(last + 1, rows)
            order[here, last], order[here, other] = order[here, other], order[here, last]
        return order


class Stream:
    """One image's stream.

    Args:
        key: From `stream_keys`.
    """

    def __init__(self, key: int) -> None:
        self.start(key)

    def start(self, key: int, numbers: Sequence[float] = ()) -> None:
        """Goes over to another image.

        Args:
            key: From `stream_keys`.
            numbers: The stream's first numbers, where they are known.
        """
        self.key = key
        self.numbers = numbers
        self.drawn = 0

    def next(self) -> float:
        place = self.drawn
        self.drawn += 1
        if place < len(self.numbers):
            return self.numbers[place]
        return (_mix_one((self.key + self.drawn * GOLDEN) & WORD) >> 11) * 2.0**-53


class CounterRandom(random.Random):
    """Python's generator over a stream: `uniform`, `randint`, `choice` and the rest take one number each."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        super().__init__(0)

    def seed(self, *arguments: Any) -> None:
        """The stream is the seed."""

    def random(self) -> float:
        return self.stream.next()

    def uniform(self, a: float, b: float) -> float:
        """Python's own formula, with a call less."""
        return a + (b - a) * self.stream.next()

    def getrandbits(self, k: int) -> int:
        words = [int(self.stream.next() * 2**32) for _ in range((k + 31) // 32)]
        return sum(word << (32 * place) for place, word in enumerate(words)) >> (len(words) * 32 - k)

    def _randbelow(self, n: int) -> int:
        return int(self.stream.next() * n)


class CounterGenerator:
    """numpy's Generator over a stream, as far as Albumentations' own choices and the batched transforms go.

    Any other method is that of a numpy Generator seeded from the stream: as reproducible, but with no twin
    in `Draws`.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def random(self, size: int | None = None) -> Any:
        return self.stream.next() if size is None else np.array([self.stream.next() for _ in range(size)])

    def uniform(self, low: float = 0.0, high: float = 1.0, size: int | None = None) -> Any:
        return low + (high - low) * self.random(size)

    def integers(self, low: ArrayLike, high: ArrayLike | None = None, size: int | None = None) -> Any:
        first, end = (np.asarray(0), np.asarray(low)) if high is None else (np.asarray(low), np.asarray(high))
        drawn = self.random(size) * (end - first)
        return int(first + int(drawn)) if size is None else first + drawn.astype(np.int64)

    def choice(
        self, a: int, size: int | None = None, replace: bool = True, p: ArrayLike | None = None
    ) -> Any:
        if p is not None:
            return _place(p, self.random(size))
        if replace:
            return self.integers(0, a, size)
        keys = np.array([self.stream.next() for _ in range(a)])
        return np.argsort(keys, kind="stable")[:size]

    def shuffle(self, x: MutableSequence[Any]) -> None:
        for last in range(len(x) - 1, 0, -1):
            other = int(self.stream.next() * (last + 1))
            x[last], x[other] = x[other], x[last]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(np.random.default_rng(int(self.stream.next() * 2**53)), name)


def _place(weights: ArrayLike, numbers: Any) -> Any:
    """numpy 2.4, random/_generator.pyx, `Generator.choice`: where in the running sum a number falls."""
    edges = np.cumsum(weights)
    return np.searchsorted(edges / edges[-1], numbers, side="right")


def counter_state(seed: int, epoch: int, index: int) -> tuple[CounterGenerator, CounterRandom]:
    """One image's stream for `A.Compose.set_random_state`.

    Args:
        seed: Of the run, 0 or more.
        epoch: From 0.
        index: The image's place in the epoch's unshuffled order.
    """
    stream = Stream(int(stream_keys(seed, epoch, [index])[0]))
    return CounterGenerator(stream), CounterRandom(stream)
