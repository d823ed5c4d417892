"""`headpatching.patching`: the shapes and axis orders of `transformer_lens.patching`, the values of raw results, and comparisons."""

from __future__ import annotations

import unittest
import urllib.request
import xml.dom.minidom
from typing import Any

import headpatching as hp
from headpatching import patching
from support import raw, with_numpy


class AsTransformerLens(unittest.TestCase):
    """On the five sentences of ioi, as tokens."""

    clean: list[list[int]]
    corrupted: list[list[int]]
    metric: hp.LogitDifference

    @classmethod
    def setUpClass(cls) -> None:
        pairs = hp.sweep().results["pairs"]
        cls.clean = [pair["cleanTokens"] for pair in pairs]
        cls.corrupted = [pair["corruptedTokens"] for pair in pairs]
        cls.metric = hp.LogitDifference([pair["correct"] for pair in pairs], [pair["incorrect"] for pair in pairs])

    def expected(self, **options: Any) -> Any:
        """The mean over pairs of what a sweep of the dataset itself measured in its patched runs, from the raw answer."""
        import numpy

        pairs = raw(f"{hp.sweep(**options).url}/results")["pairs"]
        member = "patchedMetricByPosition" if options["positions"] == "each" else "patchedMetric"
        return numpy.mean([pair[member] for pair in pairs], axis=0)

    def check(self, got: Any, expected: Any) -> None:
        import numpy

        self.assertEqual(got.shape, expected.shape)
        numpy.testing.assert_allclose(got, expected, atol=1e-5)

    @with_numpy
    def test_heads_at_all_positions(self) -> None:
        for name, patch in (("out", "z"), ("q", "q"), ("k", "k"), ("v", "v"), ("pattern", "pattern")):
            with self.subTest(name):
                function = getattr(patching, f"get_act_patch_attn_head_{name}_all_pos")
                got = function("ioi-demo", self.corrupted, hp.CleanRun(self.clean), self.metric)
                self.assertEqual(got.shape, (3, 8))
                self.check(got, self.expected(patch=patch, positions="all"))

    @with_numpy
    def test_heads_by_position(self) -> None:
        for name, patch in (("out", "z"), ("q", "q"), ("k", "k"), ("v", "v")):
            with self.subTest(name):
                function = getattr(patching, f"get_act_patch_attn_head_{name}_by_pos")
                got = function("ioi-demo", self.corrupted, self.clean, self.metric)
                self.assertEqual(got.shape, (3, 15, 8), "[layer, pos, head]")
                self.check(got, self.expected(patch=patch, positions="each"))

    @with_numpy
    def test_pattern_by_position_has_heads_before_positions(self) -> None:
        got = patching.get_act_patch_attn_head_pattern_by_pos("ioi-demo", self.corrupted, self.clean, self.metric)
        self.assertEqual(got.shape, (3, 8, 15), "[layer, head, dest_pos]")
        self.check(got, self.expected(patch="pattern", positions="each").transpose(0, 2, 1))

    @with_numpy
    def test_layers_by_position(self) -> None:
        for patch in ("resid_pre", "resid_mid", "attn_out", "mlp_out"):
            with self.subTest(patch):
                got = getattr(patching, f"get_act_patch_{patch}")("ioi-demo", self.corrupted, self.clean, self.metric)
                self.assertEqual(got.shape, (3, 15), "[layer, pos]")
                self.check(got, self.expected(patch=patch, positions="each")[:, :, 0])

    @with_numpy
    def test_every(self) -> None:
        arguments = ("ioi-demo", self.corrupted, self.clean, self.metric)
        heads = patching.get_act_patch_attn_head_all_pos_every(*arguments)
        self.assertEqual(heads.shape, (5, 3, 8))
        self.check(heads[3], patching.get_act_patch_attn_head_v_all_pos(*arguments))
        places = patching.get_act_patch_attn_head_by_pos_every(*arguments)
        self.assertEqual(places.shape, (5, 3, 15, 8))
        self.check(places[4], patching.get_act_patch_attn_head_pattern_by_pos(*arguments).transpose(0, 2, 1))
        blocks = patching.get_act_patch_block_every(*arguments)
        self.assertEqual(blocks.shape, (3, 3, 15))
        self.check(blocks[2], patching.get_act_patch_mlp_out(*arguments))

    @with_numpy
    def test_normalised_is_the_ratio_of_means(self) -> None:
        got = patching.get_act_patch_attn_head_out_all_pos("ioi-demo", self.corrupted, self.clean, self.metric, normalised=True)
        self.check(got, hp.sweep(aggregation="ratio-of-means").effects)

    @with_numpy
    def test_metrics_of_one_answer_and_of_none(self) -> None:
        for metric, name in (
            (hp.LogProbability(self.metric.correct), "log-probability"),
            (hp.KLDivergence(), "kl-divergence"),
            (hp.Rank(self.metric.correct), "rank"),
        ):
            with self.subTest(name):
                got = patching.get_act_patch_attn_head_out_all_pos("ioi-demo", self.corrupted, self.clean, metric)
                self.check(got, self.expected(positions="all", metric=name))

    @with_numpy
    def test_a_metric_of_tokens_and_weights(self) -> None:
        right, wrong = self.metric.correct[0], self.metric.incorrect[0]
        got = patching.get_act_patch_attn_head_out_all_pos("ioi-demo", self.corrupted, self.clean, hp.TokenWeights({right: 1, wrong: -1}))
        expected = patching.get_act_patch_attn_head_out_all_pos("ioi-demo", self.corrupted, self.clean, hp.LogitDifference(right, wrong))
        self.check(got, expected)

    @with_numpy
    def test_arrays_one_prompt_and_a_bound_model(self) -> None:
        import numpy

        one = patching.get_act_patch_attn_head_out_all_pos(
            hp.connect().model("ioi-demo"),
            numpy.array(self.corrupted[0]),
            hp.CleanRun(numpy.array(self.clean[0])),
            hp.LogitDifference(numpy.int64(self.metric.correct[0]), self.metric.incorrect[0]),
        )
        self.check(one, numpy.array(hp.sweep().results["pairs"][0]["patchedMetric"]))

    def test_what_cannot_be_is_said(self) -> None:
        with self.assertRaisesRegex(hp.InvalidRequest, "no function of the logits"):
            patching.get_act_patch_resid_pre("ioi-demo", self.corrupted, self.clean, lambda logits: 0.0)  # type: ignore[arg-type]
        with self.assertRaisesRegex(hp.InvalidRequest, r"one shape \[batch, pos\]"):
            patching.get_act_patch_resid_pre("ioi-demo", self.corrupted[:2], self.clean, self.metric)
        with self.assertRaisesRegex(hp.InvalidRequest, "5 answers for 2 rows"):
            patching.get_act_patch_resid_pre("ioi-demo", self.corrupted[:2], self.clean[:2], self.metric)


