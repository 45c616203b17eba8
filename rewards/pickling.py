"""Batches and outcomes as bytes, for the pipe between a pool and its worker processes.

Frozen dataclasses with slots pickle by Python functions that look up their fields for every object, both ways, and `Connection.send` adds a
look-up in Python for each: together more than many verifiers take. Here a dataclass is its constructor and the values of its fields, a
quarter of the time; whatever else there is pickles as usual. `pickle.loads` reads it.
"""

import copyreg
import dataclasses
import io
import pickle
from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeAlias

_Reducer: TypeAlias = Callable[[Any], Any]


def dumps(value: object) -> memoryview:
    """What is the same object in several places is one object again in all of them."""
    buffer = io.BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(value)
    return buffer.getbuffer()


class _Reducers(dict[type, _Reducer]):
    """By type, made when first needed. `KeyError` says that a type pickles in its own way."""

    def __missing__(self, kind: type) -> _Reducer:
        if kind in copyreg.dispatch_table or not _is_made_of_its_fields(kind):
            return copyreg.dispatch_table[kind]
        self[kind] = _reducer(kind, [field.name for field in dataclasses.fields(kind)])
        return self[kind]


class _Pickler(pickle.Pickler):
    dispatch_table = _Reducers()


def _is_made_of_its_fields(kind: type) -> bool:
    """Not a class that merely inherits from a dataclass, or that says itself how it pickles."""
    if "__dataclass_fields__" not in kind.__dict__ or any("__reduce__" in base.__dict__ for base in kind.__mro__[:-1]):
        return False
    return all(field.init and not field.kw_only for field in dataclasses.fields(kind))


def _reducer(kind: type, names: list[str]) -> _Reducer:
    if not names:
        return lambda value: (kind, ())
    fields = attrgetter(*names)
    if len(names) == 1:
        return lambda value: (kind, (fields(value),))
    return lambda value: (kind, fields(value))
