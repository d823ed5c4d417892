"""How far a sweep is, shown while it is waited for: a line in a terminal, an output that updates itself in a notebook."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass
from typing import Any

from ._show import status_in_html


@dataclass(frozen=True)
class Progress:
    """How far a sweep is."""

    phase: str
    """`planning`, `caching`, `estimating`, `patching`, `assembling` or `done`."""
    tasks_done: int
    """Stored runs, each of a band of layers over a chunk of pairs, that are there."""
    tasks_total: int
    """How many there will be; 0 while planning."""
    tasks_reused: int
    """Of those done, how many were there already, from another sweep or another try."""
    patched_runs: int
    """Patched runs that were made for this sweep."""
    forward_passes: int
    """Prompts that were run for their activations."""
    heads_decided: int = 0
    """With the method `adaptive`, heads that are run no more."""
    heads_total: int = 0
    runs_made: int = 0
    """With the method `adaptive`, the runs that the decisions took so far, each of a head on a pair."""
    runs_of_exact: int = 0
    """The runs that an exact sweep takes."""

    @property
    def fraction(self) -> float:
        """The share of the work that is done, 0 to 1."""
        if self.heads_total:
            return self.heads_decided / self.heads_total
        return self.tasks_done / self.tasks_total if self.tasks_total else 1.0 if self.phase == "done" else 0.0

    @staticmethod
    def of(answer: dict[str, Any]) -> Progress:
        return Progress(
            answer["phase"],
            answer.get("tasksDone", 0),
            answer.get("tasksTotal", 0),
            answer.get("tasksReused", 0),
            answer.get("patchedRuns", 0),
            answer.get("forwardPasses", 0),
            answer.get("headsDecided", 0),
            answer.get("headsTotal", 0),
            answer.get("runsMade", 0),
            answer.get("runsOfExact", 0),
        )

    def __str__(self) -> str:
        if self.heads_total:
            return f"{self.phase} {self.heads_decided} of {self.heads_total} heads decided by {self.runs_made:,} of {self.runs_of_exact:,} runs"
        done = f" {self.tasks_done} of {self.tasks_total} runs ({self.fraction:.0%})" if self.tasks_total else ""
        return f"{self.phase}{done}"


class Display:
    """Shows nothing: what is used where nobody looks."""

    def show(self, sweep: Any) -> None:
        """Called after each look at the sweep."""

    def close(self) -> None:
        """Called when it is not waited for any more."""


class _Line(Display):
    """One line on standard error, written over again and again."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._shown = False

    def show(self, sweep: Any) -> None:
        seconds = int(time.monotonic() - self._started)
        line = f"{sweep.id} {sweep.status_text}, {seconds // 60}:{seconds % 60:02}"
        sys.stderr.write("\r\x1b[K" + line[: shutil.get_terminal_size().columns - 1])
        sys.stderr.flush()
        self._shown = True

    def close(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


class _Notebook(Display):
    """An output of the cell that is replaced as the sweep goes on, and empty in the end: the sweep then shows itself."""

    def __init__(self, ipython: Any) -> None:
        self._html = ipython.display.HTML
        self._handle = ipython.display.display(self._html(""), display_id=True)

    def show(self, sweep: Any) -> None:
        self._handle.update(self._html(status_in_html(sweep)))

    def close(self) -> None:
        self._handle.update(self._html(""))


def choose(wanted: bool | None) -> Display:
    """What shows the progress here: a notebook's output, a terminal's line, or nothing. `wanted` False: nothing anywhere."""
    if wanted is False:
        return Display()
    ipython = sys.modules.get("IPython")  # whoever is in a notebook has imported it
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None and hasattr(shell, "kernel"):
        return _Notebook(ipython)
    return _Line() if sys.stderr.isatty() else Display()
