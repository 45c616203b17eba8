"""Single numbers and texts as data files hold them."""

import math

from tasks.errors import RowError, short


def is_empty(value: object) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, list | tuple) and all(is_empty(item) for item in value))


def text_of(value: object, what: str) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int | float) and not isinstance(value, bool) and (isinstance(value, int) or math.isfinite(value)):
        return str(value)
    raise RowError(f"{what} is a text or a number, not {short(value)}")


def finite(value: object) -> float:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    raise RowError(f"{short(value)} is not a number")
