"""Circuits and sets of nodes: what Python says of them is what the server's files say."""

from __future__ import annotations

import json
import tempfile
import unittest
import xml.dom.minidom
from pathlib import Path

import headpatching as hp
from support import raw, with_pandas

PAIRS = dict(pairs="ioi-generated", count=40)


class Circuits(unittest.TestCase):
    @with_pandas
    def test_a_sweep_is_gone_on_from_to_the_heads_that_do_the_task_together(self) -> None:
        s = hp.sweep("ioi-demo", **PAIRS)
        circuit = s.find_circuit(random=20)
        sheet = raw(f"{circuit.sweep.url}/results")["circuit"]
        self.assertEqual(circuit.sheet, sheet)
        self.assertEqual(sorted(circuit.nodes), ["L2H0", "L2H1", "L2H6", "L2H7"])
        self.assertAlmostEqual(circuit.faithfulness, 1, delta=0.05)
        low, high = circuit.interval or (0.0, 0.0)
        self.assertLess(low, circuit.faithfulness)
        self.assertGreater(high, circuit.faithfulness)
        self.assertEqual(list(circuit.table.name), circuit.nodes)
        self.assertTrue((circuit.table.loss > 0).all())
        self.assertEqual(list(circuit.sizes.nodes), [size["nodes"] for size in sheet["sizes"]])
        self.assertEqual(len(circuit.ranking), 24)
        self.assertEqual(circuit.percentile, 1)
        self.assertIn("that they were not chosen on", circuit.verdict[0])
        self.assertEqual(circuit.sweep.results["timings"]["runsReused"] > 0, True, "the heads' runs were there")
        self.assertEqual(s.find_circuit(random=20).sweep.id, circuit.sweep.id, "the same call returns it at once")
        xml.dom.minidom.parseString(f"<div>{circuit._repr_html_()}</div>")
        with self.assertRaisesRegex(hp.HeadPatchingError, "was not asked for a circuit"):
            s.proof

    def test_its_files_are_those_of_the_command_line(self) -> None:
        circuit = hp.sweep("ioi-demo", **PAIRS, circuit="heads", circuit_random=5).proof
        with tempfile.TemporaryDirectory() as folder:
            saved = circuit.save(Path(folder, "circuit"))
            names = {path.name for path in saved.iterdir()}
            self.assertTrue({"circuit.json", "circuit.html", "circuit.svg", "faithfulness.svg", "circuit.dot"} <= names, names)
            self.assertEqual(json.loads((saved / "circuit.json").read_text())["circuit"], circuit.sheet["circuit"])

    def test_ones_own_circuit_is_proved_as_it_is_and_one_that_cannot_be_is_refused(self) -> None:
        s = hp.sweep("ioi-demo", **PAIRS)
        given = s.find_circuit("heads-and-mlps", given=["L2H6", "M1"], random=0, sizes=[1])
        self.assertEqual(sorted(given.nodes), ["L2H6", "M1"])
        with self.assertRaisesRegex(hp.HeadPatchingError, "M1: this circuit is made of heads"):
            s.find_circuit(given="L2H6,M1")
        with self.assertRaisesRegex(hp.InvalidRequest, "sweep of z"):
            hp.sweep("ioi-demo", **PAIRS, patch="v").find_circuit()

    @with_pandas
    def test_edges_are_those_of_results_json(self) -> None:
        s = hp.sweep("ioi-demo", pairs="ioi-generated", count=10, edges="exact")
        self.assertEqual(len(s.edges), 802)
        strongest = s.edges.loc[s.edges.effect.abs().idxmax()]
        self.assertIn(strongest.edge, ("L2H6->logits", "embed->L2H6.v"))  # what it reads and what it says are about as much
        self.assertTrue(strongest.low < strongest.effect < strongest.high)
        self.assertEqual(list(s.edges.edge), s.results["edges"]["edges"])

    @with_pandas
    def test_edges_that_are_screened_or_adaptive_say_on_how_many_pairs_they_were_patched(self) -> None:
        screened = hp.sweep("ioi-demo", pairs="ioi-generated", count=10, edges="screen", edge_top=7).edges
        self.assertEqual(sorted(set(screened.pairs)), [0, 10])
        self.assertEqual((screened.pairs == 10).sum(), 7)
        self.assertTrue((screened.effect == screened.estimated_effect)[screened.pairs == 0].all())
        adaptive = hp.sweep("ioi-demo", **PAIRS, edges="adaptive").edges.set_index("edge")
        self.assertEqual(adaptive.decision["L2H6->logits"], "above")
        self.assertEqual(set(adaptive.decision), {"above", "below"})
        self.assertTrue((adaptive.low <= adaptive.effect).all())

    @with_pandas
    def test_the_embedding_and_mlps_are_senders_beside_the_heads(self) -> None:
        s = hp.sweep("ioi-demo", **PAIRS, receivers="L2H6.v", senders="all")
        self.assertEqual(list(s.senders.set), ["embed", "M0", "M1", "M2"])
        self.assertGreater(s.senders.effect[0], 0.4)
        self.assertEqual(s.senders.effect[3], 0)
        by_role = hp.sweep("ioi-demo", **PAIRS, receivers="L2H6.v", senders="all", positions="each-role").senders
        strongest = max(zip(by_role.effect, by_role.set))
        self.assertEqual(strongest[1], "embed@S2")

    @with_pandas
    def test_sets_are_patched_together_in_the_order_in_which_they_were_asked_for(self) -> None:
        s = hp.sweep("ioi-demo", **PAIRS, patch_sets=["L2H6", "L2H6,L2H0", "embed"])
        self.assertEqual(list(s.sets.set), ["L2H6", "L2H6,L2H0", "embed"])
        self.assertAlmostEqual(s.sets.effect[0], s.heads.set_index("name").effect["L2H6"], places=4)
        self.assertAlmostEqual(s.sets.effect[2], 1, places=4)
        self.assertTrue((s.sets.low <= s.sets.effect).all())
