"""One server over HTTP: requests, bounded answers, retries, and problems as exceptions."""

from __future__ import annotations

import http.client
import ipaddress
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from . import errors
from ._version import VERSION

MOST_BODY_BYTES = 8 << 20
"""The largest body that a server reads."""

_MOST_ANSWER_BYTES = 512 << 20
_MOST_PROBLEM_BYTES = 1 << 20
_MOST_ATTEMPTS = 6
_FIRST_ATTEMPTS = 3
_LONGEST_PAUSE = 30.0
_SECONDS_TO_ANSWER = 60.0
_PIECE = 1 << 20

# What is answered when the request was not taken up, and what a gateway answers, which may not know whether it was.
_NOT_TAKEN_UP = (429, 503)
_PERHAPS_TAKEN_UP = (502, 504)


@dataclass(frozen=True)
class Answer:
    """An answer of 2xx."""

    content: Any
    """What its JSON says; None where it was written to a file."""

    retry_after: float | None
    """Seconds after which to look again, where the server says so."""


class _Transient(Exception):
    """A failure that another attempt may mend."""

    def __init__(self, error: errors.HeadPatchingError, *, retry_after: float | None = None, sent: bool = True) -> None:
        super().__init__()
        self.error = error
        self.retry_after = retry_after
        self.sent = sent
        """Whether the server may have done what it was asked for."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to whatever address the answer names."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class Connection:
    """Requests to one server. Safe to use from several threads."""

    def __init__(self, url: str, key: str | None = None, *, patience: float = 60.0, revive: Callable[[], bool] | None = None) -> None:
        """
        url: such as `http://127.0.0.1:7071`, without `/api`.
        key: sent as the header x-functions-key, which Azure Functions asks for.
        patience: seconds that failures which may pass are tried again for.
        revive: called where nobody listens; says whether it has started the server anew.

        Raises HeadPatchingError for an address or key that cannot be.
        """
        self.url = _checked_url(url)
        self.is_local = _is_loopback(urllib.parse.urlsplit(self.url).hostname or "")
        self._key = _checked_key(key, self.url, self.is_local)
        self._patience = patience
        self._revive = revive
        self._reached = False
        # A proxy that the environment names cannot reach this machine's loopback.
        proxies = urllib.request.ProxyHandler({}) if self.is_local else urllib.request.ProxyHandler()
        self._opener = urllib.request.build_opener(_NoRedirect, proxies)

    def __repr__(self) -> str:
        return f"Connection({self.url!r})"

    def get(self, path: str, into: BinaryIO | None = None) -> Answer:
        """GET; with `into` the answer is written there as it is."""
        return self._send("GET", path, into=into)

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """POST of JSON that may be sent again without harm: it has an Idempotency-Key, or changes nothing."""
        return self._send("POST", path, body=body, headers={"Content-Type": "application/json", **headers})

    def delete(self, path: str) -> Answer:
        """DELETE. It is not sent again where it may have been heard: the first would cancel a sweep and the second delete it."""
        return self._send("DELETE", path, again=False)

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        into: BinaryIO | None = None,
        again: bool = True,
    ) -> Answer:
        give_up = time.monotonic() + self._patience
        for attempt in range(1, _MOST_ATTEMPTS + 1):
            try:
                answer = self._send_once(method, path, body, headers or {}, into)
                self._reached = True
                return answer
            except _Transient as failure:
                pause = failure.retry_after if failure.retry_after is not None else min(0.2 * 2**attempt, 5.0)
                # A server that has never answered is probably not there; one that has is probably being started again.
                most = _MOST_ATTEMPTS if self._reached or failure.sent else _FIRST_ATTEMPTS
                if attempt >= most or (failure.sent and not again) or time.monotonic() + pause > give_up:
                    raise failure.error from None
                if not (isinstance(failure.error, errors.Unreachable) and self._revive is not None and self._revive()):
                    time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _send_once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], into: BinaryIO | None) -> Answer:
        request = urllib.request.Request(
            self.url + path,
            data=body,
            method=method,
            headers={"Accept": "*/*" if into else "application/json", "User-Agent": f"headpatching-python/{VERSION}", **headers},
        )
        if self._key is not None:
            request.add_unredirected_header("x-functions-key", self._key)
        try:
            with self._opener.open(request, timeout=_SECONDS_TO_ANSWER) as response:
                retry_after = _seconds(response.headers)
                if into is not None:
                    _copy(response, into)
                    return Answer(None, retry_after)
                return Answer(self._json(response), retry_after)
        except urllib.error.HTTPError as response:
            with response:
                raise self._problem(response) from None
        except urllib.error.URLError as error:
            raise self._unreachable(error.reason) from None
        except (http.client.HTTPException, OSError) as error:  # among them that an answer ends too early
            raise self._unreachable(error) from None

    def _json(self, response: Any) -> Any:
        text = response.read(_MOST_ANSWER_BYTES + 1)
        if len(text) > _MOST_ANSWER_BYTES:
            raise errors.ServerError(f"{self.url} answered more than {_MOST_ANSWER_BYTES >> 20} MiB. save() writes any size to files.")
        if response.length:  # read(n), unlike read(), does not say that the connection was cut
            raise http.client.IncompleteRead(text, response.length)
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise errors.ServerError(
                f"{self.url} answered something that is not JSON. Is it HeadPatching? It begins: {self._without_key(text[:80].decode('utf-8', 'replace'))!r}"
            ) from None

    def _problem(self, response: urllib.error.HTTPError) -> Exception:
        """What an answer of 3xx, 4xx or 5xx is as an exception."""
        status = response.code
        self._reached = True
        try:
            problem = json.loads(self._without_key(response.read(_MOST_PROBLEM_BYTES).decode()))
        except (ValueError, RecursionError, OSError, http.client.HTTPException):
            problem = None
        if not isinstance(problem, dict):
            problem = {}
        said = " ".join(str(problem[part]) for part in ("title", "detail") if problem.get(part))
        said = _printable(said[:2000]) or f"{self.url} answered {status}, with nothing that HeadPatching would say. Is this its address?"
        if status in _NOT_TAKEN_UP or status in _PERHAPS_TAKEN_UP:
            error = errors.TooManySweeps(said) if status == 429 else errors.ServerError(said)
            return _Transient(error, retry_after=_seconds(response.headers), sent=status in _PERHAPS_TAKEN_UP)
        if status in (401, 403):
            hint = "" if self._key else " It may want a key: set HEADPATCHING_KEY, or give hp.connect(url, key=...)."
            return errors.NotAllowed(said + hint)
        if status == 404:
            return errors.NotFound(said)
        if status == 409:
            return errors.Conflict(said)
        if status in (400, 413, 415):
            return errors.InvalidRequest(faults_of(problem.get("errors")), _printable(str(problem.get("title") or said)))
        return errors.ServerError(said)

    def _unreachable(self, reason: Any) -> Exception:
        words = _printable(str(getattr(reason, "strerror", None) or reason or type(reason).__name__))
        error = errors.Unreachable(
            f"{self.url} cannot be reached: {words}. 'headpatch serve' starts a server on this machine; without HEADPATCHING_URL "
            "this package starts one by itself."
        )
        if isinstance(reason, ssl.SSLError):
            return error  # a certificate does not get better by being asked again
        never_sent = isinstance(reason, ConnectionRefusedError) or type(reason).__name__ == "gaierror"
        if never_sent or isinstance(reason, (http.client.HTTPException, ConnectionError, TimeoutError)):
            return _Transient(error, sent=not never_sent)
        return error

    def _without_key(self, text: str) -> str:
        """What a server says of a request may have the request's headers in it."""
        return text.replace(self._key, "***") if self._key else text


