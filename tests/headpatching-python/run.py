"""Runs the tests of the Python client against the program that HEADPATCHING_PROGRAM names.

    HEADPATCHING_PROGRAM=FOLDER/headpatch python3 tests/headpatching-python/run.py [NAME...]

With names only tests whose id has one of them in it. Ends with a summary in the form of `dotnet test`'s; exit code 1 where a test fails.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import unittest
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent


class PrintedResult(unittest.TextTestResult):
    """Prints a line for each test, with its time; of a failure also why."""

    def startTest(self, test: unittest.TestCase) -> None:
        super(unittest.TextTestResult, self).startTest(test)
        self._started = time.monotonic()

    def addSuccess(self, test: unittest.TestCase) -> None:
        super(unittest.TextTestResult, self).addSuccess(test)
        print(f"passed {test.id()} ({time.monotonic() - self._started:.1f} s)", flush=True)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super(unittest.TextTestResult, self).addSkip(test, reason)
        print(f"skipped {test.id()} {reason}", flush=True)

    def addFailure(self, test: unittest.TestCase, err: object) -> None:
        super(unittest.TextTestResult, self).addFailure(test, err)  # type: ignore[arg-type]
        print(f"failed {test.id()}\n{self.failures[-1][1]}", flush=True)

    def addError(self, test: unittest.TestCase, err: object) -> None:
        super(unittest.TextTestResult, self).addError(test, err)  # type: ignore[arg-type]
        print(f"failed {test.id()}\n{self.errors[-1][1]}", flush=True)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: object) -> None:
        super(unittest.TextTestResult, self).addSubTest(test, subtest, err)  # type: ignore[arg-type]
        if err is not None:
            print(f"failed {subtest.id()}\n{(self.failures + self.errors)[-1][1]}", flush=True)

    def printErrors(self) -> None:
        pass  # they are printed where they happen


def tests_of(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for part in suite:
        if isinstance(part, unittest.TestSuite):
            yield from tests_of(part)
        else:
            yield part


def main() -> int:
    program = os.environ.get("HEADPATCHING_PROGRAM", "")
    if not Path(program).is_file():
        print("Set HEADPATCHING_PROGRAM to the program headpatch that is to be tested against.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="headpatching-tests-") as folder:
        # The tests use the default store, and find it in here; so are the logs of servers that they kill.
        os.environ["XDG_DATA_HOME"] = os.environ["TMPDIR"] = tempfile.tempdir = folder
        for variable in ("HEADPATCHING_URL", "HEADPATCHING_KEY", "HEADPATCHING_MODELS"):
            os.environ.pop(variable, None)
        sys.path[:0] = [str(HERE.parents[1] / "src" / "headpatching-python"), str(HERE)]
        found = tests_of(unittest.TestLoader().discover(str(HERE), top_level_dir=str(HERE)))
        wanted = [test for test in found if not sys.argv[1:] or any(name in test.id() for name in sys.argv[1:])]
        with open(os.devnull, "w") as nowhere:
            result = unittest.TextTestRunner(stream=nowhere, resultclass=PrintedResult).run(unittest.TestSuite(wanted))

        import headpatching

        headpatching.stop_server()
    failed = len({test.id() for test, _ in result.failures + result.errors})
    skipped = len(result.skipped)
    print(f"  total: {result.testsRun}\n  failed: {failed}\n  succeeded: {result.testsRun - failed - skipped}\n  skipped: {skipped}")
    return 0 if result.wasSuccessful() and result.testsRun > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
