"""The notebooks run from their first cell to their last, and show what they were committed with."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import unittest
import unittest.mock
from pathlib import Path
from typing import Any

import headpatching

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
_NUMBER = re.compile(r"[-−]?\d+\.\d+")
_CHANGES = re.compile(r"<(Sweep|Circuit of) \w+")


def _can_run() -> bool:
    return all(importlib.util.find_spec(name) for name in ("nbclient", "ipykernel", "numpy", "pandas"))


@unittest.skipUnless(_can_run(), "nbclient, ipykernel, numpy and pandas are not all installed")
class Notebooks(unittest.TestCase):
    def test_each_runs_and_shows_what_it_shows_as_committed(self) -> None:
        import nbformat

        sys.path.insert(0, str(NOTEBOOKS))
        try:
            from execute import executed  # type: ignore[import-not-found]
        finally:
            sys.path.remove(str(NOTEBOOKS))
        paths = sorted(NOTEBOOKS.glob("*.ipynb"))
        self.assertTrue(paths)
        for path in paths:
            with self.subTest(path.name):
                self.assertLess(path.stat().st_size, 64 * 1024)
                committed = nbformat.read(path, as_version=4)
                with unittest.mock.patch.dict(os.environ, PYTHONPATH=str(Path(headpatching.__file__).parents[1])):
                    now = executed(path)
                for before, after in zip(committed.cells, now.cells, strict=True):
                    self.check(_shown(before), _shown(after), before.source)

    def check(self, expected: list[str], got: list[str], source: str) -> None:
        """The same words, and numbers as near as other processors come."""
        self.assertEqual([_words(text) for text in expected], [_words(text) for text in got], source)
        for before, after in zip(_numbers(expected), _numbers(got), strict=True):
            self.assertAlmostEqual(before, after, delta=0.11 if abs(before) > 1 else 0.002, msg=source)


def _shown(cell: Any) -> list[str]:
    outputs = cell.get("outputs", [])
    return [output["data"]["text/plain"] for output in outputs if output["output_type"] == "execute_result"]


def _words(text: str) -> list[str]:
    return _NUMBER.sub("", _CHANGES.sub(r"<\1", text)).split()


def _numbers(texts: list[str]) -> list[float]:
    return [float(number.replace("−", "-")) for text in texts for number in _NUMBER.findall(text)]
