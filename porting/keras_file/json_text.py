"""Parses the JSON of a Keras file within bounds."""

from __future__ import annotations

import json
from typing import Any

from porting.keras_file.problems import KerasFileError, mapping

# A model of 2,000 layers has about 2 MB.
MAXIMUM_BYTES = 64 * 2**20
# A layer in a model in a model, four deep, has about 30.
_MAXIMUM_DEPTH = 200


def parse_object(text: str | bytes, where: str) -> dict[str, Any]:
    """The JSON object in `text`.

    Args:
        text: As the file has it; bytes are UTF-8.
        where: What the text is called in an error.

    Raises:
        KerasFileError: No JSON, no object, over 64 MB, nested over 200 deep, or a number of thousands of
            digits.
    """
    if len(text) > MAXIMUM_BYTES:
        raise KerasFileError(f"{where} has {len(text) / 2**20:.0f} MB, more than any model's: it is not read")
    too_deep = KerasFileError(f"{where} is nested deeper than any model: it is not read")
    try:
        parsed = json.loads(text, object_hook=_without_tuples)
    except RecursionError as error:
        raise too_deep from error
    except UnicodeDecodeError as error:
        raise KerasFileError(f"{where} is no text in UTF-8: the file is damaged") from error
    except ValueError as error:
        # The message of a JSONDecodeError quotes nothing of the text.
        raise KerasFileError(f"{where} is no JSON ({error}): the file is damaged") from error
    if _is_deeper(parsed, _MAXIMUM_DEPTH):
        raise too_deep
    return mapping(parsed, where)


def _without_tuples(thing: dict[str, Any]) -> Any:
    """Keras 3 and SavedModels write a tuple or a shape as an object with items: here it is a list."""
    is_tuple = thing.get("class_name") in ("__tuple__", "TensorShape") and isinstance(
        thing.get("items"), list
    )
    return thing["items"] if is_tuple else thing


def _is_deeper(parsed: Any, depth: int) -> bool:
    level = [parsed]
    for _ in range(depth):
        inner: list[Any] = []
        for thing in level:
            if isinstance(thing, dict):
                inner += thing.values()
            elif isinstance(thing, list):
                inner += thing
        if not inner:
            return False
        level = inner
    return True