class Compared(unittest.TestCase):
    @with_numpy
    def test_two_directions_on_the_same_pairs(self) -> None:
        import numpy

        noise, denoise = hp.sweep(pairs="ioi-generated", count=30, direction="noise"), hp.sweep(pairs="ioi-generated", count=30)
        comparison = noise.compare(denoise)
        self.assertEqual(comparison.pairs, 30)
        numpy.testing.assert_allclose(comparison.difference, noise.effects - denoise.effects, atol=1e-9)
        self.assertEqual(comparison.intervals.shape, (3, 8, 2))
        inside = (comparison.intervals[..., 0] <= comparison.difference + 1e-12) & (
            comparison.difference - 1e-12 <= comparison.intervals[..., 1]
        )
        self.assertTrue(inside.all())
        numpy.testing.assert_array_equal(noise.compare(denoise).intervals, comparison.intervals, "the same seed, the same intervals")
        numpy.testing.assert_allclose(denoise.compare(noise).difference, -comparison.difference)
        # The spread of the bootstrap is that of the mean of the pairs' differences.
        per_pair = numpy.array([pair["patchingEffect"] for pair in noise.results["pairs"]]) - numpy.array(
            [pair["patchingEffect"] for pair in denoise.results["pairs"]]
        )
        expected = 2 * 1.96 * per_pair.std(axis=0) / 30**0.5
        width = comparison.intervals[..., 1] - comparison.intervals[..., 0]
        self.assertLess(abs(width[2, 6] / expected[2, 6] - 1), 0.15)

    @with_numpy
    def test_ratios_of_means(self) -> None:
        import numpy

        a, b = hp.sweep(aggregation="ratio-of-means", direction="noise"), hp.sweep(aggregation="ratio-of-means")
        numpy.testing.assert_allclose(a.compare(b).difference, a.effects - b.effects, atol=1e-9)

    @with_numpy
    def test_a_sweep_with_itself_and_with_pairs_in_another_order(self) -> None:
        s = hp.sweep()
        self.assertEqual(len(s.compare(s).moved), 0)
        turned = hp.sweep(
            pairs=[hp.Pair(p["cleanTokens"], p["corruptedTokens"], p["correct"], p["incorrect"]) for p in reversed(s.results["pairs"])]
        )
        self.assertEqual(turned.compare(s).pairs, 5)
        self.assertLess(abs(turned.compare(s).difference).max(), 1e-6)

    @with_numpy
    def test_without_common_pairs_the_intervals_are_of_two_samples(self) -> None:
        import numpy

        a, b = hp.sweep(pairs="ioi-generated"), hp.sweep()
        comparison = a.compare(b)
        self.assertEqual(comparison.pairs, 0)
        numpy.testing.assert_allclose(comparison.difference, a.effects - b.effects, atol=1e-12)
        self.assertFalse(numpy.isnan(comparison.intervals).any())
        self.assertIn("no common pairs", repr(comparison))
        self.assertTrue(any("no pairs in common" in note for note in comparison.notes))
        few = hp.sweep(pair_indices=[0, 1]).compare(hp.sweep())
        self.assertEqual(few.pairs, 2)
        self.assertTrue(numpy.isnan(few.intervals).all())

    def test_what_moved_is_what_the_server_says(self) -> None:
        s, other = hp.sweep(pairs="ioi-generated", count=30, metric="probability"), hp.sweep(pairs="ioi-generated", count=30)
        comparison = s.compare(other)
        answer = raw(f"{s.client.url}/api/compare?a={other.id}&b={s.id}")
        self.assertEqual(comparison.summary, answer["summary"])
        self.assertEqual(comparison.results, answer)
        self.assertIn("moved: L2H6", repr(comparison))
        with urllib.request.urlopen(comparison.url, timeout=30) as page:
            self.assertIn(b"Two sweeps side by side", page.read())

    def test_html(self) -> None:
        text = hp.sweep(direction="noise").compare(hp.sweep())._repr_html_()
        cells = xml.dom.minidom.parseString(text).getElementsByTagName("title")
        self.assertEqual(len(cells), 24)
        self.assertIn("noise minus denoise", text)

    def test_heads_are_not_compared_with_layers(self) -> None:
        with self.assertRaisesRegex(hp.HeadPatchingError, "models of one shape"):
            hp.sweep().compare(hp.sweep(patch="attn_out"))


if __name__ == "__main__":
    unittest.main()
