"""numpy and pandas where they are installed, and plain Python where they are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any


def numpy() -> Any:
    """The module numpy, or None."""
    try:
        import numpy
    except ImportError:
        return None
    return numpy


def pandas() -> Any:
    """The module pandas, or None."""
    try:
        import pandas
    except ImportError:
        return None
    return pandas


def array(nested: Any) -> Any:
    """Nested lists of numbers as a numpy array of float64 with NaN for None; as they are without numpy."""
    np = numpy()
    return nested if np is None else np.array(nested, dtype=float)


def table(rows: Sequence[Any], kind: type) -> Any:
    """Dataclass instances of one kind as a DataFrame with its fields as columns; as a list without pandas."""
    pd = pandas()
    return list(rows) if pd is None else pd.DataFrame([vars(row) for row in rows], columns=[field.name for field in fields(kind)])


def mean(nested: Sequence[Any]) -> Any:
    """The mean over the first axis of nested lists of one shape; an item with None anywhere is None there."""
    if isinstance(nested[0], (list, tuple)):
        return [mean(items) for items in zip(*nested)]
    return None if any(number is None for number in nested) else sum(nested) / len(nested)


def shape(nested: Any) -> tuple[int, ...]:
    """The lengths of nested lists or of an array, axis by axis."""
    if hasattr(nested, "shape"):
        return tuple(nested.shape)
    return (len(nested), *shape(nested[0])) if isinstance(nested, (list, tuple)) and nested else ()
