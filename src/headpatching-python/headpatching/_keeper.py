"""Runs a server for as long as the Python process lives that started this file, and not a moment longer.

`python _keeper.py PROGRAM ARGUMENTS...`, with a pipe as standard input whose other end that process holds. However it ends,
also killed, the operating system closes its end, and the read below returns. That is the same on every system, which a
parent-death signal is not, and in whatever thread of a notebook the server was started.
"""

import os
import signal
import subprocess
import sys
import threading

_SECONDS_TO_STOP = 20


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the notebook, not for its server
    server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())

    def stop_when_left() -> None:
        os.read(
            sys.stdin.fileno(), 1
        )  # nothing is ever written: it returns at the end. Not sys.stdin.read(), whose lock may outlive main()
        server.terminate()  # it leaves its sweeps as they are, and the next server goes on with them
        try:
            server.wait(_SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            server.kill()

    threading.Thread(target=stop_when_left, daemon=True).start()
    return server.wait()


if __name__ == "__main__":
    sys.exit(main())