def _printable(text: str) -> str:
    """A server's own words, without what would move a terminal's cursor."""
    return "".join(character if character.isprintable() else " " for character in text)


def faults_of(listed: Any) -> list[errors.Fault]:
    """The faults that a problem or a failed sweep lists."""
    return [
        errors.Fault(*(_printable(str(fault.get(member))) for member in ("path", "kind", "message")))
        for fault in listed or []
        if isinstance(fault, dict)
    ]


def _copy(response: Any, into: BinaryIO) -> None:
    into.seek(0)
    into.truncate()  # what an attempt before this one has written
    while piece := response.read(_PIECE):
        into.write(piece)
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)


def _seconds(headers: Any) -> float | None:
    """Retry-After in seconds; None where there is none, or a date, which this API never sends."""
    value = headers.get("Retry-After", "")
    return min(float(value), _LONGEST_PAUSE) if value.isascii() and value.isdigit() else None


def _checked_url(url: str) -> str:
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urllib.parse.urlsplit("")
    # Not said back: what is wrong with it may be that there is a key in it.
    if parts.scheme not in ("http", "https") or not host:
        raise errors.HeadPatchingError("The server's address has the form http://HOST:PORT or https://HOST.")
    if parts.username is not None or parts.query or parts.fragment:
        raise errors.HeadPatchingError(
            "The server's address has no user, password or query. A key is given as key=..., or in HEADPATCHING_KEY."
        )
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/").removesuffix("/api"), "", ""))


def _checked_key(key: str | None, url: str, is_local: bool) -> str | None:
    if not key:
        return None
    if not (key.isascii() and key.isprintable()):
        raise errors.HeadPatchingError("The key has characters that no header can have, such as the end of a line.")
    if not is_local and not url.startswith("https:"):
        raise errors.HeadPatchingError(f"The key would be sent to {url} without encryption. Use https.")
    return key


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
