"""What a finished sweep found, read from its results.json (a dictionary; its members are in HeadPatching.Core's README)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import _numbers

LAYER_PATCHES = ("attn_out", "mlp_out", "resid_pre", "resid_mid", "resid_post")
"""The patches of a layer as a whole; all others are of each head."""


@dataclass(frozen=True)
class HeadEffect:
    """The effect over all pairs of one head, or of a layer as a whole."""

    layer: int
    head: int | None
    """None where the layer was patched as a whole; of k and v in a grouped-query model the key/value head."""
    name: str
    """`L9H6`; `L9KV1` of a key/value head; `L9` of a layer."""
    hook_point: str
    """TransformerLens's name, `blocks.9.attn.hook_z`."""
    effect: float
    """0: the patch changed nothing; 1: it made the whole difference between the two runs."""
    standard_error: float | None
    low: float | None
    """The lower end of the 95 % interval over pairs; None over fewer than five."""
    high: float | None
    pairs: int
    """Of how many pairs the effect is."""
    clean: float
    """The clean run's metric, the mean over all pairs, in the metric's unit."""
    corrupted: float
    patched: float
    position: int | None
    """By position, the one of largest |effect|, counted from the end: -1 is the last."""
    role: str | None
    """By role, the one of largest |effect|."""
    estimated_effect: float | None
    """With the methods `screen` and `adaptive`, the estimate; also of heads that were run."""
    estimated: bool
    """Whether `effect` is an estimate, with no run made for it."""
    joint_low: float | None
    """The lower end of the interval that holds for all heads together in 95 of 100 sweeps; None over fewer than five pairs."""
    joint_high: float | None
    excludes_zero: bool | None
    """Whether that interval leaves out 0: the head surely has an effect."""
    excludes_threshold: bool | None
    """Whether it leaves out the threshold on either side of 0: |effect| is surely above it, or surely below."""
    in_top_1: float | None
    """How often the head is the strongest where the pairs are drawn again; None where there are no more heads than that."""
    in_top_5: float | None
    in_top_10: float | None
    in_top_20: float | None
    decision: str | None = None
    """With the method `adaptive`: `above` the threshold, `below` or `undecided`."""
    anytime_low: float | None = None
    """The lower end of the interval that the decision is made by: it holds the effect over all of the sweep's pairs, with those of all other heads
    together, whenever the head's runs ended."""
    anytime_high: float | None = None
    pairs_run: int | None = None
    """On how many of the pairs the head was run."""


@dataclass(frozen=True)
class PairEffect:
    """One patched run of one pair: a row of effects.parquet."""

    pair: int
    """The pair's index in the dataset, from 0."""
    layer: int
    head: int | None
    position: int | None
    """From 0; None where all positions were patched at once."""
    role: str | None
    clean: float
    """The metric of the clean run, in the metric's unit."""
    corrupted: float
    patched: float
    effect: float
    """0 where clean and corrupted are the same."""
    estimated: bool


def heads(results: dict[str, Any]) -> list[HeadEffect]:
    """Every head, layer by layer."""
    return [_head(head) for head in results["heads"]]


def strongest(results: dict[str, Any], count: int, by: str = "effect") -> list[HeadEffect]:
    """The heads of largest |effect|, largest first; by `sure` those of which most is sure with all heads taken together."""
    if by not in ("effect", "sure"):
        raise ValueError(f"by={by!r}: heads are ranked by 'effect' or by 'sure'.")
    ranked = sorted(heads(results), key=lambda head: -abs(head.effect))
    return (ranked if by == "effect" else sorted(ranked, key=lambda head: -_sure(head)))[:count]


def _sure(head: HeadEffect) -> float:
    """The least |effect| that the interval for all heads together holds."""
    low, high = (head.joint_low, head.joint_high) if head.anytime_low is None else (head.anytime_low, head.anytime_high)
    return max(0.0, low, -high) if low is not None and high is not None else 0.0


def effects(results: dict[str, Any]) -> list[list[float | None]]:
    """The heatmap, [layer][head], with None where no pair is left to be the mean of."""
    grid: list[list[float | None]] = [list(layer) for layer in results["heatmap"]]
    for head in results["heads"]:
        if head.get("pairs") == 0:
            grid[head["layer"]][head["head"] or 0] = None
    return grid


def intervals(results: dict[str, Any]) -> list[list[list[float | None]]]:
    """The 95 % intervals, [layer][head][low, high], with None over fewer than five pairs."""
    grid: list[list[list[float | None]]] = [[[None, None] for _ in layer] for layer in results["heatmap"]]
    for head in results["heads"]:
        if head.get("confidenceInterval"):
            grid[head["layer"]][head["head"] or 0] = list(head["confidenceInterval"])
    return grid


