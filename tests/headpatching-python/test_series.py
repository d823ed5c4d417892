"""One sweep of several models from Python."""

from __future__ import annotations

import shutil
import tempfile
import unittest
import xml.dom.minidom
from pathlib import Path

import headpatching as hp
from support import DEMO_MODEL, HAS_NUMPY, raw


class Series(unittest.TestCase):
    """Checkpoints of which two are the same: the demo model under two names."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(hp.stop_server)
        self.models = [Path(shutil.copytree(DEMO_MODEL, Path(folder.name, name))) for name in ("step-2", "step-10")]
        hp.start_server(models=folder.name)

    def test_effects_are_those_of_each_models_sweep(self) -> None:
        series = hp.series(["step-2", "step-10"], "ioi", patch="v")
        self.assertEqual((series.status, series.models), ("completed", ["step-2", "step-10"]))
        effects = series.effects.tolist() if HAS_NUMPY else series.effects
        self.assertEqual(effects, [raw(f"{sweep.url}/results")["heatmap"] for sweep in series.sweeps])
        self.assertEqual([sweep.model for sweep in series.sweeps], series.models)
        self.assertEqual(list(series.head("L2H6")), [model[2][6] for model in effects])
        with self.assertRaisesRegex(hp.HeadPatchingError, "L0H0 to L2H7"):
            series.head("L9H9")
        self.assertEqual(set(series.important), set(series.sweeps[0].important))
        self.assertEqual(series.results["models"][1]["sameAs"], "step-2")
        self.assertIn("step-10", xml.dom.minidom.parseString(series._repr_html_()).documentElement.toxml())
        with tempfile.TemporaryDirectory() as folder:
            page = series.report(Path(folder, "series.html"))
            self.assertIn("over 2 models", Path(page).read_text(encoding="utf-8"))

        self.assertEqual(hp.series(["step-2", "step-10"], "ioi", patch="v").id, series.id)
        self.assertNotEqual(hp.series(["step-10", "step-2"], "ioi", patch="v").id, series.id)
        self.assertEqual(hp.series(self.models, "ioi", patch="v").id, series.id, "by their folders")
        series.delete()
        with self.assertRaises(hp.NotFound):
            series.refresh()

    def test_every_model_is_checked(self) -> None:
        with self.assertRaises(hp.InvalidRequest) as refused:
            hp.series(["step-2", "nowhere", "neither"])
        self.assertEqual([fault.where for fault in refused.exception.faults], ["models[1]", "models[2]"])
        for too_few in (["step-2"], "step-2"):
            with self.assertRaisesRegex(hp.InvalidRequest, "two models or more"):
                hp.series(too_few)

    def test_one_that_failed_is_swept_again(self) -> None:
        pairs = [([1, 2], [1], 3, 4)]
        with self.assertRaisesRegex(hp.SweepFailed, r"pairs\[0\]"):
            hp.series(["step-2", "step-10"], pairs)
        with self.assertRaises(hp.SweepFailed):
            hp.series(["step-2", "step-10"], pairs)
        self.assertEqual(len(hp.sweeps(status="failed", model="step-2")), 1, "in place of the first")


if __name__ == "__main__":
    unittest.main()
