"""Inside the sandbox, on both sides of a function test: Python values as lines of JSON. Standard library only.

Values travel as copies of plain types: what arrives has no method of the sender's. All else travels as a handle, a number that means
something to its owner alone. A subclass of a plain type arrives as the plain type.
"""

import collections
import datetime
import decimal
import fractions
import json
import os

MAX_LINE = 1 << 25


class Wire:
    """One line a message. `handle` turns an object without plain type into JSON, `resolve` such JSON into an object."""

    def __init__(self, handle, resolve):
        self._handle, self._resolve = handle, resolve
        self._reader, self._writer = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
        nothing = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)

    def send(self, message):
        self._writer.write(json.dumps(message).encode() + b"\n")
        self._writer.flush()

    def receive(self):
        line = self._reader.readline(MAX_LINE)
        if not line.endswith(b"\n"):
            raise EOFError("the other side has ended" if len(line) < MAX_LINE else "an answer of more than 32 MiB")
        return json.loads(line)

    def encode(self, value):
        kind = type(value)
        if value is None or kind is bool or kind is str or kind is float:
            return value
        if kind is int:
            return value if -(2**53) < value < 2**53 else {"int": hex(value)}
        if kind is list:
            return [self.encode(item) for item in value]
        if kind is tuple or kind is set or kind is frozenset:
            return {kind.__name__: [self.encode(item) for item in value]}
        if kind is dict:
            return {"dict": self._pairs(value)}
        if kind in (bytes, bytearray):
            return {kind.__name__: bytes(value).hex()}
        if kind is complex:
            return {"complex": [value.real, value.imag]}
        if kind is range:
            return {"range": [self.encode(value.start), self.encode(value.stop), self.encode(value.step)]}
        if kind is collections.deque:
            return {"deque": [[self.encode(item) for item in value], value.maxlen]}
        if kind in (collections.OrderedDict, collections.Counter):
            return {kind.__name__: self._pairs(value)}
        if kind in (decimal.Decimal, fractions.Fraction):
            return {kind.__name__: str(value)}
        if kind in (datetime.date, datetime.datetime, datetime.time):
            return {kind.__name__: value.isoformat()}
        if kind is datetime.timedelta:
            return {"timedelta": [value.days, value.seconds, value.microseconds]}
        return self._of_subclass(value)

    def _pairs(self, value):
        return [[self.encode(key), self.encode(item)] for key, item in dict.items(value)]

    def _of_subclass(self, value):
        kind = type(value)
        if issubclass(kind, int):
            return self.encode(int.__add__(value, 0))
        if issubclass(kind, float):
            return float.__add__(value, 0.0)
        if issubclass(kind, str):
            return str.__str__(value)
        for plain in (tuple, list, set, frozenset):
            if issubclass(kind, plain):
                return self.encode(plain(plain.__iter__(value)))
        if issubclass(kind, dict):
            return {"dict": self._pairs(value)}
        return self._handle(value)

    def decode(self, data):
        if isinstance(data, list):
            return [self.decode(item) for item in data]
        if not isinstance(data, dict):
            return data
        ((tag, inner),) = data.items()
        if tag == "int":
            return int(inner, 16)
        if tag in ("tuple", "set", "frozenset"):
            return {"tuple": tuple, "set": set, "frozenset": frozenset}[tag](self.decode(item) for item in inner)
        if tag in ("dict", "OrderedDict", "Counter"):
            kind = {"dict": dict, "OrderedDict": collections.OrderedDict, "Counter": collections.Counter}[tag]
            result = kind()
            for key, item in inner:
                result[self.decode(key)] = self.decode(item)
            return result
        if tag in ("bytes", "bytearray"):
            return {"bytes": bytes, "bytearray": bytearray}[tag].fromhex(inner)
        if tag == "complex":
            return complex(*inner)
        if tag == "range":
            return range(*(self.decode(item) for item in inner))
        if tag == "deque":
            return collections.deque((self.decode(item) for item in inner[0]), inner[1])
        if tag == "Decimal":
            return decimal.Decimal(inner)
        if tag == "Fraction":
            return fractions.Fraction(inner)
        if tag in ("date", "datetime", "time"):
            return {"date": datetime.date, "datetime": datetime.datetime, "time": datetime.time}[tag].fromisoformat(inner)
        if tag == "timedelta":
            return datetime.timedelta(*inner)
        return self._resolve(tag, inner)
