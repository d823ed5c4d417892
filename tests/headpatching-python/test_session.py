"""The server that the package starts: found, shared, ended with its process, started again; Ctrl-C; and the package itself."""

from __future__ import annotations

import importlib.util
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import types
import unittest
import zipfile
from pathlib import Path
from unittest import mock

import headpatching as hp
from support import DEMO_MODEL, PACKAGE, answers, python, run_python, wait_until

START = "import headpatching as hp, time; c = hp.start_server(); print(c.url, flush=True)\n"


def server_processes() -> list[int]:
    """The servers that this process has, by their ids: the children of its keeper."""
    keeper = hp.connect()._own._process.pid  # type: ignore[union-attr]
    return [int(child) for child in Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()]


class OwnServer(unittest.TestCase):
    @classmethod
    def tearDownClass(cls) -> None:
        hp.stop_server()

    def test_one_server_for_the_session(self) -> None:
        url = hp.connect().url
        hp.sweep()
        self.assertEqual(hp.connect().url, url)
        self.assertRegex(url, r"^http://127\.0\.0\.1:\d+$")

    def test_it_ends_with_its_process(self) -> None:
        url = run_python(START).strip()
        self.assertFalse(answers(url))

    def test_it_ends_with_a_process_that_is_killed(self) -> None:
        process = python(START + "time.sleep(60)")
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        self.assertTrue(answers(url))
        process.kill()
        process.communicate()
        self.assertTrue(wait_until(lambda: not answers(url)))

    def test_a_server_that_was_killed_is_started_again(self) -> None:
        url = hp.connect().url
        s = hp.sweep(pairs="ioi-generated", count=800, seed=4, wait=False)
        for process in server_processes():
            os.kill(process, signal.SIGKILL)
        with mock.patch("sys.stderr"):
            self.assertEqual(s.wait().results["dataset"]["pairs"], 800)
        self.assertEqual(hp.connect().url, url)

    def test_a_model_folder(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.addCleanup(hp.stop_server)
            mine = Path(shutil.copytree(DEMO_MODEL, Path(folder, "a", "mine")))
            url = hp.connect().url
            s = hp.sweep(mine)
            self.assertEqual((s.model, s.results["heatmap"]), ("mine", hp.sweep().results["heatmap"]))
            self.assertEqual(hp.connect().url, url)
            self.assertEqual(hp.sweep(f"{folder}/a/mine").id, s.id)
            self.assertEqual(hp.sweep("mine").id, s.id, "by its name, once it is known")

            other = shutil.copytree(DEMO_MODEL, Path(folder, "b", "mine"))
            with self.assertRaisesRegex(hp.InvalidRequest, "another model of the name 'mine'"):
                hp.sweep(other)
            with self.assertRaisesRegex(hp.InvalidRequest, "no config.json"):
                hp.sweep(f"{folder}/a")

            os.utime(mine / "config.json", ns=(1, 1))  # as another model in its place would
            self.assertNotEqual(hp.sweep(mine).id, s.id)

    def test_a_folder_of_models(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(DEMO_MODEL, Path(folder, "one"))
            self.addCleanup(hp.stop_server)
            hp.start_server(models=folder)
            self.assertEqual([model.name for model in hp.models()], ["ioi-demo", "one"])
            self.assertEqual(hp.sweep("one").status, "completed")

    def test_names_and_places_are_seen_from_here(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(DEMO_MODEL, Path(folder, "tiny"))
            before = os.getcwd()
            os.chdir(folder)
            try:
                hp.start_server(store="store")
                with self.assertRaisesRegex(hp.InvalidRequest, "as a folder it is './tiny'"):
                    hp.sweep("tiny")
                self.assertTrue(Path(folder, "store").is_dir(), "a store is where it is from here")
                self.addCleanup(hp.stop_server)
            finally:
                os.chdir(before)
        self.assertEqual(hp.sweep().status, "completed", "the server does not stand in a folder that is gone")

    def test_no_program(self) -> None:
        hp.stop_server()
        with mock.patch.dict(os.environ, {"PATH": "/nonexistent"}):
            del os.environ["HEADPATCHING_PROGRAM"]
            with self.assertRaises(hp.Unreachable) as raised:
                hp.sweep()
        for way in ("HEADPATCHING_URL", "HEADPATCHING_PROGRAM", "PATH", "_program"):
            self.assertIn(way, str(raised.exception))

    def test_a_server_that_cannot_start_says_why(self) -> None:
        with tempfile.NamedTemporaryFile() as file, self.assertRaisesRegex(hp.Unreachable, r"Its log, .*headpatching-server-.*ends:\n.+"):
            hp.start_server(store=f"{file.name}/store")

    def test_ctrl_c_leaves_the_sweep_running(self) -> None:
        url = hp.connect().url
        process = python(
            "import headpatching as hp\n"
            "s = hp.sweep(pairs='ioi-generated', count=4000, seed=6, wait=False); print(s.id, flush=True); s.wait()",
            HEADPATCHING_URL=url,
        )
        assert process.stdout is not None
        sweep_id = process.stdout.readline().strip()
        self.assertTrue(wait_until(lambda: hp.get(sweep_id).status == "running"))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        self.assertIn(f"hp.get('{sweep_id}')", said)
        self.assertIn("KeyboardInterrupt", said)
        s = hp.get(sweep_id)
        self.assertIn(s.status, ("running", "completed"))
        s.delete()

    def test_a_terminal_has_a_line_and_a_pipe_nothing(self) -> None:
        code = "import headpatching as hp; hp.sweep(pairs='ioi-generated', count=60, seed=7, again=True)"
        environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "HEADPATCHING_URL": hp.connect().url}
        reading, writing = pty.openpty()
        process = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=writing)
        os.close(writing)
        said = b""
        try:
            while piece := os.read(reading, 4096):
                said += piece
        except OSError:
            pass  # how a terminal on Linux ends
        process.wait(20)
        os.close(reading)
        self.assertRegex(said.decode(), r"\r.*k[0-9a-f]{24} (queued|running).*, 0:0\d")
        self.assertEqual(subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, timeout=20).stderr, b"")

    def test_a_notebook_has_an_output_that_updates(self) -> None:
        shown: list[str] = []
        handle = types.SimpleNamespace(update=shown.append)
        notebook = types.SimpleNamespace(
            get_ipython=lambda: types.SimpleNamespace(kernel=object()),
            display=types.SimpleNamespace(HTML=str, display=lambda first, display_id: handle),
        )
        with mock.patch.dict(sys.modules, IPython=notebook):
            hp.sweep(pairs="ioi-generated", count=60, seed=8, again=True)
        self.assertRegex(shown[0], "<svg|<div")
        self.assertEqual(shown[-1], "")


