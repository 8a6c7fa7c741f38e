"""Which part of a net a Keras file trains, and which stage of a fine-tuning that is."""

from __future__ import annotations

from collections.abc import Sequence

from lightning_impl.models.final import Final
from lightning_impl.module import Classifier
from parity_common.command_errors import UserError
from porting.carry_over.net import Carried, trained_in_file
from porting.keras_file import KerasFile

HEAD_ALONE, LAST_LAYERS = 1, 2


def first_trained(file: KerasFile) -> str:
    """The name of the first layer whose weights the file's optimizer trains.

    Raises:
        UserError: None is trained.
    """
    trained = {path for path, _ in trained_in_file(file)}
    for path in file.weights:
        if path in trained:
            return path[-1]
    raise UserError(
        f"{file.path} trains none of its layers: compile it after trainable was set, and save again"
    )


def trains_head_alone(file: KerasFile) -> bool:
    """Whether only the last layer with weights is trained."""
    return first_trained(file) == [path for path, arrays in file.weights.items() if arrays][-1][-1]


def check_stage(file: KerasFile, carried: Sequence[Carried], module: Classifier) -> int:
    """The stage of the config's training in which the file is; the module is left in the first.

    Args:
        file: Read.
        carried: Its weights in the module's net.
        module: Of the config.

    Raises:
        UserError: The file trains another part of the net.
    """
    in_file = trained_in_file(file)
    theirs = {each.name for each in carried if each.key in in_file}
    if module.fine_tune is None or not isinstance(module.net, Final):
        _check_same(file, theirs, _trained(module), carried, _remedy_without_stages(file, module))
        return HEAD_ALONE
    if trains_head_alone(file):
        _check_same(file, theirs, _trained(module), carried, "")
        return HEAD_ALONE
    module.net.freeze(module.fine_tune.unfreeze_from)
    remedy = "give --model.fine_tune null if the whole net trains; else BatchNormalization stays frozen here"
    _check_same(file, theirs, _trained(module), carried, remedy)
    module.net.freeze()
    return LAST_LAYERS


def _trained(module: Classifier) -> set[str]:
    return {name for name, parameter in module.net.named_parameters() if parameter.requires_grad}


def _check_same(
    file: KerasFile, theirs: set[str], ours: set[str], carried: Sequence[Carried], remedy: str
) -> None:
    for each in carried:
        if (each.name in theirs) != (each.name in ours):
            path, weight = each.key
            trains = "trains" if each.name in theirs else "does not train"
            raise UserError(
                f"{file.path} {trains} {'/'.join((*path, weight))}, otherwise than the config: "
                f"{remedy or 'no config here has that'}"
            )


def _remedy_without_stages(file: KerasFile, module: Classifier) -> str:
    if not isinstance(module.net, Final):
        return "no config here freezes layers of this net"
    layer = "LAYER" if trains_head_alone(file) else first_trained(file)
    return f"give --model.fine_tune '{{unfreeze_from: {layer}, start_epoch: 1}}', if it is frozen up to there"
