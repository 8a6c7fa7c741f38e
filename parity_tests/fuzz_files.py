"""Inspects or converts damaged Keras files, one after the other, in a fork: what each comes to, as JSON.

    python -m parity_tests.fuzz_files inspect FOLDER COUNT SEED

makes COUNT damaged copies of sound files, by a seeded random generator, and runs `inspect FILE --json OUT`
on each; `convert` in its place does all of `convert FILE --out OUT` but the comparison with Keras. The HDF5
library is called in this program's fork: a child of its own for each file would cost minutes. Where the
library ends the fork, it would have ended that child, and a new fork goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from parity_common.command_errors import UserError
from parity_tests.keras_file_makers import (
    CHAIN_WEIGHTS,
    FUNCTIONAL_WEIGHTS,
    chain_config,
    describe_here,
    functional_config,
    sequential_config,
    weights_h5,
    write_archive,
    write_h5,
)
from porting import inspect_file
from porting.convert.command import profile_of
from porting.convert.compiled import compiled_of
from porting.convert.conversion import convert_file
from porting.convert.folder import new_folder, write_conversion
from porting.keras_file import hdf5, read_keras_file

SECONDS = 10
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**70,
    1e308,
    float("nan"),
    "",
    "x" * 100_000,
    "../../../etc/passwd",
    "\x1b]0;title\x07\ud800",
    [],
    {},
    [[[[None]]]],
    ["conv", 0, 0],
    {"class_name": "__keras_tensor__", "config": {"keras_history": ["conv", 9, 9]}},
)


def damaged(folder: Path, number: int, chance: random.Random, command: str) -> Path:
    """One damaged file, of one of the sound kinds, in one of the ways."""
    ways = WAYS[command]
    return ways[number % len(ways)](folder, chance)


def _odd_chain(folder: Path, chance: random.Random) -> Path:
    """A model of many layers that have rules."""
    return write_h5(
        folder / "damaged.h5",
        _odd(chain_config(), chance),
        CHAIN_WEIGHTS,
        training_config=_odd(_training(), chance) if chance.random() < 0.3 else _training(),
    )


def _odd_h5(folder: Path, chance: random.Random) -> Path:
    return write_h5(
        folder / "damaged.h5", _odd(sequential_config(), chance), training_config=_odd(_training(), chance)
    )


def _odd_archive(folder: Path, chance: random.Random) -> Path:
    return write_archive(folder / "damaged.keras", _odd(functional_config(), chance))


def _flipped_member(folder: Path, chance: random.Random) -> Path:
    """Bits turned inside the archive, under a right checksum."""
    member = _flip(weights_h5(FUNCTIONAL_WEIGHTS), chance)
    return write_archive(folder / "damaged.keras", functional_config(), member)


def _cut(folder: Path, chance: random.Random) -> Path:
    path = _sound(folder, chance)
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content))])
    return path


def _flipped(folder: Path, chance: random.Random) -> Path:
    path = _sound(folder, chance)
    path.write_bytes(_flip(path.read_bytes(), chance))
    return path


def _sound(folder: Path, chance: random.Random) -> Path:
    if chance.random() < 0.3:
        return write_archive(folder / "damaged.keras")
    return write_h5(folder / "damaged.h5", training_config=_training())


def _training() -> dict[str, Any]:
    return {
        "loss": "mse",
        "metrics": ["accuracy"],
        "optimizer_config": {"class_name": "Adam", "config": {"lr": 1e-3}},
    }


def _flip(content: bytes, chance: random.Random) -> bytes:
    turned = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 16, 64))):
        turned[chance.randrange(len(turned))] ^= 1 << chance.randrange(8)
    return bytes(turned)


WAYS: dict[str, tuple[Callable[[Path, random.Random], Path], ...]] = {
    "inspect": (_odd_h5, _odd_archive, _flipped_member, _cut, _flipped),
    # What cannot be read is inspect's affair.
    "convert": (_odd_chain, _odd_chain, _odd_chain, _odd_archive, _flipped_member),
}


def _odd(config: Any, chance: random.Random) -> Any:
    """A JSON thing with one to three of its values replaced, removed or put elsewhere."""
    changed = json.loads(json.dumps(config))
    for _ in range(chance.choice((1, 1, 2, 3))):
        places = list(_places(changed))
        holder, key = chance.choice(places)
        way = chance.random()
        if way < 0.2 and isinstance(holder, dict):
            del holder[key]
        elif way < 0.4:
            other_holder, other_key = chance.choice(places)
            holder[key] = (
                json.loads(json.dumps(other_holder[other_key])) if other_key in _keys(other_holder) else None
            )
        else:
            holder[key] = copy.deepcopy(chance.choice(ODD_VALUES))
    return changed


def _keys(holder: Any) -> Any:
    return holder if isinstance(holder, dict) else range(len(holder))


def _places(thing: Any) -> Any:
    keys = thing if isinstance(thing, dict) else range(len(thing)) if isinstance(thing, list) else ()
    for key in keys:
        yield thing, key
        yield from _places(thing[key])


def run_from(command: str, first: int, count: int, folder: Path, seed: int, said: int) -> None:
    """Runs in a fork: takes the files from number `first`, a line about each to the descriptor `said`."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    hdf5._ask_child = lambda file, scratch: _describe(file, scratch, said)
    for number in range(first, count):
        path = damaged(folder, number, random.Random(f"{seed}/{number}"), command)
        out = folder / "out.json"
        os.write(said, f"{number} ".encode())
        # Ends the fork: processor time, so that a busy machine makes no difference.
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        state, text = COMMANDS[command](path, out)
        signal.setitimer(signal.ITIMER_PROF, 0)
        line = json.dumps({"state": state, "said": text[-3000:], "wrote": out.exists()})
        os.write(said, f"{line}\n".encode())
        path.rename(folder / f"kept-{number}{path.suffix}") if state == "failed" else path.unlink()
        shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)


