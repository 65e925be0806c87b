"""The door: what a user hands in is checked here, once, before anything is computed or changed.

Every message says what was given, what is accepted, and what to do.
"""

from portable_nn.checks.arrays import (
    check_dtype,
    check_one_dtype,
    check_one_place,
    check_owner,
    check_values,
)
from portable_nn.checks.data import Given
from portable_nn.checks.numbers import (
    BELOW_ONE,
    NONNEGATIVE,
    POSITIVE,
    REAL,
    UP_TO_ONE,
    Interval,
    PerNetwork,
    Value,
    along_stack,
    as_array,
    check_flag,
    check_number,
    check_stack,
    check_value,
    check_whole,
    is_zero,
    store_values,
)
from portable_nn.checks.scheduled import check_scheduled, is_schedule

__all__ = [
    "BELOW_ONE",
    "NONNEGATIVE",
    "POSITIVE",
    "REAL",
    "UP_TO_ONE",
    "Given",
    "Interval",
    "PerNetwork",
    "Value",
    "along_stack",
    "as_array",
    "check_dtype",
    "check_flag",
    "check_number",
    "check_one_dtype",
    "check_one_place",
    "check_owner",
    "check_scheduled",
    "check_stack",
    "check_value",
    "check_values",
    "check_whole",
    "is_schedule",
    "is_zero",
    "store_values",
]