def pair_rows(results: dict[str, Any]) -> Iterator[PairEffect]:
    """What effects.parquet has, of results that have every pair (1,000 at most); by pair, layer, position, head."""
    estimated = {(head["layer"], head["head"]) for head in results["heads"] if head.get("estimated")}
    of_layers = results["patch"] in LAYER_PATCHES
    for pair in results["pairs"]:
        if results["method"] == "adaptive":
            yield from _drawn(results, pair)
            continue
        places = sorted(_places(results, pair), key=lambda place: place[0] or 0)
        for layer in range(len(results["heatmap"])):
            for position, role, metrics, grid in places:
                for column, (metric, effect) in enumerate(zip(metrics[layer], grid[layer])):
                    head = None if of_layers else column
                    yield PairEffect(
                        pair["index"],
                        layer,
                        head,
                        position,
                        role,
                        pair["cleanMetric"],
                        pair["corruptedMetric"],
                        metric,
                        effect,
                        (layer, head) in estimated,
                    )


def _drawn(results: dict[str, Any], pair: dict[str, Any]) -> Iterator[PairEffect]:
    """The runs of a pair of an adaptive sweep, which has not all heads on it."""
    heads = {head["name"]: head for head in results["heads"]}
    position, role = _place(results, pair)
    for run in pair.get("runs", []):
        head = heads[run["head"]]
        yield PairEffect(
            pair["index"], head["layer"], head["head"], position, role, pair["cleanMetric"], pair["corruptedMetric"], run["patchedMetric"], run["patchingEffect"], False
        )


def _place(results: dict[str, Any], pair: dict[str, Any]) -> tuple[int | None, str | None]:
    """The position, from 0, and role of a sweep that patches one place of each pair."""
    at, length = results["positions"], len(pair["cleanTokens"])
    role = at if isinstance(at, str) and at != "all" else None
    return pair["roles"][role] if role else at % length if isinstance(at, int) else None, role


def _places(results: dict[str, Any], pair: dict[str, Any]) -> Iterator[tuple[int | None, str | None, Any, Any]]:
    """Where a pair was patched: position from 0, role, and the metrics and effects of it, [layer][head]."""
    if "patchedMetricByPosition" in pair:
        metrics, found = pair["patchedMetricByPosition"], pair["patchingEffectByPosition"]
        for position in range(len(pair["cleanTokens"])):
            yield position, None, [layer[position] for layer in metrics], [layer[position] for layer in found]
    elif "patchedMetricByRole" in pair:
        for role, metrics in pair["patchedMetricByRole"].items():
            yield pair["roles"][role], role, metrics, pair["patchingEffectByRole"][role]
    else:
        position, role = _place(results, pair)
        yield position, role, pair["patchedMetric"], pair["patchingEffect"]


def patched_metric(results: dict[str, Any]) -> list[Any]:
    """The patched runs' metric, the mean over all pairs: [layer][head]; with positions `each` [layer][position][head].

    By position only of pairs that are all of one length, and of 1,000 of them at most.
    """
    if results["positions"] == "each":
        return list(_numbers.mean([pair["patchedMetricByPosition"] for pair in results["pairs"]]))
    grid: list[list[float]] = [[] for _ in results["heatmap"]]
    for head in results["heads"]:
        grid[head["layer"]].append(head["patchedMetric"])
    return grid


def _head(head: dict[str, Any]) -> HeadEffect:
    low, high = head.get("confidenceInterval") or (None, None)
    joint_low, joint_high = head.get("jointInterval") or (None, None)
    in_top = [*head.get("inTop", []), None, None, None, None]
    anytime_low, anytime_high = head.get("anytimeInterval") or (None, None)
    return HeadEffect(
        head["layer"],
        head["head"],
        head["name"],
        head["hookPoint"],
        head["patchingEffect"],
        head["standardError"],
        low,
        high,
        head.get("pairs", 0),
        head["cleanMetric"],
        head["corruptedMetric"],
        head["patchedMetric"],
        head.get("position"),
        head.get("role"),
        head.get("estimatedEffect"),
        head.get("estimated", False),
        joint_low,
        joint_high,
        head.get("excludesZero"),
        head.get("excludesThreshold"),
        *in_top[:4],
        head.get("decision"),
        anytime_low,
        anytime_high,
        head.get("pairsRun"),
    )