class Package(unittest.TestCase):
    def test_without_numpy_and_pandas(self) -> None:
        out = run_python(
            "import sys; sys.modules['numpy'] = sys.modules['pandas'] = None\n"
            "import headpatching as hp; from headpatching import patching\n"
            "s = hp.sweep()\n"
            "assert s.effects == s.results['heatmap'] and s.intervals[2][6] == s.results['heads'][22]['confidenceInterval']\n"
            "assert s.top(1)[0].name == 'L2H6' and s.heads[0].layer == 0 and len(s.pairs) == 5 * 24\n"
            "c = hp.sweep(direction='noise').compare(s)\n"
            "assert len(c.difference) == 3 and len(c.intervals[2][6]) == 2 and len(c.heads) == 24 and c.moved == [], c\n"
            "p = s.results['pairs']\n"
            "corrupted, clean = [x['corruptedTokens'] for x in p], [x['cleanTokens'] for x in p]\n"
            "got = patching.get_act_patch_attn_head_pattern_by_pos('ioi-demo', corrupted, clean, hp.KLDivergence())\n"
            "print(len(got), len(got[0]), len(got[0][0]), 'L2H6' in s._repr_html_(), '<svg' in c._repr_html_())\n"
            "try: hp.sweep(pairs='ioi-generated', count=1200).pairs\n"
            "except hp.HeadPatchingError as e: print('effects.parquet' in str(e))\n"
        )
        self.assertEqual(out.split(), ["3", "8", "15", "True", "True", "True"])

    def test_the_code_of_the_readme_runs(self) -> None:
        blocks = re.findall(r"```python\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)
        self.assertGreater(len(blocks), 5)
        with tempfile.TemporaryDirectory() as folder:
            out = run_python(f"import os; os.chdir({folder!r})\n" + "\n".join(blocks))
            self.assertTrue(Path(folder, "ioi-z", "report.html").is_file())
        self.assertIn("Did you mean 'patch'?", out)

    def test_importing_it_starts_and_imports_nothing_more(self) -> None:
        out = run_python(
            "import sys, headpatching; print([m for m in ('numpy', 'pandas', 'IPython', 'pyarrow') if m in sys.modules])",
            HEADPATCHING_PROGRAM="/nonexistent",
        )
        self.assertEqual(out.strip(), "[]")

    def test_its_version_is_the_programs(self) -> None:
        said = subprocess.run([os.environ["HEADPATCHING_PROGRAM"], "--version"], check=True, capture_output=True, text=True, timeout=50)
        number, _, suffix = said.stdout.strip().partition("+")[0].partition("-")  # 2.0.0-dev+COMMIT is Python's 2.0.0.dev0
        self.assertEqual(hp.__version__, f"{number}.{suffix}0" if suffix else number)
        citation = Path(__file__).parents[2].joinpath("CITATION.cff").read_text(encoding="utf-8")
        self.assertIn(f"\nversion: {number}-{suffix}\n" if suffix else f"\nversion: {number}\n", citation)

    def test_it_is_typed_and_every_public_name_is_documented(self) -> None:
        self.assertTrue((PACKAGE / "headpatching" / "py.typed").is_file())
        for name in hp.__all__:
            if not name.startswith("__") and name not in ("Aggregation", "Metric", "Patch"):
                self.assertTrue(getattr(hp, name).__doc__, name)

    @unittest.skipUnless(
        importlib.util.find_spec("setuptools") and importlib.util.find_spec("wheel"), "setuptools and wheel are not installed"
    )
    def test_a_wheel_is_for_all_platforms_and_one_that_carries_the_program_for_its_own(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            source = shutil.copytree(
                PACKAGE, Path(folder, "source"), ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info", "_program")
            )
            name, names = self.wheel_of(source, Path(folder, "pure"))
            self.assertEqual(name, f"headpatching-{hp.__version__}-py3-none-any.whl")
            for file in ("headpatching/__init__.py", "headpatching/patching.py", "headpatching/py.typed"):
                self.assertIn(file, names)

            (source / "headpatching" / "_program").mkdir()
            (source / "headpatching" / "_program" / "headpatch").write_text("the program")
            name, names = self.wheel_of(source, Path(folder, "whole"))
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            self.assertEqual(name, f"headpatching-{hp.__version__}-py3-none-{platform}.whl")
            self.assertIn("headpatching/_program/headpatch", names)

    def wheel_of(self, source: Path, folder: Path) -> tuple[str, list[str]]:
        """The name of the wheel of a package's source, and the files in it."""
        folder.mkdir()
        subprocess.run(
            [sys.executable, "-c", f"from setuptools import build_meta; build_meta.build_wheel({str(folder)!r})"],
            cwd=source,
            check=True,
            capture_output=True,
            timeout=50,
        )
        [wheel] = folder.glob("*.whl")
        return wheel.name, zipfile.ZipFile(wheel).namelist()


if __name__ == "__main__":
    unittest.main()
