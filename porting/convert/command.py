"""`python -m porting convert FILE --out FOLDER`: torch source, weights, and the proof that they are right."""

from __future__ import annotations

import argparse
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning_impl.keras_semantics.profile import KERAS3, PROFILES, TF24, Profile
from parity_common.command_errors import Stopped, UserError
from porting.convert.carried_over import count_layers, not_carried_over
from porting.convert.compiled import compiled_of
from porting.convert.conversion import convert_file
from porting.convert.folder import check_free, new_folder, write_conversion
from porting.custom import own_modules, parse_custom
from porting.keras_file import KerasFile, read_keras_file
from porting.output_shapes import Shape
from porting.proof import prove
from porting.proof.interpreters import installed_in
from porting.proof.report import write_report
from porting.proof.steps import steps_shown
from porting.proof.verdict import Proof

EXIT_PARTS, EXIT_NOT_PROVEN = 1, 3
_NOT_ENDED = "the comparison with Keras has not come to its end: convert the file again with --overwrite"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments, and what runs it."""
    parser.add_argument("file", type=Path, help=".h5, .hdf5, .keras, or a SavedModel folder")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="takes the converted model")
    parser.add_argument("--overwrite", action="store_true", help="replace the converted model in --out")
    parser.add_argument(
        "--architecture", type=Path, metavar="JSON", help="the model's JSON, for a file of weights alone"
    )
    parser.add_argument("--name", help="of the model's class; default: the file's name")
    parser.add_argument(
        "--profile", choices=sorted(PROFILES), help="whose rules hold; default: those of the file's Keras"
    )
    parser.add_argument(
        "--input-shape",
        action="append",
        default=[],
        metavar="H,W,C",
        help="Keras's shape of an input, in the place of the file's; ? leaves a side open; once an input",
    )
    parser.add_argument(
        "--custom",
        action="append",
        default=[],
        metavar="LAYER=MODULE:FUNCTION",
        help="a torch function of your own for a layer or a class of layers",
    )
    parser.add_argument(
        "--plain-torch", action="store_true", help="train with torch's own optimizer and loss"
    )
    parser.add_argument("--keras-python", metavar="PYTHON", help="the interpreter that has the model's Keras")
    parser.add_argument(
        "--keras", choices=("keras", "tf_keras", "tensorflow.keras"), help="which Keras loads the file"
    )
    parser.add_argument(
        "--trust-code", action="store_true", help="let Keras load a file that holds code, such as Lambda's"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Converts, compares with Keras, and returns 0 only where the comparison holds.

    Raises:
        UserError: The file cannot be read or converted, or --out not written.
    """
    check_free(arguments.out, arguments.overwrite)
    if arguments.keras_python is not None:
        installed_in(arguments.keras_python)
    custom = parse_custom(arguments.custom)
    own = own_modules(custom.values())
    shapes = [_shape(text) for text in arguments.input_shape]
    file = read_keras_file(arguments.file, arguments.architecture)
    profile = PROFILES[arguments.profile] if arguments.profile else profile_of(file)
    conversion = convert_file(file, profile, arguments.name or arguments.file.stem, custom, shapes)
    compiled = compiled_of(conversion, profile)
    with new_folder(arguments.out, arguments.overwrite) as folder:
        write_conversion(folder, conversion, compiled, profile, arguments.plain_torch, own)
        write_report(folder, file, Proof(why_not=_NOT_ENDED))
    print(
        f"{arguments.file}: {count_layers(conversion.program)}, {file.parameters:,} parameters; "
        f"model.py has {conversion.text.count(chr(10))} lines"
    )
    for line in not_carried_over(conversion, compiled):
        print(f"not carried over: {line}")
    print(f"{arguments.out} holds model.py, weights.safetensors and README.md, not yet proven", flush=True)
    with _stopped_in_one_line(arguments.out), steps_shown() as tell:
        proof = prove(
            file,
            conversion.program,
            conversion.net,
            keras_python=arguments.keras_python,
            keras=arguments.keras,
            trust_code=arguments.trust_code,
            architecture=arguments.architecture,
            out=arguments.out,
            tell=tell,
        )
    print(proof.line)
    print(f"{arguments.out / 'proof.html'} has every figure")
    if proof.why_not:
        return EXIT_NOT_PROVEN
    return 0 if proof.holds else EXIT_PARTS


@contextmanager
def _stopped_in_one_line(out: Path) -> Iterator[None]:
    """Ends a proof at Ctrl-C or SIGTERM, and its Keras with it.

    Raises:
        Stopped: One came.
    """

    def stop(number: int, _: object) -> None:
        remedy = "to prove it, convert again with --overwrite"
        raise Stopped(f"{out} is whole, but not proven; {remedy}", 128 + number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def profile_of(file: KerasFile) -> Profile:
    """The rules of the Keras that wrote the file."""
    return TF24 if file.keras_version.startswith(("1", "2")) else KERAS3


def _shape(text: str) -> Shape:
    if not re.fullmatch(r"(\d+|\?)(,(\d+|\?))*", text, re.ASCII):
        raise UserError(f"--input-shape {text}: expected sizes such as 64,64,3")
    return tuple(None if side == "?" else int(side) for side in text.split(","))
