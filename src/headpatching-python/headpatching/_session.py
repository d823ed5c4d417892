"""Which server the functions of the package ask: connected to, named by the environment, or started for this process."""

from __future__ import annotations

import asyncio
import os
import threading

from ._client import Client
from ._server import OwnServer

_lock = threading.RLock()
_connected: Client | None = None
_own: Client | None = None


def connect(url: str | None = None, *, key: str | None = None) -> Client:
    """Makes a server the one that `hp.sweep` and the other functions ask, and returns its client.

    url, key: as of `Client`. Without `url` it is the one at HEADPATCHING_URL with the key HEADPATCHING_KEY, and without that
    a server of this process's own. (That key goes to no address that is given here: it is another server's.)

    Raises Unreachable where it does not answer, NotAllowed where it wants another key.
    """
    global _connected
    with _lock:
        _connected = None
        chosen = Client(url, key=key) if url else client()
        chosen.models()  # unlike its health, they are shown to nobody without a key that is asked for
        _connected = chosen
        return chosen


def start_server(
    *,
    store: str | os.PathLike[str] | None = None,
    models: str | os.PathLike[str] | None = None,
    program: str | os.PathLike[str] | None = None,
) -> Client:
    """Starts `headpatch serve` for this process, on a free port of this machine alone, and asks it from now on.

    store: where sweeps are kept; None: where `headpatch sweep` keeps them, so that both find each other's work.
    models: a folder whose subfolders are models; None: what HEADPATCHING_MODELS names, else the demo model alone.
    program: the program headpatch; None: HEADPATCHING_PROGRAM, else the one in this package, else the one on PATH.

    One that was started before is ended, and its sweeps go on in the new one if the store is the same. It ends with this
    process, also where that is killed. Raises Unreachable, with the end of its log, where it does not start.
    """
    global _connected, _own
    with _lock:
        stop_server()
        _own = Client.of_own_server(
            OwnServer(
                store=os.fspath(store) if store else None,
                models=os.fspath(models) if models else None,
                program=os.fspath(program) if program else None,
            )
        )
        _connected = _own
        return _own


def stop_server() -> None:
    """Ends the server of this process, where there is one. Its sweeps stay as they are, and go on when a server has their store again."""
    global _connected, _own
    with _lock:
        if _own is not None:
            _own.stop_own_server()
        if _connected is _own:
            _connected = None
        _own = None


def client() -> Client:
    """The client of the server to ask."""
    global _own
    with _lock:
        if _connected is not None:
            return _connected
        if url := os.environ.get("HEADPATCHING_URL"):
            return Client(url, key=os.environ.get("HEADPATCHING_KEY"))
        if _own is None:
            _own = Client.of_own_server(OwnServer())
        return _own


async def client_async() -> Client:
    """Like `client()`, while other tasks go on: starting a server takes a moment."""
    return await asyncio.to_thread(client)