def _inspect(path: Path, out: Path) -> tuple[str, str]:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            inspect_file.run(argparse.Namespace(file=path, architecture=None, json=out))
            for _, array in read_keras_file(path).named_weights():
                array.read()
    except UserError as error:
        return "refused", str(error)
    except BaseException:
        return "failed", traceback.format_exc()
    return "read", ""


def _convert(path: Path, out: Path) -> tuple[str, str]:
    try:
        file = read_keras_file(path)
        profile = profile_of(file)
        conversion = convert_file(file, profile, path.stem)
        with new_folder(out, overwrite=False) as folder:
            write_conversion(folder, conversion, compiled_of(conversion, profile), profile, plain=False)
    except UserError as error:
        return "refused", str(error)
    except BaseException:
        return "failed", traceback.format_exc()
    return "read", ""


COMMANDS = {"inspect": _inspect, "convert": _convert}


def _describe(file: int, scratch: int, said: int) -> dict[str, Any]:
    os.write(said, b"hdf5 ")
    answer = describe_here(file, scratch)
    os.write(said, b"answered ")
    return answer


def main() -> None:
    """One line of JSON a file. A file that fails, or ends the HDF5 library, is kept in the folder."""
    command, folder, count, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    os.chdir(folder)
    number = 0
    while number < count:
        reader, writer = os.pipe()
        fork = os.fork()
        if fork == 0:
            run_from(command, number, count, folder, seed, writer)
            os._exit(0)
        os.close(writer)
        first = number
        with os.fdopen(reader, encoding="utf-8") as lines:
            for line in lines:
                steps, bracket, result = line.partition("{")
                if not bracket:
                    # The fork ended in the middle of this file.
                    (path,) = folder.glob("damaged.*")
                    path.rename(folder / f"kept-{number}{path.suffix}")
                    state = "hdf5 ended" if steps.split()[-1] == "hdf5" else "failed"
                    result = json.dumps({"state": state, "said": steps, "wrote": False})[1:]
                print(f'{{"number": {number}, {result.strip()}', flush=True)
                number += 1
        os.waitpid(fork, 0)
        if number == first:
            raise SystemExit(f"the damage of file {number} could not be made: run it alone")


if __name__ == "__main__":
    main()
