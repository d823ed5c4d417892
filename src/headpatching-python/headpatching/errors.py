"""What can go wrong, as exceptions. All are `HeadPatchingError`; none ever holds a key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_MOST_SHOWN = 20


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a request."""

    where: str
    """Its place: an option (`patch`), a JSON path (`pairs[3].clean`), or a line of a file (`pairs.jsonl:4`)."""

    kind: str
    """A stable word for the kind of fault, such as `unknown-model`."""

    message: str
    """What is wrong and what to do."""

    def __str__(self) -> str:
        return f"{self.where}: {self.message} ({self.kind})"


class HeadPatchingError(Exception):
    """What every error of this package is."""


class InvalidRequest(HeadPatchingError):
    """The request cannot be swept. Printed, it has a line for each of `faults`."""

    def __init__(self, faults: Sequence[Fault], title: str = "The request cannot be swept.") -> None:
        self.faults = list(faults)
        super().__init__("\n  ".join([title, *_lines(self.faults)]))

    @classmethod
    def of(cls, where: str, kind: str, message: str) -> InvalidRequest:
        """That of a single fault."""
        return cls([Fault(where, kind, message)])


class NotFound(HeadPatchingError):
    """There is no such sweep, or nothing at all at this address."""


class Conflict(HeadPatchingError):
    """The sweep is not in a state in which this can be done."""


class NotFinished(Conflict):
    """The sweep has no result yet: `wait()` waits for it. Also: it was not finished within the `timeout` of `wait()`; it goes on."""


class TooManySweeps(HeadPatchingError):
    """As many sweeps wait for their turn as the server allows, also after some tries. Nothing was stored; try again later."""


class NotAllowed(HeadPatchingError):
    """The server wants a key, or another one than it was given."""


class ServerError(HeadPatchingError):
    """The server failed, or answered something that is not HeadPatching's API."""


class Unreachable(HeadPatchingError):
    """No server answers, or none could be started."""


class SweepFailed(HeadPatchingError):
    """The sweep has ended without a result: it failed, was cancelled, or its files are damaged."""

    def __init__(self, sweep_id: str, status: str, message: str, faults: Sequence[Fault] = ()) -> None:
        self.sweep_id = sweep_id
        self.status = status
        """`failed`, `cancelled` or `damaged`."""
        self.faults = list(faults)
        """What is wrong with its input, where that is why; at most 100."""
        super().__init__("\n  ".join([f"Sweep {sweep_id} {_HOW_IT_ENDED.get(status, status)} {message}".rstrip(), *_lines(self.faults)]))


_HOW_IT_ENDED = {"failed": "failed.", "cancelled": "was cancelled and has no result.", "damaged": "is damaged."}


def _lines(faults: Sequence[Fault]) -> list[str]:
    lines = [str(fault) for fault in faults[:_MOST_SHOWN]]
    if len(faults) > _MOST_SHOWN:
        lines.append(f"and {len(faults) - _MOST_SHOWN} more, in .faults")
    return lines
