"""A series: one sweep of several models or checkpoints, each by a sweep of its own."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _html, _numbers
from ._sweep import UNDER_WAY, Sweep
from .errors import HeadPatchingError, NotFinished, NotFound

if TYPE_CHECKING:
    from ._client import Client

_HEADS_SHOWN = 5
_LOOK = 0.2
_SECONDS_TO_CANCEL = 120.0


class Series:
    """The same sweep of several models, on a server. Made by `series()`, not by hand.

    What it found is there when all of its sweeps are completed; each of them is in `sweeps` as any other.
    """

    def __init__(self, client: Client, answer: dict[str, Any]) -> None:
        self.client = client
        """The client of its server."""
        self._answer = answer
        self._results: dict[str, Any] | None = None

    @property
    def id(self) -> str:
        """Its id."""
        return str(self._answer["id"])

    @property
    def models(self) -> list[str]:
        """The models' names on the server, in the order of `effects`."""
        return [str(model["model"]) for model in self._answer["models"]]

    @property
    def sweeps(self) -> list[Sweep]:
        """Each model's sweep, in the order of `models`. Raises NotFound where one was deleted."""
        return [self.client.get(model["sweepId"]) for model in self._answer["models"]]

    @property
    def url(self) -> str:
        """Its address; the page with a slider over the models is at `url + "/report"`."""
        return f"{self.client.url}{self._path}"

    @property
    def status(self) -> str:
        """`completed` when all sweeps are; otherwise `queued`, `running`, or how the worst of them ended.

        Asks the server until it has ended.
        """
        if self._answer["status"] in UNDER_WAY:
            self.refresh()
        return str(self._answer["status"])

    def refresh(self) -> Series:
        """Asks the server where it stands. Raises NotFound where it was deleted."""
        self._answer = self.client.connection.get(self._path).content
        return self

    def wait(self, timeout: float | None = None, *, progress: bool | None = None) -> Series:
        """Waits until all of its sweeps are completed, and returns it; `timeout` and `progress` as of `Sweep.wait()`.

        Raises SweepFailed of the first that has ended without a result, and NotFinished after `timeout`. Ctrl-C ends the
        waiting, not the sweeps.
        """
        give_up = None if timeout is None else time.monotonic() + timeout
        for sweep in self.sweeps:
            sweep.wait(None if give_up is None else max(0.0, give_up - time.monotonic()), progress=progress)
        return self.refresh()

    def delete(self) -> None:
        """Deletes it and its sweeps; those that are under way are cancelled first.

        What they computed stays in the store until `headpatch store prune`.
        """
        give_up = time.monotonic() + _SECONDS_TO_CANCEL
        try:
            while self.client.connection.delete(self._path).content.get("removal") != "deleted":
                if time.monotonic() > give_up:
                    raise NotFinished(f"Series {self.id} is still being cancelled after {_SECONDS_TO_CANCEL:g} s; delete() it later.")
                time.sleep(_LOOK)
        except NotFound:
            pass  # someone else was faster

    @property
    def results(self) -> dict[str, Any]:
        """series.json, everything that the series found, as it is. Raises Conflict where not every sweep is completed."""
        if self._results is None:
            self._results = self.client.connection.get(f"{self._path}/results").content
        return self._results

    @property
    def effects(self) -> Any:
        """The patching effects, [model, layer, head]; of layers patched as a whole [model, layer, 1]."""
        grids: list[list[list[Any]]] = [[] for _ in self.models]
        for head in self.results["heads"]:
            for grid, effect in zip(grids, head["effects"]):
                while len(grid) <= head["layer"]:
                    grid.append([])
                grid[head["layer"]].append(effect)
        return _numbers.array(grids)

    @property
    def important(self) -> list[str]:
        """The names of the heads that are important in any model, by the sum of |effect| over all."""
        return [head["name"] for head in sorted(self.results["heads"], key=_sum) if head["importantIn"] > 0]

    def head(self, name: str) -> Any:
        """A head's effect in each model, in the order of `models`: `head("L9H6")`."""
        for head in self.results["heads"]:
            if head["name"] == name:
                return _numbers.array(head["effects"])
        names = [head["name"] for head in self.results["heads"]]
        raise HeadPatchingError(f"There is no {name} in these models: they have {names[0]} to {names[-1]}.")

    def report(self, path: str | os.PathLike[str] | None = None) -> str:
        """The address of the page with a slider over the models, while its server runs; with `path`, the page is saved there instead."""
        self.results  # raises where there is none yet
        if path is None:
            return f"{self.url}/report"
        with open(Path(path), "wb") as file:
            self.client.connection.get(f"{self._path}/report", into=file)
        return str(path)

    def __repr__(self) -> str:
        models = f"{self.models[0]} to {self.models[-1]} ({len(self.models)} models)"
        return f"<Series {self.id} {self._answer['status']}: {self._answer['title']}, {models} on {self._answer['dataset']}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the strongest heads over the models, or how far it is."""
        title, subtitle = str(self._answer["title"]), f"{self.models[0]} to {self.models[-1]} · {self._answer['dataset']} · {self.id}"
        try:
            if self.status != "completed":
                return _html.sheet(title, subtitle, _html.line(f"{self.status}: {self._answer['completed']} of {len(self.models)} models"))
            heads = sorted(self.results["heads"], key=_sum)[:_HEADS_SHOWN]
            rows = [
                [model["name"], _html.number(model["cleanMetric"]), *(_html.number(head["effects"][index]) for head in heads)]
                for index, model in enumerate(self.results["models"])
            ]
            table = _html.table(["Model", "clean", *(head["name"] for head in heads)], rows)
            return _html.sheet(title, subtitle, table, _html.note(f"All heads, with a slider: {self.url}/report"))
        except HeadPatchingError as error:
            return _html.sheet(title, subtitle, _html.note(str(error)))

    @property
    def _path(self) -> str:
        return f"/api/series/{self.id}"


def start(client: Client, content: bytes, key: str) -> Series:
    """Posts it; one that was found by its key and has ended without a result gives way to a new one."""
    series = _post(client, content, key)
    if series.status not in ("completed", *UNDER_WAY):
        series.delete()
        series = _post(client, content, key)
    return series


def _post(client: Client, content: bytes, key: str) -> Series:
    accepted = client.connection.post("/api/series", content, {"Idempotency-Key": key}).content
    return Series(client, client.connection.get(f"/api/series/{accepted['id']}").content)


def _sum(head: dict[str, Any]) -> float:
    return -sum(abs(effect) for effect in head["effects"] if effect is not None)
