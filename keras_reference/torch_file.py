"""Reads the tensors of a file that torch.save wrote up to version 1.5, with numpy alone.

torch 1.5 serialization.py, `_legacy_save`: a magic number, a protocol, the machine's sizes, the object, the
names of its storages, and then their numbers, each a pickle of its own but the last.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Tensors(pickle.Unpickler):
    """Names tensors and where their numbers lie; knows nothing else that a pickle might name."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, tuple[np.dtype, int]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _place
        if module == "torch" and name in DTYPES:
            return name
        raise ValueError(f"it names {module}.{name}, which no file of weights needs")

    def persistent_load(self, saved: Any) -> str:
        _, kind, key, _, count, _ = saved
        self.storages[key] = DTYPES[kind], count
        return key


def _place(key: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> tuple:
    return key, offset, shape, strides


def read_tensors(path: Path) -> dict[str, NDArray]:
    """The arrays of a state dict by name, in the file's order; of torch's axes.

    Args:
        path: The file.

    Raises:
        ValueError: It is no such file, or names more than tensors.
    """
    with path.open("rb") as file:
        try:
            head = [_Tensors(file).load() for _ in range(3)]
            if head[:2] != [MAGIC, PROTOCOL] or not head[2]["little_endian"]:
                raise ValueError("it is not of torch.save before version 1.6")
            tensors = _Tensors(file)
            places = tensors.load()
            storages = {}
            for key in _Tensors(file).load():
                dtype, count = tensors.storages[key]
                if int(np.fromfile(file, "<i8", 1)[0]) != count:
                    raise ValueError(f"storage {key} has another length than its tensors")
                storages[key] = np.fromfile(file, dtype, count)
        except (pickle.UnpicklingError, EOFError, KeyError, IndexError, TypeError) as error:
            raise ValueError(f"it is damaged: {error}") from error
    return {name: _array(storages[place[0]], *place[1:]) for name, place in places.items()}


def _array(storage: NDArray, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> NDArray:
    bytes_apart = tuple(stride * storage.itemsize for stride in strides)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if last >= len(storage):
        raise ValueError("a tensor ends behind its storage")
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, bytes_apart).copy()
