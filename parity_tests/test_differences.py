"""Every difference is a seeded fault: put into the port, it is caught at its rung. The page tells of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import groupby

import pytest
from _pytest.mark import ParameterSet
from conftest import REPOSITORY, DataTraces, FindTrace

from parity_tests.training_ports import PORTS
from porting.case import Case
from porting.data_rung import data
from porting.differences import DIFFERENCES, by_number
from porting.differences_page import Caught, outcome, page
from porting.ladder import climb

FAULTS = [
    (difference.number, profile, dtype)
    for difference in DIFFERENCES
    if difference.fault is not None or difference.data_fault is not None
    for profile in difference.profiles
    for dtype in difference.dtypes
]
PAGE = REPOSITORY / "docs" / "differences.md"

Seed = Callable[[str, str, str], Caught]


@pytest.fixture(scope="module")
def seeded(training_traces: FindTrace, data_traces: DataTraces) -> Seed:
    """Puts a fault into its port and climbs; each once."""

    @cache
    def find(number: str, profile: str, dtype: str) -> Caught:
        difference = by_number(number)
        if difference.data_fault is not None:
            trace, folder = data_traces(profile, "whitened" if number == "D40" else "all")
            found = data(trace, difference.data_fault(trace), folder)
            return Caught("" if found.holds else found.name, found.layer, False, False, False)
        trace = training_traces(difference.case, profile, dtype)
        cases: list[Case] = []

        def put(case: Case) -> None:
            assert difference.fault is not None
            difference.fault(case)
            cases.append(case)

        results = climb(trace, PORTS[difference.case], put)
        return outcome(trace, cases[0], results)

    return find


def in_every_way() -> Iterator[ParameterSet]:
    """Each fault once, in the precision that other quick tests record; its other ways wait for full."""
    for _, ways in groupby(FAULTS, key=lambda fault: fault[0]):
        first, *others = sorted(ways, key=lambda fault: fault[2] != "float64")
        yield pytest.param(*first, id="-".join(first))
        for other in others:
            yield pytest.param(*other, id="-".join(other), marks=pytest.mark.full)


@pytest.mark.parametrize(("number", "profile", "dtype"), list(in_every_way()))
def test_fault_is_caught_at_its_rung(seeded: Seed, number: str, profile: str, dtype: str) -> None:
    caught = seeded(number, profile, dtype)
    assert caught.rung == by_number(number).rung
    if by_number(number).data_fault is not None:
        assert caught.layer == by_number(number).case


def test_page_says_what_was_found(seeded: Seed, request: pytest.FixtureRequest) -> None:
    text = page({key: seeded(*key) for key in FAULTS})
    if request.config.getoption("--write-pages"):
        PAGE.write_text(text, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == text, (
        "run pytest parity_tests/test_differences.py -m full --write-pages"
    )


def test_numbers_are_given_once_and_in_order() -> None:
    numbers = [difference.number for difference in DIFFERENCES]
    assert numbers == sorted(set(numbers))
    for difference in DIFFERENCES:
        assert difference.fault or difference.data_fault or difference.note, difference.number
