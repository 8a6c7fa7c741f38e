"""The counter streams: a function of (seed, epoch, index, draw), the same for one image and for a batch."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from lightning_impl.augment.sampling import Draws, counter_state, numbers_at, stream_keys

COUNT = 2_000


def draws() -> Draws:
    return Draws(stream_keys(5, 2, np.arange(COUNT)))


def test_streams_are_known_numbers() -> None:
    """Another machine, another numpy: the same augmentations. The numbers pin the definition."""
    assert [f"{key:016x}" for key in stream_keys(2021, 0, [0, 1])] == ["eb0319f02e0b47f8", "58f7e58e8b926c91"]
    assert draws().random(np.arange(2)).tolist() == [0.9205061071413229, 0.40113103591366417]


@pytest.mark.parametrize("part", ["seed", "epoch", "index", "draw"])
def test_every_part_changes_the_numbers(part: str) -> None:
    base = {"seed": 5, "epoch": 2, "index": 7, "draw": 0}
    numbers = []
    for value in range(50):
        given = base | {part: value}
        one = Draws(stream_keys(given["seed"], given["epoch"], [given["index"]]))
        numbers.append([one.random(one.all_rows)[0] for _ in range(given["draw"] + 1)][-1])
    assert len(set(numbers)) == 50


def test_numbers_are_uniform_and_independent() -> None:
    batch = draws()
    drawn = np.stack([batch.random(batch.all_rows) for _ in range(20)])
    assert kstest(drawn.ravel(), "uniform").pvalue > 1e-3
    # Between draws of an image, and between images that follow each other.
    between_draws = np.corrcoef(drawn)[np.triu_indices(20, 1)]
    assert np.abs(between_draws).max() < 5 / np.sqrt(COUNT)
    assert abs(np.corrcoef(drawn[:, :-1].ravel(), drawn[:, 1:].ravel())[0, 1]) < 5 / np.sqrt(drawn.size)
    # Nor between epochs and seeds next to each other, which a sum of the parts would make the same streams.
    for other in (stream_keys(5, 3, np.arange(COUNT)), stream_keys(6, 1, np.arange(COUNT))):
        assert not set(other.tolist()) & set(batch.keys.tolist())


def test_one_image_draws_what_the_batch_draws() -> None:
    """Every kind of draw, in a row, with images that take part in different draws."""
    batch, rows = draws(), np.arange(COUNT)
    odd = rows[1::2]
    drawn = [
        batch.uniform(-3.5, 8.25, rows),
        batch.randint(2, 9, rows),
        batch.random(odd),
        batch.weighted([0.2, 0.5, 0.3], rows),
        batch.orders(4, rows),
        batch.distinct(5, 3, rows),
        batch.below(np.where(rows % 3 == 0, 4, 11), rows),
    ]
    for index in range(COUNT):
        generator, python = counter_state(5, 2, index)
        assert python.uniform(-3.5, 8.25) == drawn[0][index]
        assert python.randint(2, 9) == drawn[1][index]
        if index % 2:
            assert python.random() == drawn[2][index // 2]
        assert generator.choice(3, p=[0.2, 0.5, 0.3]) == drawn[3][index]
        order = [0, 1, 2, 3]
        generator.shuffle(order)
        assert order == drawn[4][index].tolist()
        assert generator.choice(5, size=3, replace=False).tolist() == drawn[5][index].tolist()
        assert generator.integers(0, 4 if index % 3 == 0 else 11) == drawn[6][index]
        assert python.stream.drawn == batch.drawn[index]


def test_several_numbers_are_the_streams_next() -> None:
    """Of all images at the same place, of some of them, and beyond the numbers worked out ahead."""
    keys = stream_keys(7, 2, np.arange(6))
    draws, streams, some = Draws(keys), numbers_at(keys[:, None], np.arange(100)), np.array([4, 1])
    places = np.zeros(6, int)
    for rows in (draws.all_rows, some, draws.all_rows, some, draws.all_rows):
        for count in (1, 0, 3, 9):
            expected = [streams[row, places[row] : places[row] + count] for row in rows]
            assert np.array_equal(draws.several(count, rows), expected)
            places[rows] += count


def test_choices_are_as_likely_as_they_should_be() -> None:
    batch = Draws(stream_keys(1, 0, np.arange(20_000)))
    rows = batch.all_rows
    share = np.bincount(batch.weighted([1, 2, 1], rows)) / 20_000
    assert np.abs(share - [0.25, 0.5, 0.25]).max() < 0.02
    first = np.bincount(batch.orders(4, rows)[:, 0], minlength=4) / 20_000
    assert np.abs(first - 0.25).max() < 0.02
    pairs = batch.distinct(4, 2, rows)
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert (
        np.abs(np.bincount(pairs[:, 0] * 4 + pairs[:, 1], minlength=16) / 20_000 - 1 / 12)[[1, 6, 11]].max()
        < 0.01
    )


def test_methods_without_a_twin_are_reproducible() -> None:
    """Albumentations' other transforms, in workers: numpy's own methods, seeded by the stream."""
    values = [counter_state(1, 2, index)[0].normal(0, 1, 5).tolist() for index in (0, 1, 0)]
    assert values[0] == values[2] != values[1]
