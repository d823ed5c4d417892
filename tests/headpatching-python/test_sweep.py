"""Sweeps as a notebook makes them: pairs of every form, what they found, asked again, listed, cancelled, shown."""

from __future__ import annotations

import asyncio
import csv
import json
import math
import subprocess
import tempfile
import unittest
import xml.dom.minidom
from pathlib import Path

import headpatching as hp
from support import HAS_PARQUET, PROGRAM, raw, with_numpy, with_pandas

CLEAN = "When Mary and John went to the store, John gave a drink to"
CORRUPTED = "When Mary and John went to the store, Mary gave a drink to"


class Found(unittest.TestCase):
    """What a sweep found is what the server's files say."""

    @with_numpy
    def test_effects_and_intervals_are_those_of_results_json(self) -> None:
        s = hp.sweep("ioi-demo", "ioi", patch="z")
        results = raw(f"{s.url}/results")
        self.assertEqual(s.results, results)
        self.assertEqual(s.effects.shape, (3, 8))
        self.assertEqual(s.effects.tolist(), results["heatmap"])
        self.assertEqual(s.intervals.shape, (3, 8, 2))
        self.assertEqual(s.intervals[2, 6].tolist(), results["heads"][22]["confidenceInterval"])
        self.assertAlmostEqual(s.effects[2, 6], 0.669, places=3)
        self.assertEqual(s.important, ["L2H6", "L2H0", "L2H1"])

    @with_pandas
    def test_heads_equal_the_command_lines_heads_csv(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([PROGRAM, "sweep", "--patch", "v", "--out", folder], check=True, capture_output=True, timeout=60)
            with open(Path(folder, "heads.csv"), newline="") as file:
                lines = list(csv.DictReader(file))
        s = hp.sweep(patch="v")
        self.assertEqual(list(s.heads.name), [line["name"] for line in lines])
        for column, name in (
            ("effect", "patchingEffect"),
            ("low", "confidenceLow"),
            ("high", "confidenceHigh"),
            ("patched", "patchedMetric"),
            ("joint_low", "jointLow"),
            ("joint_high", "jointHigh"),
            ("in_top_5", "inTop5"),
        ):
            self.assertEqual(list(s.heads[column]), [float(line[name]) for line in lines], column)
        self.assertEqual([str(sure).lower() for sure in s.heads.excludes_zero], [line["excludesZero"] for line in lines])
        ids = [sweep.id for sweep in hp.sweeps()]
        self.assertTrue(any(found.startswith("c") for found in ids), "the command line's sweep is in the same store, and listed")

    @with_pandas
    def test_an_adaptive_sweep_says_what_was_decided_and_has_the_runs_that_were_made(self) -> None:
        exact = hp.sweep("ioi-demo", "ioi-generated", count=120)
        s = hp.sweep("ioi-demo", "ioi-generated", count=120, method="adaptive", confidence=0.9)
        self.assertEqual(s.important, exact.important)
        self.assertEqual(s.results["adaptive"]["confidence"], 0.9)
        self.assertEqual(list(s.heads.decision == "above"), [abs(effect) > 0.1 for effect in exact.heads.effect])
        for one, other in zip(s.heads.itertuples(), exact.heads.effect):
            self.assertTrue(one.anytime_low - 1e-6 <= other <= one.anytime_high + 1e-6, one)
        self.assertEqual(len(s.pairs), s.results["adaptive"]["runs"])
        self.assertEqual(list(s.pairs.groupby(["layer", "head"]).size()), list(s.heads.pairs_run))
        self.assertEqual(s.top(1, by="sure").name.tolist(), ["L2H6"])
        self.assertEqual(str(s.progress), "done 24 of 24 heads decided by {:,} of 2,880 runs".format(s.results["adaptive"]["runs"]))
        self.assertIn("<svg", s._repr_html_())

    @with_pandas
    def test_top_is_of_largest_effect_first(self) -> None:
        top = hp.sweep().top(4)
        self.assertEqual(list(top.name), ["L2H6", "L2H0", "L2H1", "L2H7"])
        sure = hp.sweep(pairs="ioi-generated", count=100).top(2, by="sure")
        self.assertEqual(list(sure.name), ["L2H6", "L2H0"])
        self.assertEqual(list(sure.excludes_threshold), [True, True])
        with self.assertRaisesRegex(ValueError, "'effect' or by 'sure'"):
            hp.sweep().top(2, by="size")

    @with_numpy
    @with_pandas
    def test_by_position(self) -> None:
        s = hp.sweep(positions="each")
        self.assertEqual(s.effects_by_position.tolist(), s.results["heatmapByPosition"])
        self.assertEqual(s.effects_by_position.shape, (3, 15, 8))
        self.assertEqual(s.effects_by_role.shape, (3, 5, 8))
        self.assertEqual(s.roles, ["IO", "S1", "S1+1", "S2", "END"])
        row = s.pairs.query("pair == 3 and layer == 2 and position == 14 and head == 6").iloc[0]
        self.assertEqual(row.patched, s.results["pairs"][3]["patchedMetricByPosition"][2][14][6])
        self.assertEqual(row.effect, s.results["pairs"][3]["patchingEffectByPosition"][2][14][6])
        with self.assertRaisesRegex(hp.HeadPatchingError, 'positions="each"'):
            hp.sweep().effects_by_position

    @with_pandas
    def test_pairs_by_role_and_at_one_place(self) -> None:
        by_role = hp.sweep(positions="each-role").pairs
        self.assertEqual(sorted(set(by_role.role)), ["END", "IO", "S1", "S1+1", "S2"])
        self.assertEqual(set(by_role.position[by_role.role == "END"]), {14})
        self.assertEqual(set(hp.sweep(positions="S2").pairs.position), {10})
        self.assertEqual(set(hp.sweep(positions=-5).pairs.position), {10})

    @with_numpy
    def test_layers_as_a_whole(self) -> None:
        s = hp.sweep(patch="resid_pre")
        self.assertEqual(s.effects.shape, (3, 1))
        for effect in s.effects[:, 0]:
            self.assertAlmostEqual(effect, 1.0, places=5)
        self.assertEqual(hp.sweep(patch="mlp_out", positions="each").effects_by_position.shape, (3, 15, 1))

    @with_pandas
    def test_more_pairs_than_results_json_has(self) -> None:
        s = hp.sweep(pairs="ioi-generated", count=1200)
        self.assertEqual(s.results["schemaVersion"], 2)
        self.assertEqual(len(s.heads), 24)
        if HAS_PARQUET:
            pairs = s.pairs
            self.assertEqual(len(pairs), 1200 * 24)
            self.assertAlmostEqual(pairs.query("layer == 2 and head == 6").effect.mean(), s.effects[2][6], places=6)
        else:
            with self.assertRaisesRegex(hp.HeadPatchingError, f"{s.url}/effects.parquet.*pyarrow"):
                s.pairs

    def test_save_and_report(self) -> None:
        s = hp.sweep()
        with tempfile.TemporaryDirectory() as folder:
            saved = s.save(Path(folder, "out"))
            self.assertEqual(
                sorted(file.name for file in saved.iterdir()),
                ["effects.parquet", "heads.csv", "heatmap.csv", "heatmap.png", "heatmap.svg", "report.html", "results.json"],
            )
            self.assertEqual(json.loads((saved / "results.json").read_text()), s.results)
            page = s.report(Path(folder, "page.html"))
            self.assertIn("L2H6", Path(page).read_text())
        self.assertEqual(s.report(), f"{s.url}/report")


class Asked(unittest.TestCase):
    """How pairs and options are given, and what is said of them that cannot be."""

    def test_pairs_of_every_form_are_the_same_sweep(self) -> None:
        row = {"clean": CLEAN, "corrupted": CORRUPTED, "correct": " Mary", "incorrect": " John"}
        forms = [[row], [hp.Pair(**row)], [tuple(row.values())]]
        self.assertEqual(len({hp.sweep(pairs=form).id for form in forms}), 1)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "mine.jsonl")
            path.write_text(json.dumps(row) + "\n\n")
            for given in (path, str(path)):
                s = hp.sweep(pairs=given)
                self.assertEqual((s.dataset, len(s.results["pairs"])), ("mine.jsonl", 1))

    @with_pandas
    def test_a_data_frame(self) -> None:
        import pandas

        frame = pandas.DataFrame(
            {
                "clean": [CLEAN],
                "corrupted": [CORRUPTED],
                "correct": [" Mary"],
                "incorrect": [" John"],
                "template": [None],
                "note": ["not sent"],
            }
        )
        self.assertEqual(hp.sweep(pairs=frame).id, hp.sweep(pairs=[(CLEAN, CORRUPTED, " Mary", " John")]).id)
        with self.assertRaisesRegex(hp.InvalidRequest, "pairs.incorrect: The DataFrame has no such column"):
            hp.sweep(pairs=frame.drop(columns="incorrect"))

    def test_a_metric_of_tokens_and_weights(self) -> None:
        difference = hp.sweep(pair_indices=[0]).results["heatmap"]
        s = hp.sweep(pair_indices=[0], metric={" Mary": 1, " John": -1})
        self.assertEqual(s.results["metric"], "token-weights")
        for expected, got in zip(sum(difference, []), sum(s.results["heatmap"], [])):
            self.assertAlmostEqual(expected, got, places=5)
        with self.assertRaisesRegex(hp.InvalidRequest, "tokenWeights"):
            hp.sweep(metric={})

    def test_token_ids_and_roles(self) -> None:
        pair = hp.sweep().results["pairs"][0]
        s = hp.sweep(
            pairs=[hp.Pair(pair["cleanTokens"], pair["corruptedTokens"], [pair["correct"]], pair["incorrect"], roles={"S2": 10})],
            positions="S2",
        )
        self.assertEqual(s.results["pairs"][0]["roles"], {"S2": 10})

    def test_every_fault_of_a_request_is_printed(self) -> None:
        with self.assertRaises(hp.InvalidRequest) as raised:
            hp.sweep("no-such-model", patch="zz", pairs=[("a", "b", "c", "d")])
        self.assertEqual([fault.where for fault in raised.exception.faults], ["patch", "model"])
        self.assertEqual(len(str(raised.exception).splitlines()), 3)

    def test_faults_of_tokenising_are_the_failure_of_the_sweep(self) -> None:
        with self.assertRaises(hp.SweepFailed) as raised:
            hp.sweep(pairs=[("a b", "b", "c", "d")])
        self.assertEqual(raised.exception.status, "failed")
        self.assertEqual(raised.exception.faults[0].where, "pairs[0]")
        self.assertIn("unequal-length", str(raised.exception))
        with self.assertRaises(hp.SweepFailed):
            hp.sweep(pairs=[("a b", "b", "c", "d")])
        with self.assertRaisesRegex(hp.InvalidRequest, "unequal-length"):
            hp.plan(pairs=[("a b", "b", "c", "d")])

    def test_unknown_options_name_what_was_meant(self) -> None:
        with self.assertRaisesRegex(hp.InvalidRequest, "ptach: .*Did you mean 'patch'") as raised:
            hp.sweep(ptach="z", screenTop=2)
        self.assertIn("Did you mean 'screen_top'", str(raised.exception))

    def test_every_option_of_the_api_can_be_given(self) -> None:
        from headpatching import _options

        document = raw(f"{hp.connect().url}/api/openapi.json")
        members = set(document["components"]["schemas"]["SweepRequest"]["properties"]) - {"model", "pairs", "planOnly"}
        asked = {next(iter(_options.to_body({name: ["x"]}))) for name in _options.NAMES} | set(_options.to_body({"metric": {" he": 1}}))
        self.assertEqual(asked, members)
        for name in _options.NAMES:
            self.assertRegex(hp.sweep.__doc__ or "", rf"\b{name}\b")

    def test_files_that_cannot_be_sent(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            broken = Path(folder, "broken.jsonl")
            broken.write_text('{"clean": "a"}\nnot json\n')
            with self.assertRaisesRegex(hp.InvalidRequest, r"broken.jsonl:1: .*no corrupted(.|\n)*broken.jsonl:2: "):
                hp.sweep(pairs=broken)
        with self.assertRaisesRegex(hp.InvalidRequest, "headpatch dataset show"):
            hp.sweep(pairs="data.csv")
        with self.assertRaisesRegex(hp.InvalidRequest, "cannot be read"):
            hp.sweep(pairs="./none.jsonl")
        with self.assertRaisesRegex(hp.InvalidRequest, "more than 10,000 pairs.*dataset push"):
            hp.sweep(pairs=[("a", "b", "c", "d")] * 10_001)
        with self.assertRaisesRegex(hp.InvalidRequest, "MiB"):
            hp.sweep(pairs=[("a" * 30_000, "b" * 30_000, "c", "d")] * 200)

    def test_numbers_that_json_does_not_have(self) -> None:
        with self.assertRaisesRegex(hp.InvalidRequest, "JSON"):
            hp.sweep(threshold=math.nan)

    def test_plan(self) -> None:
        plan = hp.plan(pairs="ioi-generated", count=50)
        self.assertEqual((plan.pairs, plan.patched_runs), (50, 1200))
        self.assertEqual(plan.model["name"], "ioi-demo")


class Again(unittest.TestCase):
    """The same call finds the same sweep."""

    def test_the_same_call_makes_no_second_sweep(self) -> None:
        first = hp.sweep(patch="q", seed=5)
        before = len(hp.sweeps())
        self.assertEqual(hp.sweep(patch="q", seed=5).id, first.id)
        self.assertEqual(len(hp.sweeps()), before)
        self.assertNotEqual(hp.sweep(patch="q", seed=6).id, first.id)
        again = hp.sweep(patch="q", seed=5, again=True)
        self.assertNotEqual(again.id, first.id)
        self.assertEqual(again.results["heatmap"], first.results["heatmap"])

    def test_what_was_cancelled_or_deleted_is_swept_again(self) -> None:
        s = hp.sweep(pairs="ioi-generated", count=3000, seed=1, wait=False)
        with self.assertRaisesRegex(hp.NotFinished, "wait"):
            s.effects
        with self.assertRaises(hp.NotFinished):
            s.wait(timeout=0, progress=False)
        s.cancel()
        with self.assertRaisesRegex(hp.SweepFailed, "cancelled"):
            s.wait()
        anew = hp.sweep(pairs="ioi-generated", count=3000, seed=1, wait=False)
        self.assertEqual(anew.id, s.id)
        self.assertTrue(anew.is_under_way)
        anew.delete()
        with self.assertRaises(hp.NotFound):
            hp.get(anew.id)

    def test_get_and_sweeps(self) -> None:
        s = hp.sweep()
        self.assertEqual(hp.get(s.id).results, s.results)
        with self.assertRaises(hp.NotFound):
            hp.get("k" + "0" * 24)
        with self.assertRaises(hp.NotFound):
            hp.get("../models")
        named = hp.sweep(name="found by its name")
        self.assertEqual([sweep.id for sweep in hp.sweeps(status="completed,failed", model="ioi-demo", search="its FOUND")], [named.id])
        self.assertEqual(hp.sweeps(search="nothing is called so"), [])
        everything = [sweep.id for sweep in hp.sweeps()]
        from headpatching import _client

        page, _client._PAGE = _client._PAGE, 2
        try:
            self.assertEqual([sweep.id for sweep in hp.sweeps()], everything, "page by page")
            self.assertEqual([sweep.id for sweep in hp.sweeps(3)], everything[:3])
        finally:
            _client._PAGE = page

    def test_models_and_datasets(self) -> None:
        self.assertEqual(next(model.heads for model in hp.models() if model.name == "ioi-demo"), 8)
        self.assertIn("ioi-generated", hp.datasets())

    def test_asynchronous(self) -> None:
        async def both() -> list[hp.Sweep]:
            return await asyncio.gather(hp.sweep_async(patch="k"), hp.sweep_async(patch="pattern"))

        k, pattern = asyncio.run(both())
        self.assertEqual(k.id, hp.sweep(patch="k").id)
        self.assertEqual(pattern.status, "completed")

        async def given_up() -> str:
            s = await hp.sweep_async(pairs="ioi-generated", count=3000, seed=2, wait=False)
            waiting = asyncio.create_task(s.wait_async())
            await asyncio.sleep(0.2)
            waiting.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await waiting
            return s.id

        left = hp.get(asyncio.run(given_up()))
        self.assertIn(left.status, ("queued", "running"))
        left.delete()


class Shown(unittest.TestCase):
    """What is seen of a sweep."""

    def test_html_is_well_formed_and_names_heads(self) -> None:
        for options in (
            {},
            {"positions": "each"},
            {"patch": "resid_pre", "positions": "each"},
            {"patch": "attn_out"},
            {"pairs": "ioi-order", "positions": "each-role", "patch": "mlp_out"},
        ):
            with self.subTest(options):
                s = hp.sweep(**options)  # type: ignore[arg-type]
                document = xml.dom.minidom.parseString(s._repr_html_())
                cells = [title.firstChild.data for title in document.getElementsByTagName("title")]
                columns = {"mlp_out": 5}.get(
                    s.results["patch"], 15 if options.get("patch") == "resid_pre" else 1 if "patch" in options else 8
                )
                self.assertEqual(len(cells), 3 * columns)
        self.assertIn("L2H6: 0.669", hp.sweep()._repr_html_())

    def test_names_are_no_markup(self) -> None:
        s = hp.sweep(pairs=[(CLEAN, CORRUPTED, " Mary", " John")], name="<b>\x07 & you")
        text = xml.dom.minidom.parseString(s._repr_html_()).documentElement.toxml()
        self.assertIn("&lt;b&gt;  &amp; you", text)

    def test_html_while_it_runs_and_when_it_failed(self) -> None:
        s = hp.sweep(pairs="ioi-generated", count=3000, seed=3, wait=False)
        self.assertRegex(xml.dom.minidom.parseString(s._repr_html_()).documentElement.toxml(), "queued|running")
        s.cancel()
        with self.assertRaises(hp.SweepFailed):
            s.wait(progress=False)
        self.assertIn("cancelled", s._repr_html_())
        s.delete()
        self.assertIn(s.id, s._repr_html_())

    def test_text(self) -> None:
        s = hp.sweep()
        self.assertIn("L2H6", str(s))
        self.assertIn("██", str(s))
        self.assertNotIn("\n", repr(s))
        self.assertIn(s.id, repr(s))


if __name__ == "__main__":
    unittest.main()
