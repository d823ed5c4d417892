"""Pairs of prompts in every form that a notebook has them in, as the API takes them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from .errors import Fault, InvalidRequest

MOST_PAIRS = 10_000
"""The most pairs of a request."""

_REQUIRED = ("clean", "corrupted", "correct", "incorrect")
_OPTIONAL = ("roles", "template")
_FILE_ENDINGS = (".jsonl", ".json", ".csv")
_LONGEST_LINE = 8 << 20
_MOST_FAULTS = 20

Prompt = Union[str, Sequence[int]]
Answers = Union[str, int, Sequence[Union[str, int]]]


@dataclass(frozen=True)
class Pair:
    """A clean prompt, on which the model behaves, and a corrupted one of the same number of tokens, on which it does not."""

    clean: Prompt
    """Text, or token ids (taken as they are)."""

    corrupted: Prompt

    correct: Answers
    """The one token with which the clean prompt goes on, mostly with a leading space (`" Mary"`), or its id; or several."""

    incorrect: Answers
    """The answer that it is measured against, or several."""

    roles: Mapping[str, int] | None = None
    """Token positions by their roles, such as `{"S2": 10, "END": -1}`; BOS counted, negative ones from the end."""

    template: str | None = None
    """What the pair was made from, the same text in all pairs of one form."""


PairsLike = Union[str, "os.PathLike[str]", Iterable[Union[Pair, Mapping[str, Any], Sequence[Any]]], Any, None]
"""A dataset's name, a file of JSON Lines, pairs (`Pair`, dictionaries or 4-tuples), or a pandas DataFrame."""


def to_body(pairs: PairsLike) -> dict[str, Any]:
    """The members of a request's body that say which pairs: `dataset`, or `pairs` with, of a file, its `name`; none for None.

    Raises InvalidRequest, which names each faulty line or pair.
    """
    if pairs is None:
        return {}
    if isinstance(pairs, os.PathLike) or (isinstance(pairs, str) and _is_file(pairs)):
        path = Path(pairs).expanduser()
        return {"pairs": _read_file(path), "name": path.name}
    if isinstance(pairs, str):
        return {"dataset": pairs}
    return {"pairs": _read_sequence(pairs)}


def reference_to_body(reference: PairsLike) -> Any:
    """What the option `reference` is in a request: a dataset's name or an array of pairs."""
    body = to_body(reference)
    return body.get("dataset", body.get("pairs"))


def plain(value: Any) -> Any:
    """A value of JSON: arrays and tensors (anything with `.tolist()`) and tuples become lists."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _is_file(text: str) -> bool:
    """Whether a text names a file, not a dataset: no dataset's name has a separator or such an ending."""
    return "/" in text or os.sep in text or text.lower().endswith(_FILE_ENDINGS)


def _read_file(path: Path) -> list[dict[str, Any]]:
    if path.suffix.lower() in (".json", ".csv"):
        raise InvalidRequest.of(
            str(path),
            "unsupported-format",
            "Only JSON Lines can be sent to a server. 'headpatch dataset show FILE --model MODEL --out pairs.jsonl' writes such a "
            "file from auto-circuit's .json and EAP-IG's .csv.",
        )
    pairs: list[dict[str, Any]] = []
    faults: list[Fault] = []
    try:
        with path.open(encoding="utf-8-sig") as lines:
            # A line is read in part only where it is too long to be one.
            for number, line in enumerate(iter(lambda: lines.readline(_LONGEST_LINE), ""), start=1):
                if len(pairs) > MOST_PAIRS or len(faults) > _MOST_FAULTS:
                    break
                if line.strip():
                    try:
                        pairs.append(_of_mapping(json.loads(line)))
                    except (ValueError, RecursionError) as error:
                        faults.append(Fault(f"{path}:{number}", "malformed", f"It is no line of JSON with a pair: {error}."))
    except UnicodeDecodeError:
        raise InvalidRequest.of(str(path), "malformed", "The file is not UTF-8 text.") from None
    except OSError as error:
        raise InvalidRequest.of(str(path), "not-found", f"The file cannot be read: {error.strerror}.") from None
    if faults:
        raise InvalidRequest(faults)
    return _bounded(pairs, str(path))


def _read_sequence(pairs: Any) -> list[dict[str, Any]]:
    if hasattr(pairs, "columns") and hasattr(pairs, "to_dict"):  # a DataFrame, without importing pandas
        missing = [column for column in _REQUIRED if column not in pairs.columns]
        if missing:
            columns = ", ".join(map(str, pairs.columns))
            raise InvalidRequest(
                [Fault(f"pairs.{column}", "missing", f"The DataFrame has no such column. It has: {columns}.") for column in missing]
            )
        known = [column for column in (*_REQUIRED, *_OPTIONAL) if column in pairs.columns]
        pairs = [{key: value for key, value in row.items() if not _is_nan(value)} for row in pairs[known].to_dict("records")]
    if isinstance(pairs, (Mapping, bytes)) or not isinstance(pairs, Iterable):
        raise InvalidRequest.of(
            "pairs", "malformed", f"Pairs are a dataset's name, a .jsonl file, a list of pairs or a DataFrame, not {type(pairs).__name__}."
        )

    read: list[dict[str, Any]] = []
    faults: list[Fault] = []
    for index, pair in enumerate(pairs):
        if index > MOST_PAIRS or len(faults) > _MOST_FAULTS:
            break
        try:
            read.append(_of_pair(pair))
        except ValueError as error:
            faults.append(Fault(f"pairs[{index}]", "malformed", f"{error}."))
    if faults:
        raise InvalidRequest(faults)
    return _bounded(read, "pairs")


def _bounded(pairs: list[dict[str, Any]], where: str) -> list[dict[str, Any]]:
    if not pairs:
        raise InvalidRequest.of(where, "missing", "There is no pair in it.")
    if len(pairs) > MOST_PAIRS:
        raise InvalidRequest.of(
            where,
            "too-large",
            f"There are more than {MOST_PAIRS:,} pairs, the most of a request. Put them into the server's store with "
            "'headpatch dataset push FILE NAME --store STORE', and sweep them with pairs_file=\"NAME\".",
        )
    return pairs


def _of_pair(pair: Any) -> dict[str, Any]:
    if isinstance(pair, Pair):
        return _of_mapping({name: getattr(pair, name) for name in (*_REQUIRED, *_OPTIONAL)})
    if isinstance(pair, Mapping):
        return _of_mapping(pair)
    if isinstance(pair, (list, tuple)) and len(pair) == 4:
        return _of_mapping(dict(zip(_REQUIRED, pair)))
    raise ValueError("A pair is a Pair, a dictionary, or a tuple (clean, corrupted, correct, incorrect)")


def _of_mapping(pair: Any) -> dict[str, Any]:
    if not isinstance(pair, Mapping):
        raise ValueError("A pair is an object with clean, corrupted, correct and incorrect")
    missing = [name for name in _REQUIRED if pair.get(name) is None]
    unknown = [name for name in pair if name not in _REQUIRED and name not in _OPTIONAL]
    if missing:
        raise ValueError(f"The pair has no {' and no '.join(missing)}")
    if unknown:
        raise ValueError(f"A pair has no '{unknown[0]}'. Known: {', '.join((*_REQUIRED, *_OPTIONAL))}")
    read = {name: plain(value) for name, value in pair.items() if value is not None}
    if isinstance(read.get("roles"), Mapping):
        read["roles"] = {role: plain(position) for role, position in read["roles"].items()}
    return read


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value
