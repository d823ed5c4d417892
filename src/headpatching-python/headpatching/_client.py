"""A server as Python sees it: sweeps are started, found, listed, planned."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import urllib.parse
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _options, _pairs, _series
from ._http import MOST_BODY_BYTES, Connection
from ._options import has_options, snake_case
from ._pairs import PairsLike
from ._series import Series
from ._server import OwnServer, stamp_of_model
from ._sweep import Sweep
from .errors import Conflict, Fault, HeadPatchingError, InvalidRequest, NotFound

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import SweepOptions

# Part of every key: raised when what a body means has changed, so that older work is not found for it.
_KEY_SCHEME = 1

_PAGE = 500

Model = str | os.PathLike[str]


@dataclass(frozen=True)
class ModelInfo:
    """A model of a server."""

    name: str
    """The name to sweep it by."""
    family: str | None = None
    layers: int | None = None
    heads: int | None = None
    context: int | None = None
    """The most tokens of a prompt."""
    vocabulary: int | None = None
    parameters: int | None = None
    problem: str | None = None
    """Why it cannot be swept; None where it can."""


@dataclass(frozen=True)
class Plan:
    """How a sweep would be cut. Nothing was run for it, and nothing looked for that is stored already."""

    model: Mapping[str, Any]
    """`name`, `fingerprint`, `layers`, `heads`, `dtype`, `device`."""
    pairs: int
    chunks: int
    """Chunks of pairs that run as one batch."""
    activities: int
    stored_runs: int
    """Runs that are stored, one for each band of layers over each chunk."""
    patched_runs: int
    flops: float
    """Floating-point operations, counted."""
    bytes_to_cache: int
    bytes_to_read: int
    seconds: float
    """The time on one worker, estimated from a rate for the kind of device."""
    memory_bytes: int
    """The most memory that an activity takes on a CPU beside the weights."""

    def __str__(self) -> str:
        return (
            f"{self.pairs:,} pairs in {self.chunks:,} chunks, {self.activities:,} activities, {self.patched_runs:,} patched runs: "
            f"{self.flops:.3g} operations, about {self.seconds:.3g} s on one worker; {self.bytes_to_cache / 2**20:,.1f} MiB to cache, "
            f"{self.memory_bytes / 2**20:,.1f} MiB of memory beside the weights"
        )


@dataclass(frozen=True)
class BoundModel:
    """A model of one server, for the functions of `headpatching.patching`; made by `Client.model()`."""

    client: Client
    name: Model


class Client:
    """One server. Safe to use from several threads."""

    def __init__(self, url: str, *, key: str | None = None, patience: float = 60.0) -> None:
        """
        url: the server's address, such as `http://127.0.0.1:7071` or `https://APP.azurewebsites.net`.
        key: Azure's function key, sent in a header, to no other address, and over https alone.
        patience: seconds that failures which may pass are tried again for.

        Asks nothing yet. Raises HeadPatchingError for an address or key that cannot be.
        """
        self.connection = Connection(url, key, patience=patience)
        self._own: OwnServer | None = None

    @classmethod
    def of_own_server(cls, server: OwnServer) -> Client:
        """The client of a server that belongs to this process."""
        client = cls(server.url)
        client.connection = Connection(server.url, revive=server.revive)
        client._own = server
        client.health()
        return client

    @property
    def is_own(self) -> bool:
        """Whether the server belongs to this process, and ends with it."""
        return self._own is not None

    def stop_own_server(self) -> None:
        """Ends the server, where it belongs to this process."""
        if self._own is not None:
            self._own.stop()

    @property
    def url(self) -> str:
        """The server's address."""
        return self.connection.url

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    @has_options
    def sweep(
        self,
        model: Model = "ioi-demo",
        pairs: PairsLike = None,
        *,
        wait: bool = True,
        progress: bool | None = None,
        again: bool = False,
        **options: Unpack[SweepOptions],
    ) -> Sweep:
        """Patches every head of every layer, one at a time, and measures how much of the behaviour each carries.

        The same call again, also in another session, returns the same sweep at once: it is found by its content.

        model: a name that the server knows (`hp.models()`). With a server of this process's own also a model folder: a
            Path, or a text with a separator in it (`"./gpt2"`).
        pairs: a dataset's name (`"ioi"`), a file of JSON Lines, a list of Pair, dictionaries or 4-tuples (clean,
            corrupted, correct, incorrect), or a DataFrame with these columns. None: the server's default, `ioi`.
        wait: False: return at once; `Sweep.wait()` waits.
        progress: False: show nothing while waiting.
        again: sweep it anew. (What it depends on is the same, so what is stored of it is found again all the same.)

        {options}

        Raises InvalidRequest with every fault, TooManySweeps, Unreachable, ServerError; where it is waited for, SweepFailed,
        among others where tokenising finds faults.
        """
        body, stamp = self._body(model, pairs, options)
        sweep = self._start(body, stamp, again)
        return sweep.wait(progress=progress) if wait else sweep

    @has_options
    async def sweep_async(
        self,
        model: Model = "ioi-demo",
        pairs: PairsLike = None,
        *,
        wait: bool = True,
        progress: bool | None = None,
        again: bool = False,
        **options: Unpack[SweepOptions],
    ) -> Sweep:
        """Like `sweep`, while other tasks go on; cancelling the task ends the waiting, not the sweep.

        {options}
        """
        sweep = await asyncio.to_thread(self.sweep, model, pairs, wait=False, again=again, **options)
        return await sweep.wait_async(progress=progress) if wait else sweep

    @has_options
    def series(
        self,
        models: Sequence[Model],
        pairs: PairsLike = None,
        *,
        wait: bool = True,
        progress: bool | None = None,
        again: bool = False,
        **options: Unpack[SweepOptions],
    ) -> Series:
        """The same sweep of several models or checkpoints of one shape; see `Series`.

        models: two or more, each as of `sweep`, in the order in which they are shown.

        {options}

        Raises as `sweep`; InvalidRequest has the faults of every model.
        """
        if isinstance(models, (str, os.PathLike)) or len(models) < 2:
            raise InvalidRequest.of("models", "missing", "A series is of two models or more, as a list; of one, sweep() is the call.")
        body, _ = self._body(models[0], pairs, options)
        del body["model"]
        named = [self._model(model) for model in models]
        content = _json({"models": [name for name, _ in named], **body})
        series = _series.start(self, content, _key(content, " ".join(stamp for _, stamp in named), again))
        return series.wait(progress=progress) if wait else series

    @has_options
    def plan(self, model: Model = "ioi-demo", pairs: PairsLike = None, **options: Unpack[SweepOptions]) -> Plan:
        """How a sweep would be cut, and what it would cost; nothing is run. Pairs are tokenised, so all of their faults show.

        {options}

        Raises InvalidRequest with every fault.
        """
        body, _ = self._body(model, pairs, options)
        answer = self.connection.post("/api/sweeps", _json({**body, "planOnly": True}), {}).content
        return Plan(**{snake_case(name): value for name, value in answer.items() if snake_case(name) in Plan.__dataclass_fields__})

    def get(self, sweep_id: str) -> Sweep:
        """The sweep of an id. Raises NotFound."""
        answer = self.connection.get(f"/api/sweeps/{urllib.parse.quote(sweep_id, safe='')}")
        return Sweep(self, answer.content)

    def sweeps(
        self, limit: int | None = None, *, status: str | None = None, model: str | None = None, search: str | None = None
    ) -> list[Sweep]:
        """The server's sweeps, newest first, `limit` at most; those of the command line, too, where the store is the same.

        Only those of a status (several with commas between them: `"completed,failed"`), of a model's name, or in whose id,
        name, model, dataset and title every word of `search` stands.
        """
        found: list[Sweep] = []
        asked = {name: value for name, value in (("status", status), ("model", model), ("q", search)) if value is not None}
        while limit is None or len(found) < limit:
            asked["limit"] = str(_PAGE if limit is None else min(_PAGE, limit - len(found)))
            answer = self.connection.get(f"/api/sweeps?{urllib.parse.urlencode(asked)}").content
            found += [Sweep(self, sweep) for sweep in answer["sweeps"]]
            place = urllib.parse.parse_qs(urllib.parse.urlsplit(answer.get("next") or "").query).get("after")
            if not place or not answer["sweeps"]:
                break
            asked["after"] = place[0]  # the name that servers of every version know
        return found

    def models(self) -> list[ModelInfo]:
        """The models that the server knows."""
        known = ModelInfo.__dataclass_fields__
        return [
            ModelInfo(**{name: value for name, value in model.items() if name in known})
            for model in self.connection.get("/api/models").content["models"]
        ]

    def datasets(self) -> dict[str, str]:
        """The built-in datasets: what each holds, by its name."""
        return {dataset["name"]: dataset["description"] for dataset in self.connection.get("/api/models").content["datasets"]}

    def model(self, name: Model) -> BoundModel:
        """A model of this server, as the first argument of the functions of `headpatching.patching`."""
        return BoundModel(self, name)

    def health(self) -> str:
        """The server's version, where it works and its store can be reached. Raises Unreachable or ServerError where not."""
        return str(self.connection.get("/api/health").content["version"])

    def _body(self, model: Model, pairs: PairsLike, options: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
        """The body of the request, and what else its sweep depends on."""
        given = _options.to_body(options)
        if given.get("reference") is not None:
            given["reference"] = _pairs.reference_to_body(given["reference"])
        ways = [
            name
            for name, value in (("pairs", pairs), ("dataset", given.get("dataset")), ("pairs_file", given.get("pairsFile")))
            if value is not None
        ]
        if len(ways) > 1:
            raise InvalidRequest.of(ways[1], "invalid-option", f"Which pairs is said twice, by {' and '.join(ways)}.")
        name, stamp = self._model(model)
        return {"model": name, **_pairs.to_body(pairs), **{option: _pairs.plain(value) for option, value in given.items()}}, stamp

    def _model(self, model: Model) -> tuple[str, str]:
        """A model's name on the server, and a stamp of its files where they can be looked at."""
        if isinstance(model, os.PathLike) or "/" in model or os.sep in model:
            if self._own is None:
                raise InvalidRequest.of(
                    "model",
                    "unknown-model",
                    f"A server that this process has not started takes models by name, never by folder: {os.fspath(model)}. "
                    "hp.models() lists what it has; "
                    "'headpatch model push FOLDER NAME --store STORE' gives it another.",
                )
            model = self._own.name_of_model(model)
        folder = self._own.folder_of_model(model) if self._own else None
        return model, stamp_of_model(folder) if folder else ""

    def _start(self, body: dict[str, Any], stamp: str, again: bool) -> Sweep:
        """Posts it; one that was found by its key and has ended without a result gives way to a new one."""
        content = _json(body)
        key = _key(content, stamp, again)
        try:
            sweep = self._post(content, key)
            if not sweep.is_under_way and sweep.status != "completed":
                sweep.delete()
                sweep = self._post(content, key)
        except InvalidRequest as error:
            name = body["model"]
            if any(fault.kind == "unknown-model" for fault in error.faults) and os.path.isfile(os.path.join(name, "config.json")):
                raise InvalidRequest(
                    [*error.faults, Fault("model", "hint", f"There is a folder of that name here: as a folder it is './{name}'.")]
                ) from None
            raise
        return sweep

    def _post(self, content: bytes, key: str) -> Sweep:
        try:
            accepted = self.connection.post("/api/sweeps", content, {"Idempotency-Key": key}).content
            return self.get(accepted["id"])
        except NotFound:
            raise HeadPatchingError("The sweep was deleted by someone else the moment it was found. Ask again.") from None
        except Conflict as error:
            raise Conflict(f"{error} Or sweep it with again=True.") from None


def _key(content: bytes, stamp: str, again: bool) -> str:
    """The Idempotency-Key of a body: the same content, the same key; with `again` like no other."""
    content_hash = hashlib.sha256(b"%d %s %s" % (_KEY_SCHEME, stamp.encode(), content)).hexdigest()
    return f"python-{content_hash}{f'-{uuid.uuid4().hex}' if again else ''}"


def _json(body: Mapping[str, Any]) -> bytes:
    """A body in one form, whatever the order in which its options were given."""
    try:
        text = json.dumps(body, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise InvalidRequest.of("$", "malformed", f"There is a value that JSON does not have: {error}.") from None
    if len(text) > MOST_BODY_BYTES:
        raise InvalidRequest.of(
            "pairs",
            "too-large",
            f"The request has {len(text) / 2**20:.1f} MiB, and servers read {MOST_BODY_BYTES >> 20}. "
            "Put the pairs into the server's store with "
            "'headpatch dataset push FILE NAME --store STORE', and sweep them with pairs_file=\"NAME\".",
        )
    return text
