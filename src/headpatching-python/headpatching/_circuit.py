"""A circuit and its proof: whether some nodes together do the task."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _html, _numbers

if TYPE_CHECKING:
    from ._sweep import Sweep

FILES = (
    "circuit.json",
    "circuit.html",
    "circuit.svg",
    "faithfulness.svg",
    "circuit.dot",
    "circuit.neuronpedia.json",
    "circuit.circuitkit.json",
    "circuit.eap-ig.json",
)
"""The files of a circuit, as `headpatch circuit` names them."""

_MOST_SHOWN = 20


@dataclass(frozen=True)
class CircuitNode:
    """A node of a circuit."""

    name: str
    """`L9H6`, or `M8` for an MLP."""
    effect: float
    """Its patching effect by itself, over the pairs that ranked it."""
    loss: float
    """How much less faithful the circuit is without it alone: a node that loses nothing need not be in it."""
    low: float | None
    """The lower end of the loss's 95 % interval over pairs."""
    high: float | None


@dataclass(frozen=True)
class CircuitSize:
    """The strongest nodes, so many of them."""

    nodes: int
    share: float
    """Of all there are, 0 to 1."""
    faithfulness: float
    """(m(circuit) - m(none)) / (m(all) - m(none)): what of the behaviour they keep with all else as in the corrupted run."""
    low: float | None
    high: float | None
    without: float
    """The faithfulness of everything but these."""
    random_mean: float | None
    """Of random circuits of as many nodes: the mean, the most, and the share of them that are less faithful."""
    random_most: float | None
    percentile: float | None


@dataclass(frozen=True)
class SetEffect:
    """What patching a set of nodes together did."""

    set: str
    """Such as `L9H6,M8@-1`."""
    effect: float
    """0: the patch changed nothing; 1: it made the whole difference between the two runs."""
    standard_error: float | None
    low: float | None
    high: float | None
    patched: float
    """The patched runs' metric, the mean over all pairs."""


@dataclass(frozen=True)
class EdgeEffect:
    """The effect of an edge: one part of the model reads of one other what that wrote in the other run."""

    edge: str
    """Such as `L0H3->L9H6.q`."""
    sender: str
    receiver: str
    effect: float
    """0: the patch changed nothing; 1: it made the whole difference between the two runs."""
    standard_error: float | None
    low: float | None
    high: float | None
    """Ends of the 95 % interval; of adaptive edges of that which holds with those of all others."""
    pairs: int | None = None
    """On how many pairs it was patched: 0, and the effect is an estimate. None where all or none were, on all."""
    estimated_effect: float | None = None
    """Its estimate, of edges that were screened or are adaptive."""
    decision: str | None = None
    """Of adaptive edges whether it is `above` the threshold, `below` it, or `undecided`."""


