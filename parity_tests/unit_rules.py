"""What makes a test a unit test: it asks no Keras and starts no process. Who breaks that is told so."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from parity_tests.full_tests import is_full

# Markers of tests that are not unit tests, with what they say in pyproject.toml.
OTHER_KINDS = (
    "keras",
    "process",
    "full",
    "fuzz",
    "lockstep",
    "bands",
    "final",
    "applications",
    "photographs",
)
# Fixtures that ask Keras, and those that start processes.
KERAS_FIXTURES = ("keras_installed", "traces", "training_traces", "data_traces", "keras_files", "converted")
PROCESS_FIXTURES = ("trained_run", "drawn")
ASKED_KERAS = "parity_tests.ask_keras"
"""The audit event of keras_oracle.ask_keras."""
_STARTS = ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system")
_KERAS_PACKAGES = ("keras", "tensorflow", "tf_keras")


def mark_kinds(item: pytest.Item) -> None:
    """Marks a test `full`, `keras`, `process` or, where nothing else is said, `unit`."""
    if is_full(item.nodeid):
        item.add_marker(pytest.mark.full)
    fixtures = getattr(item, "fixturenames", ())
    if any(name in fixtures for name in KERAS_FIXTURES):
        item.add_marker(pytest.mark.keras)
    if any(name in fixtures for name in PROCESS_FIXTURES):
        item.add_marker(pytest.mark.process)
    if not any(item.get_closest_marker(kind) for kind in OTHER_KINDS):
        item.add_marker(pytest.mark.unit)


class UnitRules:
    """Fails a unit test that asks Keras or starts a process."""

    def __init__(self) -> None:
        self.is_unit = False
        # An audit hook stays for the life of the process.
        sys.addaudithook(self._look)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.is_unit = item.get_closest_marker("unit") is not None
        try:
            return (yield)
        finally:
            self.is_unit = False

    def _look(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.is_unit:
            return
        if event in _STARTS or (event == "socket.connect" and isinstance(arguments[1], str)):
            # A server of processes is reached through a socket that has a path.
            raise RuntimeError(f"a unit test starts a process ({event}): mark it pytest.mark.process")
        if event == ASKED_KERAS or (event == "import" and arguments[0] in _KERAS_PACKAGES):
            raise RuntimeError(f"a unit test asks Keras ({event}): mark it pytest.mark.keras")
