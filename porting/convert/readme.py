"""README.md of a converted model: what it is, what was carried over and what was not."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from lightning_impl.keras_semantics.profile import Profile
from porting.carried_weights import layers_of
from porting.convert.carried_over import carried_over, not_carried_over, why_no_training
from porting.convert.compiled import Compiled, policies
from porting.convert.conversion import Conversion
from porting.convert.lightning_module import TEMPLATES, required_arguments
from porting.custom import OwnModule
from porting.differences import DIFFERENCES
from porting.output_shapes import shape_text
from porting.program import OPEN_SIDE
from porting.rules.augmentation import augments

_DISTRIBUTION = "keras-lightning-parity"
_BLOCK_BYTES = 1 << 20


def readme(
    conversion: Conversion,
    compiled: Compiled,
    profile: Profile,
    plain: bool,
    remain: Sequence[str],
    own: Sequence[OwnModule] = (),
) -> str:
    """The text.

    Args:
        conversion: The model.
        compiled: Its training.
        profile: The Keras generation whose rules hold.
        plain: Whether the training is with torch's own optimizer and loss.
        remain: What then differs from Keras's training.
        own: The modules of the user's own that model.py imports.
    """
    file, source = conversion.file, conversion.source
    no_training = why_no_training(conversion.program)
    inputs = conversion.program.inputs
    names = [f"x{place + 1}" for place in range(len(inputs))] if len(inputs) > 1 else ["x"]
    sizes = [", ".join(str(side or OPEN_SIDE) for side in (1, *value.torch_shape[1:])) for value in inputs]
    return TEMPLATES.get_template("README.md.jinja").render(
        model=source.class_name,
        file=file.path.name,
        format=file.format,
        keras_version=file.keras_version,
        sha256=sha256_of(file.path),
        version=version(_DISTRIBUTION),
        profile=profile.name,
        parameters=f"{file.parameters:,}",
        arrays=sum(len(arrays) for arrays in file.weights.values()),
        plain=plain,
        has_training=not no_training,
        augments=any(augments(layer) for _, layer in file.graph.walk()),
        half=bool(list(policies(file))),
        has_state=compiled.goes_on and not plain and not no_training,
        steps=compiled.optimizer.steps if compiled.goes_on and compiled.optimizer else 0,
        inputs="\n".join(f"{name} = torch.rand({size})" for name, size in zip(names, sizes, strict=True)),
        names=", ".join(names),
        gives_logits=source.gives_logits,
        keeps_inference=bool(compiled.frozen_norms) or "def train(" in conversion.text,
        takes=_takes(conversion),
        required=", ".join(f"{name}=…" for name in required_arguments(compiled, plain)),
        carried=carried_over(conversion, compiled),
        left=not_carried_over(conversion, compiled),
        differences=_differences(conversion),
        remain=remain,
        own=own,
        names_own=names_own(conversion),
    )


def names_own(conversion: Conversion) -> str:
    """The arguments of the command that give it the user's own functions, with a space before each."""
    custom = {
        statement.layer.name: statement.piece.custom
        for statement in conversion.program.walk()
        if statement.piece is not None and statement.piece.custom is not None
    }
    words = (f"{name}={each.module}:{each.function}" for name, each in custom.items())
    return "".join(f" --custom {shlex.quote(word)}" for word in words)


def sha256_of(path: Path) -> str:
    """Of a file; of a folder's files, one after the other in the order of their names."""
    found = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as opened:
                while block := opened.read(_BLOCK_BYTES):
                    found.update(block)
    return found.hexdigest()


def _takes(conversion: Conversion) -> Iterable[str]:
    program = conversion.program
    for ref, value in zip(program.graph.inputs, program.inputs, strict=True):
        turned = ""
        if value.order != tuple(range(len(value.order))):
            turned = f", Keras's `{shape_text(value.shape)}`.permute{value.order}"
        shape = f"`{shape_text(value.torch_shape)}`{turned}"
        yield f"Input {ref.layer}: {shape}; values as the Keras model takes them."
    for value in program.outputs:
        yield f"Output: `{shape_text(value.torch_shape)}`."


def _differences(conversion: Conversion) -> list[tuple[str, str, str]]:
    numbers = {number for _, piece in layers_of(conversion.program) for number in piece.differences}
    known = {difference.number: difference for difference in DIFFERENCES}
    return [(number, known[number].title, known[number].torch) for number in sorted(numbers)]
