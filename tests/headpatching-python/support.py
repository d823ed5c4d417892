"""What several tests need: raw HTTP, other Python processes, a server that misbehaves, the demo model's folder."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
import unittest
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PROGRAM = os.environ["HEADPATCHING_PROGRAM"]
PACKAGE = Path(__file__).parents[2] / "src" / "headpatching-python"
DEMO_MODEL = Path(PROGRAM).parent / "models" / "ioi-demo"

HAS_NUMPY = importlib.util.find_spec("numpy") is not None
HAS_PANDAS = importlib.util.find_spec("pandas") is not None
HAS_PARQUET = HAS_PANDAS and any(importlib.util.find_spec(name) for name in ("pyarrow", "fastparquet"))

with_numpy = unittest.skipUnless(HAS_NUMPY, "numpy is not installed")
with_pandas = unittest.skipUnless(HAS_PANDAS, "pandas is not installed")


def raw(url: str) -> Any:
    """What a server answers, without the package."""
    with urllib.request.urlopen(url, timeout=30) as response:
        return json.load(response)


def python(code: str, **environment: str) -> subprocess.Popen[str]:
    """Another Python process that has the package."""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(PACKAGE), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_python(code: str, **environment: str) -> str:
    """What code prints in another process; it is to end well within 30 s."""
    process = python(code, **environment)
    out, err = process.communicate(timeout=30)
    if process.returncode != 0:
        raise AssertionError(f"exit code {process.returncode}\n{out}\n{err}")
    return out


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> bool:
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.05)
    return True


def answers(url: str) -> bool:
    """Whether anybody answers at an address."""
    try:
        raw(f"{url}/api/health")
        return True
    except OSError:
        return False


class Misbehaving:
    """A server that answers what it is told to, one after the other, and notes what it was asked."""

    def __init__(self, *script: tuple[int, dict[str, str], str] | None) -> None:
        """script: status, headers and body of each answer; None cuts the connection. The last is answered ever after."""
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        remaining = list(script)
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                asked.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
                answer = remaining.pop(0) if len(remaining) > 1 else remaining[0]
                if answer is None:
                    self.connection.close()
                    return
                status, headers, body = answer
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

            do_GET = do_POST = do_DELETE = handle_any

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Misbehaving:
        return self

    def __exit__(self, *args: Any) -> None:
        self._server.shutdown()
        self._server.server_close()


def problem(status: int, kind: str, title: str, **members: Any) -> tuple[int, dict[str, str], str]:
    """An answer of application/problem+json."""
    return (
        status,
        {"Content-Type": "application/problem+json"},
        json.dumps({"type": f"urn:headpatching:problem:{kind}", "title": title, "status": status, "detail": "", **members}),
    )
