"""A server of this process's own: found, started on a free port, started again where it died, ended with the process."""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from .errors import HeadPatchingError, InvalidRequest, Unreachable

_SECONDS_TO_START = 60.0
_SECONDS_TO_STOP = 25.0
_MOST_RESTARTS = 3
_LOG_TAIL_BYTES = 4096
_LISTENING = re.compile(rb"Listening on (http://[0-9.]+:[0-9]+)")


class OwnServer:
    """`headpatch serve` as a child of this process. Safe to use from several threads."""

    def __init__(self, *, store: str | None = None, models: str | None = None, program: str | None = None) -> None:
        """
        store: where sweeps are kept: a folder or an Azure Storage address; None: where `headpatch sweep` keeps them.
        models: a folder whose subfolders are models; None: what HEADPATCHING_MODELS names.
        program: the `headpatch` to run; None: as find_program() finds it.
        """
        self.store = _seen_from_here(store) if store else default_store()
        models = models or os.environ.get("HEADPATCHING_MODELS")
        self.models = Path(models).expanduser().absolute() if models else None
        if self.models is not None and not self.models.is_dir():
            raise HeadPatchingError(f"There is no folder of models {self.models}.")
        self._program = os.path.abspath(program or find_program())
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._process_of = os.getpid()
        self._stopped = False
        self._restarts = 0
        self._folders: dict[str, Path] = {}
        self._links: str | None = None
        self.url = ""
        self.log = ""
        """Its log, a temporary file; it is deleted when the server is stopped."""
        self._start(port=0)
        atexit.register(self.stop)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def revive(self) -> bool:
        """Starts a server that died again, on the same port, three times at most. Says whether it did."""
        with self._lock:
            if self.is_running or self._stopped or self._restarts == _MOST_RESTARTS or os.getpid() != self._process_of:
                return False
            self._restarts += 1
            print(f"The server of this session has ended by itself and is started again. {_tail(self.log)}", file=sys.stderr)
            self._start(self._port)
            return True

    def stop(self) -> None:
        """Ends the server; its sweeps stay as they are, and the next server on the same store goes on with them."""
        with self._lock:
            if os.getpid() != self._process_of:
                return  # a fork of the process that it belongs to
            self._stopped = True
            self._end()
            Path(self.log).unlink(missing_ok=True)
            if self._links is not None:
                shutil.rmtree(self._links, ignore_errors=True)
            atexit.unregister(self.stop)

    def name_of_model(self, folder: str | os.PathLike[str]) -> str:
        """Makes a model folder anywhere on this machine one of the server's models, and says its name there.

        A server looks for its models when it starts, so it is started anew; sweeps that are under way go on then.
        Raises InvalidRequest where the folder is none of a model, or another one has its name.
        """
        # The folder as it is named, not as links lead on: a hub's cache calls what it points to by a hash.
        path = Path(os.path.abspath(Path(folder).expanduser()))
        if not (path / "config.json").is_file():
            raise InvalidRequest.of(
                "model",
                "unknown-model",
                f"{path} is no model folder: there is no config.json in it. "
                "'headpatch model pull REPOSITORY --to FOLDER' fetches one from a hub.",
            )
        with self._lock:
            known = self.folder_of_model(path.name)
            if known is not None and not known.samefile(path):
                raise InvalidRequest.of(
                    "model",
                    "ambiguous-model",
                    f"There is another model of the name '{path.name}' already, in {known}. Rename one of the folders.",
                )
            if known is None:
                self._folders[path.name] = path
                self._end()
                self._start(self._port)
        return path.name

    def folder_of_model(self, name: str) -> Path | None:
        """Where a model of this name is on this machine; None where it is the demo model, or in the store."""
        folder = self._folders.get(name) or (self.models / name if self.models is not None else None)
        return folder if folder is not None and (folder / "config.json").is_file() else None

    @property
    def _port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def _start(self, port: int) -> None:
        if not self.log:
            handle, self.log = tempfile.mkstemp(prefix="headpatching-server-", suffix=".log")
            os.close(handle)
        command = [self._program, "serve", "--urls", f"http://127.0.0.1:{port}", "--store", self.store]
        if self._folders:
            command += ["--models", self._link_models()]
        elif self.models is not None:
            command += ["--models", str(self.models)]
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(Path(__file__).with_name("_keeper.py")), *command],
                cwd=os.path.dirname(self._program),  # a folder that stays: where the notebook stands may be deleted
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        give_up = time.monotonic() + _SECONDS_TO_START
        while (listening := _LISTENING.search(_head(self.log))) is None:
            if not self.is_running or time.monotonic() > give_up:
                self._end()
                # Not with its arguments: a store's address may have a key in it.
                raise Unreachable(f"The server could not be started ({self._program} serve). {_tail(self.log)}")
            time.sleep(0.05)
        self.url = listening.group(1).decode()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()  # which is what _keeper.py waits for
        try:
            process.wait(_SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()

    def _link_models(self) -> str:
        """A folder with a link to each model: to those of the models folder, and to those that were named by their own folder."""
        if self._links is None:
            self._links = tempfile.mkdtemp(prefix="headpatching-models-")
        folders = {folder.name: folder for folder in (self.models.iterdir() if self.models else ()) if folder.is_dir()} | self._folders
        for name, folder in folders.items():
            link = Path(self._links, name)
            if not link.is_symlink():
                try:
                    link.symlink_to(folder, target_is_directory=True)
                except OSError as error:  # Windows, for users who may not make links
                    raise HeadPatchingError(
                        f"No link to {folder} can be made ({error}). Start the server with hp.start_server(models=PARENT_FOLDER)."
                    ) from None
        return self._links


def find_program() -> str:
    """The program `headpatch`: what HEADPATCHING_PROGRAM names, else the one in this package, else the one on PATH."""
    named = os.environ.get("HEADPATCHING_PROGRAM")
    if named:
        if not os.path.isfile(named):
            raise Unreachable(f"HEADPATCHING_PROGRAM is {named}, and there is no such file.")
        return named
    bundled = Path(__file__).with_name("_program") / ("headpatch.exe" if os.name == "nt" else "headpatch")
    found = str(bundled) if bundled.is_file() else shutil.which("headpatch")
    if found is None:
        raise Unreachable(
            "There is no server to ask. Set HEADPATCHING_URL to the address of one; or, to have one started here, set "
            f"HEADPATCHING_PROGRAM to the program headpatch, or put headpatch on PATH. (This package carries none: there is no {bundled}.)"
        )
    return found


def default_store() -> str:
    """Where `headpatch sweep` keeps its work by default, so that a notebook and the command line find each other's."""
    home = Path.home()
    if os.name == "nt":
        data = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        data = home / "Library" / "Application Support"
    else:
        named = os.environ.get("XDG_DATA_HOME", "")
        data = Path(named) if os.path.isabs(named) else home / ".local" / "share"
    return str(data / "headpatching" / "store")


def _seen_from_here(store: str) -> str:
    """A store's folder as an absolute path, since the server stands elsewhere; an address of Azure Storage as it is."""
    is_address = "://" in store or ("=" in store and not os.path.isdir(store))
    return store if is_address else os.path.abspath(os.path.expanduser(store))


def stamp_of_model(folder: Path) -> str:
    """What changes when another model is put into a folder: its files' names, sizes and times. Reads none of them."""
    files = sorted((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in folder.iterdir() if file.is_file())
    return hashlib.sha256(repr(files).encode()).hexdigest()


def _head(path: str) -> bytes:
    with open(path, "rb") as log:
        return log.read(1 << 16)


def _tail(path: str) -> str:
    """The end of a log, for an error."""
    with open(path, "rb") as log:
        log.seek(max(0, os.path.getsize(path) - _LOG_TAIL_BYTES))
        words = log.read(_LOG_TAIL_BYTES).decode("utf-8", "replace").strip()
    return f"Its log, {path}, ends:\n{words}" if words else f"Its log, {path}, is empty."