class Circuit:
    """The nodes that a sweep found to do the task together, and what was shown of them on pairs they were not chosen on.

    Made by `Sweep.find_circuit()` and `Sweep.proof`. What is shown and what not, in words, is `verdict`; read it first.
    """

    def __init__(self, sweep: Sweep, sheet: dict[str, Any]) -> None:
        self.sweep = sweep
        """The sweep that it is part of."""
        self.sheet = sheet
        """The proof sheet as it is in results.json."""

    @property
    def nodes(self) -> list[str]:
        """Its nodes, strongest first."""
        return [node["node"] for node in self.sheet["circuit"]["nodes"]]

    @property
    def verdict(self) -> list[str]:
        """What is shown of it and what is not, a sentence each."""
        return list(self.sheet["verdict"])

    @property
    def faithfulness(self) -> float:
        """What it keeps of the behaviour with every other ranked node as it is in the corrupted run: 1 is all."""
        return float(self.sheet["circuit"]["faithfulness"]["effect"])

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of `faithfulness` over pairs; None over few."""
        low, high = _interval(self.sheet["circuit"]["faithfulness"])
        return None if low is None or high is None else (low, high)

    @property
    def without(self) -> float:
        """What is left of the behaviour when only the circuit is corrupted: near 0, nothing else does it in its place."""
        return float(self.sheet["circuit"]["without"]["effect"])

    @property
    def percentile(self) -> float | None:
        """The share of random circuits of as many nodes that are less faithful."""
        return self.sheet["circuit"].get("percentile")

    @property
    def cpr(self) -> float:
        """The area under faithfulness over the share of nodes (MIB's CPR): larger is better."""
        return float(self.sheet["cpr"])

    @property
    def cmd(self) -> float:
        """The area under |1 - faithfulness| (MIB's CMD): smaller is better."""
        return float(self.sheet["cmd"])

    @property
    def table(self) -> Any:
        """A row for each node, strongest first, with the columns of CircuitNode: a DataFrame, without pandas a list."""
        return _numbers.table(self._nodes(), CircuitNode)

    @property
    def sizes(self) -> Any:
        """A row for each size that was measured, with the columns of CircuitSize: a DataFrame, without pandas a list."""
        return _numbers.table([_size(size) for size in self.sheet["sizes"]], CircuitSize)

    @property
    def ranking(self) -> list[tuple[str, float]]:
        """All nodes of which circuits were made with their effects, strongest first."""
        return [(node["node"], float(node["effect"])) for node in self.sheet["ranking"]]

    @property
    def url(self) -> str:
        """The address of its page, while its server runs."""
        return f"{self.sweep.url}/circuit"

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Saves its files: the proof sheet, page, pictures, and the graph as EAP-IG, Neuronpedia, CircuitKIT and Graphviz read it.

        The folder is made where it is not there; files of these names in it are replaced. Returns it.
        """
        target = Path(folder)
        for name in FILES:
            self.sweep._download(f"circuit/{name}", target / name)
        return target

    def __repr__(self) -> str:
        names = ", ".join(self.nodes[:_MOST_SHOWN]) + (", ..." if len(self.nodes) > _MOST_SHOWN else "")
        return f"<Circuit of {self.sweep.id}: {names}; faithfulness {self.faithfulness:.3f} on {self.sheet['heldOut']:,} pairs>"

    def __str__(self) -> str:
        return "\n".join([", ".join(self.nodes), *self.verdict])

    def _repr_html_(self) -> str:
        rows = [
            [node.name, _html.number(node.effect), _html.number(node.loss), _html.interval(node.low, node.high)]
            for node in self._nodes()[:_MOST_SHOWN]
        ]
        return _html.sheet(
            f"Circuit of {len(self.nodes)} of {len(self.sheet['ranking'])} nodes",
            f"{self.sweep.model} on {self.sweep.dataset} · faithfulness {self.faithfulness:.3f}, without it {self.without:.3f}",
            "".join(_html.note(sentence) for sentence in self.verdict),
            _html.table(["Node", "effect alone", "lost without it", "95 %"], rows),
        )

    def _nodes(self) -> list[CircuitNode]:
        return [CircuitNode(node["node"], node["effect"], node["loss"]["effect"], *_interval(node["loss"])) for node in self.sheet["circuit"]["nodes"]]


def sets(results: dict[str, Any], member: str = "patchSets") -> list[SetEffect]:
    """The sets that a sweep patched, in the order in which they were asked for, or the senders of paths that are no heads."""
    return [
        SetEffect(
            one["set"], one["patchingEffect"], one["standardError"], *(one["confidenceInterval"] or (None, None)), one["meanPatchedMetric"]
        )
        for one in results.get(member) or []
    ]


def edges(results: dict[str, Any]) -> list[EdgeEffect]:
    """Every edge, by receivers in the order in which they read."""
    found = results.get("edges")
    if found is None:
        return []
    count = len(found["edges"])
    none: list[None] = [None] * count
    further = (found.get(name) or none for name in ("standardError", "low", "high", "pairs", "estimatedEffect", "decision"))
    return [EdgeEffect(edge, *edge.split("->"), *numbers) for edge, *numbers in zip(found["edges"], found["patchingEffect"], *further)]


def _size(size: dict[str, Any]) -> CircuitSize:
    random = size["random"]
    return CircuitSize(
        size["nodes"],
        size["share"],
        size["faithfulness"]["effect"],
        *_interval(size["faithfulness"]),
        size["without"]["effect"],
        sum(random) / len(random) if random else None,
        max(random) if random else None,
        size.get("percentile"),
    )


def _interval(effect: dict[str, Any]) -> tuple[float | None, float | None]:
    low, high = effect["interval"] or (None, None)
    return low, high
