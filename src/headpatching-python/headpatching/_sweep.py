"""A sweep: where it stands, and what it found."""

from __future__ import annotations

import asyncio
import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from . import _circuit, _findings, _numbers, _options, _progress, _show
from ._circuit import Circuit, EdgeEffect, SetEffect
from ._findings import HeadEffect, PairEffect
from ._http import faults_of
from ._progress import Progress
from .errors import HeadPatchingError, NotFinished, NotFound, SweepFailed

if TYPE_CHECKING:
    from ._client import Client
    from ._compare import Comparison

FILES = {
    "results.json": "results",
    "heads.csv": "heads.csv",
    "heatmap.csv": "heatmap.csv",
    "heatmap.png": "heatmap.png",
    "heatmap.svg": "heatmap.svg",
    "effects.parquet": "effects.parquet",
    "report.html": "report",
}
"""The files of a finished sweep, as `headpatch sweep` names them, and the last part of their address."""

UNDER_WAY = ("queued", "running")
_FIRST_LOOK = 0.05
_LONGEST_LOOK = 3.0
_SECONDS_TO_CANCEL = 120.0


class Sweep:
    """A sweep on a server. Made by `sweep()`, `get()` and `sweeps()`, not by hand.

    What it found (`effects`, `heads`, `pairs`, ...) is there when it is completed; before, these raise NotFinished, and
    SweepFailed where it has ended without a result. A displayed sweep is its heatmap, or how far it is.
    """

    def __init__(self, client: Client, answer: dict[str, Any]) -> None:
        self.client = client
        """The client of its server."""
        self._answer = answer
        self._retry_after: float | None = None
        self._results: dict[str, Any] | None = None

    # -- where it stands

    @property
    def id(self) -> str:
        """Its id; `hp.get(id)` is this sweep, in whatever session."""
        return str(self._answer["id"])

    @property
    def model(self) -> str:
        """The model's name."""
        return str(self._answer.get("model", ""))

    @property
    def dataset(self) -> str:
        """The dataset's name, or what the pairs are called."""
        return str(self._answer.get("dataset", ""))

    @property
    def title(self) -> str:
        """What it does in a few words."""
        return str(self._answer.get("title") or f"Patching of {self._answer.get('patch', 'heads')}")

    @property
    def url(self) -> str:
        """Its address; the report is at `url + "/report"`."""
        return f"{self.client.url}{self._path}"

    @property
    def status(self) -> str:
        """`queued`, `running`, `completed`, `failed`, `cancelled` or `damaged`; asks the server until it has ended."""
        if self.is_under_way:
            self.refresh()
        return self._last_status

    @property
    def progress(self) -> Progress:
        """How far it was when the server was last asked (by `status`, `refresh()` or `wait()`)."""
        return Progress.of(self._answer["progress"])

    @property
    def error(self) -> str | None:
        """Why it failed, or what of it is damaged; None otherwise."""
        error = self._answer.get("error")
        return str(error["message"]) if error else None

    @property
    def is_under_way(self) -> bool:
        """Whether it was queued or running when the server was last asked."""
        return self._last_status in UNDER_WAY

    @property
    def status_text(self) -> str:
        """Where it stood when the server was last asked, in words."""
        return f"{self._last_status}: {self.progress}" if self._last_status == "running" else self._last_status

    def refresh(self) -> Sweep:
        """Asks the server where it stands. Raises NotFound where it was deleted."""
        answer = self.client.connection.get(self._path)
        self._answer, self._retry_after = answer.content, answer.retry_after
        return self

    def wait(self, timeout: float | None = None, *, progress: bool | None = None) -> Sweep:
        """Waits until it is completed, and returns it.

        timeout: seconds; None: as long as it takes.
        progress: False: show nothing. Otherwise a notebook's output, or a line on standard error if that is a terminal.

        Raises SweepFailed where it fails, was cancelled or is damaged, and NotFinished after `timeout`. Ctrl-C ends the
        waiting, not the sweep.
        """
        display = _progress.choose(progress)
        try:
            for pause in self._looks(timeout):
                display.show(self)
                time.sleep(pause)
        except KeyboardInterrupt:
            display.close()
            until = (
                " for as long as this session lives, and then stays where it is until it is asked for again" if self.client.is_own else ""
            )
            print(f"The sweep goes on{until}. hp.get({self.id!r}) is this sweep, and its cancel() ends it.", file=sys.stderr, flush=True)
            raise
        finally:
            display.close()
        return self._completed()

    async def wait_async(self, timeout: float | None = None, *, progress: bool | None = None) -> Sweep:
        """Like `wait()`, while other tasks go on. Cancelling the task ends the waiting, not the sweep."""
        display = _progress.choose(progress)
        looks = self._looks(timeout)
        try:
            while (pause := await asyncio.to_thread(lambda: next(looks, None))) is not None:
                display.show(self)
                await asyncio.sleep(pause)
        finally:
            display.close()
        return self._completed()

    def cancel(self) -> None:
        """Ends it where it is, within some seconds; `wait()` then raises SweepFailed. Of one that has ended: nothing happens."""
        if self.status in UNDER_WAY:
            self.client.connection.delete(self._path)

    def delete(self) -> None:
        """Deletes it and its files from the server's store; one that is under way is cancelled first.

        What it computed stays in the store until `headpatch store prune`, so that the same sweep again is quick.
        """
        self.cancel()
        for pause in self._looks(_SECONDS_TO_CANCEL):
            time.sleep(pause)
        try:
            self.client.connection.delete(self._path)
        except NotFound:
            pass  # someone else was faster

    # -- what it found

    @property
    def results(self) -> dict[str, Any]:
        """results.json, everything that it found, as it is."""
        if self._results is None:
            if self.status != "completed":
                self._completed()
            self._results = self.client.connection.get(f"{self._path}/results").content
        return self._results

    @property
    def effects(self) -> Any:
        """The patching effects, [layer, head]; of layers patched as a whole [layer, 1]; of k and v by key/value head.

        0: the patch changed nothing; 1: it made the whole difference between the two runs. NaN (None without numpy) where
        no pair is left to be the mean of. With positions `each` or `each-role` the effect at the strongest place.
        """
        return _numbers.array(_findings.effects(self.results))

    @property
    def effects_by_position(self) -> Any:
        """With positions `each`, the effects [layer, position, head]; the last axis has one entry for layers as a whole.

        Raises HeadPatchingError for other sweeps, and where pairs have different lengths: then there is `effects_by_role`
        if they name roles, and every pair's own in `pairs`.
        """
        return self._by("heatmapByPosition", 'positions="each" and pairs of one length')

    @property
    def effects_by_role(self) -> Any:
        """With positions `each` or `each-role`, the effects [layer, role, head], roles as in `roles`.

        Raises HeadPatchingError where the sweep is not by place, or its pairs name no roles.
        """
        return self._by("heatmapByRole", 'positions="each-role" and pairs that name roles')

    @property
    def roles(self) -> list[str]:
        """The names of the roles, in the order of `effects_by_role`."""
        return [role["name"] for role in self.results.get("roles") or []]

    @property
    def intervals(self) -> Any:
        """The 95 % intervals of `effects` over pairs, [layer, head, 2]: low and high; NaN (None) over fewer than five pairs."""
        return _numbers.array(_findings.intervals(self.results))

    @property
    def heads(self) -> Any:
        """A row for each head, layer by layer, with the columns of HeadEffect: a DataFrame, without pandas a list of HeadEffect."""
        return _numbers.table(_findings.heads(self.results), HeadEffect)

    @property
    def important(self) -> list[str]:
        """The names of the heads above the threshold whose interval leaves out 0, strongest first."""
        return [head["name"] for head in self.results["importantHeads"]]

    @property
    def warnings(self) -> list[str]:
        """What to know before trusting the effects."""
        return list(self.results["warnings"])

    @property
    def sets(self) -> Any:
        """With `patch_sets`, a row for each with the columns of SetEffect: a DataFrame, without pandas a list of SetEffect."""
        return _numbers.table(_circuit.sets(self.results), SetEffect)

    @property
    def senders(self) -> Any:
        """With `receivers` and `senders="all"`, a row for the embedding and every MLP, in `set`, as those of `sets`: what its paths do.

        With positions `each` and `each-role` a row for each at every place, such as `M3@-1` (counted from the end) or `embed@S2`."""
        return _numbers.table(_circuit.sets(self.results, "senders"), SetEffect)

    @property
    def edges(self) -> Any:
        """With `edges`, a row for each with the columns of EdgeEffect: a DataFrame, without pandas a list of EdgeEffect."""
        return _numbers.table(_circuit.edges(self.results), EdgeEffect)

    @property
    def proof(self) -> Circuit:
        """With `circuit`, the circuit and its proof. Raises HeadPatchingError where the sweep was not asked for one."""
        sheet = self.results.get("circuit")
        if sheet is None:
            raise HeadPatchingError(f"Sweep {self.id} was not asked for a circuit. find_circuit() goes on from it.")
        return Circuit(self, sheet)

    def find_circuit(
        self,
        nodes: Literal["heads", "heads-and-mlps"] = "heads",
        *,
        given: Sequence[str] | str | None = None,
        sizes: Sequence[int] | None = None,
        random: int | None = None,
        holdout: float | None = None,
        tolerance: float | None = None,
        seed: int | None = None,
        progress: bool | None = None,
    ) -> Circuit:
        """The fewest nodes that do the task together, proved on pairs they were not chosen on.

        It is the same sweep with a circuit: what was run of it is found again. The same call again returns it at once.

        nodes: what circuits are made of: heads, or heads and MLPs.
        given: prove these nodes, instead of looking for some: `["L9H6", "L9H9"]`.
        sizes, random, holdout, tolerance, seed: as the options `circuit_sizes` and so on of `hp.sweep`.

        Raises InvalidRequest where the sweep cannot rank nodes (it is one of z at all positions), and what `hp.sweep` raises.
        """
        options = _options.to_body(
            {
                "circuit": nodes,
                "circuit_given": given,
                "circuit_sizes": sizes,
                "circuit_random": random,
                "circuit_holdout": holdout,
                "circuit_tolerance": tolerance,
                "circuit_seed": seed,
            }
        )
        request = self.client.connection.get(f"{self._path}/request").content
        kept = {name: value for name, value in request.items() if not name.startswith("circuit") and value is not None}
        return self.client._start({**kept, **options}, "", again=False).wait(progress=progress).proof

    def top(self, count: int = 10, by: str = "effect") -> Any:
        """The heads of largest |effect|, largest first; as `heads`.

        by: `sure` for those of which most is sure: by the end nearer 0 of the interval for all heads together.
        """
        return _numbers.table(_findings.strongest(self.results, count, by), HeadEffect)

    @property
    def pairs(self) -> Any:
        """A row for each patched run of each pair, with the columns of PairEffect: a DataFrame, without pandas a list of PairEffect.

        They are in the order of pair, layer, position, head.

        Over more than 1,000 pairs they are in effects.parquet alone, which takes pandas with pyarrow (or fastparquet) to
        read; without, HeadPatchingError says where the file is. The pairs' tokens are in `results["pairs"]`.
        """
        if self.results["pairs"]:
            return _numbers.table(list(_findings.pair_rows(self.results)), PairEffect)
        return self._parquet()

    def report(self, path: str | os.PathLike[str] | None = None) -> str:
        """The address of the report, a page with all of it, while its server runs; with `path`, the page is saved there instead."""
        self.results  # raises where there is none yet
        if path is None:
            return f"{self.url}/report"
        self._download("report", Path(path))
        return str(path)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Saves the files that `headpatch sweep` leaves behind: results.json, tables, pictures, effects.parquet and report.html.

        The folder is made where it is not there; files of these names in it are replaced. Returns it.
        """
        self.results
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for name, part in FILES.items():
            self._download(part, target / name)
        return target

    def compare(self, other: Sweep, *, draws: int = 2000, seed: int = 0) -> Comparison:
        """How this sweep's effects differ from another's, head by head; see `Comparison`."""
        from ._compare import compare

        return compare(self, other, draws=draws, seed=seed)

    # -- how it is shown

    def __repr__(self) -> str:
        return _show.in_one_line(self, self._results)

    def __str__(self) -> str:
        return _show.in_text(self) if self._last_status == "completed" else repr(self)

    def _repr_html_(self) -> str:
        """What a notebook shows: the heatmap and the strongest heads, or how far it is."""
        try:
            return _show.in_html(self) if self.status == "completed" else _show.status_in_html(self)
        except HeadPatchingError as error:
            return _show.error_in_html(self, error)

    # -- within

    @property
    def _path(self) -> str:
        return f"/api/sweeps/{self.id}"

    @property
    def _last_status(self) -> str:
        return str(self._answer["status"])

    def _looks(self, timeout: float | None) -> Iterator[float]:
        """Asks the server again and again, and yields the seconds to wait before the next time; ends when the sweep has ended."""
        give_up = None if timeout is None else time.monotonic() + timeout
        pause = _FIRST_LOOK
        while self.status in UNDER_WAY:
            if give_up is not None and time.monotonic() >= give_up:
                raise NotFinished(f"Sweep {self.id} is still {self.status_text} after {timeout:g} s. It goes on; wait() waits for it.")
            # On this machine a look costs nothing, and a small sweep takes less than the second that servers ask for.
            least = 0.0 if self.client.connection.is_local else self._retry_after or 0.0
            yield max(pause, least)
            pause = min(pause * 1.5, _LONGEST_LOOK)

    def _completed(self) -> Sweep:
        """This sweep, where it is completed; otherwise raises what it is instead."""
        status = self._last_status
        if status == "completed":
            return self
        if status in UNDER_WAY:
            raise NotFinished(f"Sweep {self.id} has no result yet: {self.status_text}. wait() waits for it.")
        faults = (self._answer.get("error") or {}).get("faults")
        raise SweepFailed(self.id, status, self.error or "", faults_of(faults))

    def _by(self, member: str, where: str) -> Any:
        found = self.results.get(member)
        if not found:
            raise HeadPatchingError(
                f"Sweep {self.id} has no such table, which there is with {where}. Its positions are {self.results['positions']!r}."
            )
        return _numbers.array(found)

    def _parquet(self) -> Any:
        where = f"{self.url}/effects.parquet"
        count = self.results["dataset"]["pairs"]
        pd = _numbers.pandas()
        if pd is not None:
            try:
                file = io.BytesIO()
                self.client.connection.get(f"{self._path}/effects.parquet", into=file)
                return pd.read_parquet(file).sort_values(["pair", "layer", "position", "head"], kind="stable", ignore_index=True)
            except ImportError:
                pass  # pandas has no library that reads the format
        raise HeadPatchingError(
            f"The table of {count:,} pairs is in {where}, and takes pandas with pyarrow to read: pip install pandas pyarrow. "
            "save(folder) has it among its files."
        )

    def _download(self, part: str, to: Path) -> None:
        """A part of the result as a file, which is there whole or not at all."""
        to.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=to.parent, prefix=f".{to.name}-")
        try:
            with os.fdopen(handle, "wb") as file:
                self.client.connection.get(f"{self._path}/{part}", into=file)
            os.replace(partial, to)
        except BaseException:
            os.unlink(partial)
            raise
