"""Reads protocol buffer messages by their wire format, without their schemas.

Of TensorFlow's messages a Keras SavedModel needs five, and of those a dozen fields; TensorFlow's own classes
come with TensorFlow only. The format: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections import defaultdict

from porting.keras_file.problems import KerasFileError

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_CUT_OFF = "a protocol buffer message in it is damaged or cut off: save the model again"


class Message:
    """A message's fields by number: whole numbers, and bytes for strings and inner messages.

    Args:
        encoded: The message.

    Raises:
        KerasFileError: It is no message.
    """

    def __init__(self, encoded: bytes) -> None:
        self._fields: dict[int, list[int | bytes]] = defaultdict(list)
        place = 0
        while place < len(encoded):
            tag, place = read_varint(encoded, place)
            kind = tag & 7
            if kind == _VARINT:
                value, place = read_varint(encoded, place)
                self._fields[tag >> 3].append(value)
                continue
            if kind == _LENGTH:
                length, place = read_varint(encoded, place)
            elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
                length = 8 if kind == _EIGHT_BYTES else 4
            else:
                raise KerasFileError(_CUT_OFF)
            if place + length > len(encoded):
                raise KerasFileError(_CUT_OFF)
            self._fields[tag >> 3].append(encoded[place : place + length])
            place += length

    def number(self, field: int) -> int:
        """The last value of a whole-number field, 0 where there is none."""
        values = [value for value in self._fields.get(field, ()) if isinstance(value, int)]
        return values[-1] if values else 0

    def data(self, field: int) -> bytes:
        """The last value of a field of bytes, empty where there is none."""
        values = [value for value in self._fields.get(field, ()) if isinstance(value, bytes)]
        return values[-1] if values else b""

    def text(self, field: int) -> str:
        """The last value of a field of text."""
        return self.data(field).decode("utf-8", errors="replace")

    def messages(self, field: int) -> list[Message]:
        """Every value of a field of messages."""
        return [Message(value) for value in self._fields.get(field, ()) if isinstance(value, bytes)]


def read_varint(encoded: bytes, place: int) -> tuple[int, int]:
    """A whole number of 64 bits at most, and the place behind it.

    Raises:
        KerasFileError: The bytes end in it, or it is longer.
    """
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(encoded):
            break
        byte = encoded[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise KerasFileError(_CUT_OFF)
