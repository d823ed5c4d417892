"""How the effects of two sweeps differ, head by head."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _findings, _heatmap, _html, _numbers
from .errors import HeadPatchingError

if TYPE_CHECKING:
    from ._sweep import Sweep

_FEWEST_PAIRS = 5
_MOST_SHOWN = 10
_MOST_WEIGHTS_AT_ONCE = 4_000_000
_MOST_STEPS_WITHOUT_NUMPY = 5_000_000
_FEWEST_DRAWS = 200

Grid = list[list[Any]]


@dataclass(frozen=True)
class HeadDifference:
    """A head (or layer as a whole) in two sweeps."""

    layer: int
    head: int | None
    name: str
    difference: float
    """`effect` minus `other_effect`."""
    low: float | None
    """The lower end of the difference's 95 % interval."""
    high: float | None
    effect: float | None
    """None where no pair is left to be the mean of."""
    other_effect: float | None


class Comparison:
    """The differences between the effects of two sweeps of as many layers and heads; made by `Sweep.compare()`.

    Heads are matched by layer and head. Pairs are matched by their tokens and answers, wherever they stand in the two
    datasets; of sweeps of more than 1,000 pairs, whose tokens are not at hand, by their index, if both are of one built-in
    dataset with one seed and number. Pairs that either sweep leaves out of its means are left out here.

    With five common pairs or more, both effects are taken over these, each with its own sweep's aggregation, and intervals
    are of a paired percentile bootstrap: the common pairs are drawn again, the same for both sweeps, `draws` times, and the
    interval holds the middle 95 % of the differences. Over few pairs such an interval is too narrow (in the project's own
    trial, for single effects, it held the true value in 80 % of cases over 5 pairs and 91 % over 20); and of many heads some
    lie outside by chance. With fewer common pairs the difference is that of the two sweeps' effects, and there is no interval.

    By position or role, it is each head's strongest place in either sweep that is compared, without intervals.
    """

    def __init__(self, sweep: Sweep, other: Sweep, rows: list[HeadDifference], pairs: int, draws: int) -> None:
        self.sweep = sweep
        self.other = other
        self.pairs = pairs
        """Over how many common pairs; 0: none, or too few, and there are no intervals."""
        self.draws = draws
        """How often the pairs were drawn again; fewer than asked for where there is no numpy and much to do."""
        self._rows = rows

    @property
    def difference(self) -> Any:
        """This sweep's effects minus the other's, [layer, head]."""
        return _numbers.array(self._grid(lambda row: row.difference))

    @property
    def intervals(self) -> Any:
        """The 95 % intervals of the differences, [layer, head, 2]: low and high; NaN (None) where there are none."""
        return _numbers.array(self._grid(lambda row: [row.low, row.high]))

    @property
    def heads(self) -> Any:
        """A row for each head, layer by layer, with the columns of HeadDifference: a DataFrame, without pandas a list."""
        return _numbers.table(self._rows, HeadDifference)

    @property
    def moved(self) -> Any:
        """The heads whose interval leaves out 0, of largest |difference| first; as `heads`."""
        return _numbers.table(self._moved(), HeadDifference)

    def __repr__(self) -> str:
        names = ", ".join(row.name for row in self._moved()[:_MOST_SHOWN]) or "none"
        return f"<Comparison of {self.sweep.id} with {self.other.id}, {self._basis()}; moved: {names}>"

    def _repr_html_(self) -> str:
        results = self.sweep.results
        columns = _heatmap.of_results({**results, "heatmapByPosition": None, "heatmapByRole": None})
        heatmap = _heatmap.Heatmap(self._grid(lambda row: row.difference), columns.columns, columns.axis, columns.letter)
        moved = self._moved()
        rows = [
            [
                row.name,
                _html.number(row.effect),
                _html.number(row.other_effect),
                _html.number(row.difference),
                _html.interval(row.low, row.high),
            ]
            for row in moved[:_MOST_SHOWN]
        ]
        more = f" The {_MOST_SHOWN} largest of {len(moved)}." if len(moved) > _MOST_SHOWN else ""
        said = (
            f"Heads whose interval leaves out 0.{more}"
            if moved
            else "No head's interval leaves out 0."
            if self.pairs
            else "There are no intervals."
        )
        return _html.sheet(
            "Difference of patching effects",
            f"{_label(self.sweep, self.other)} minus {_label(self.other, self.sweep)} · {self._basis()}",
            _html.heatmap_svg(heatmap, "Difference"),
            _html.note(said),
            _html.table(["Head", "effect", "other's effect", "difference", "95 % interval"], rows) if rows else "",
        )

    def _moved(self) -> list[HeadDifference]:
        moved = [row for row in self._rows if row.low is not None and row.high is not None and (row.low > 0 or row.high < 0)]
        return sorted(moved, key=lambda row: -abs(row.difference))

    def _basis(self) -> str:
        return f"{self.pairs:,} common pairs, {self.draws:,} draws" if self.pairs else "no common pairs to draw from"

    def _grid(self, value: Any) -> Grid:
        grid: Grid = []
        for row in self._rows:
            if row.layer == len(grid):
                grid.append([])
            grid[-1].append(value(row))
        return grid


@dataclass(frozen=True)
class _PairNumbers:
    """One pair in one sweep. An effect over pairs is the sum of numerators through the sum of denominators, however pairs come together."""

    numerators: list[float]
    """Of each head, layer by layer."""
    denominator: float


def compare(sweep: Sweep, other: Sweep, *, draws: int, seed: int) -> Comparison:
    """Raises HeadPatchingError where the sweeps have not as many layers and heads, or one has no result."""
    here, there = _findings.effects(sweep.results), _findings.effects(other.results)
    if _numbers.shape(here) != _numbers.shape(there) or (sweep.results["heads"][0]["head"] is None) != (
        other.results["heads"][0]["head"] is None
    ):
        raise HeadPatchingError(
            f"Heads are compared with heads, and layers with layers, of models of one shape. "
            f"{sweep.id} has {sweep.results['patch']} in {_of(here)}, {other.id} {other.results['patch']} in {_of(there)}."
        )
    mine, theirs = _pair_numbers(sweep), _pair_numbers(other)
    common = [key for key in mine if key in theirs]
    if len(common) < _FEWEST_PAIRS:
        common = []
        effects: tuple[Sequence[float | None], Sequence[float | None]] = sum(here, []), sum(there, [])
        bounds: Sequence[tuple[float | None, float | None]] = [(None, None)] * len(effects[0])
        draws = 0
    else:
        sides = [mine[key] for key in common], [theirs[key] for key in common]
        effects = _effects(sides[0]), _effects(sides[1])
        bounds, draws = _bootstrap(sides, draws, seed)

    heads = _findings.heads(sweep.results)
    rows = [
        HeadDifference(head.layer, head.head, head.name, float("nan") if a is None or b is None else a - b, low, high, a, b)
        for head, a, b, (low, high) in zip(heads, effects[0], effects[1], bounds)
    ]
    return Comparison(sweep, other, rows, len(common), draws)


def _pair_numbers(sweep: Sweep) -> dict[Any, _PairNumbers]:
    """The pairs that are in the sweep's means, by what they are matched by; none of a sweep by position or role."""
    results = sweep.results
    if results["positions"] in ("each", "each-role"):
        return {}
    of_means = results["aggregation"] == "ratio-of-means"
    excluded = set() if of_means else {pair["index"] for pair in results.get("excludedPairs") or []}
    denoise = results["direction"] == "denoise"
    numbers: dict[Any, _PairNumbers] = {}
    for key, index, clean, corrupted, patched, effect in _pairs_of(sweep):
        if index in excluded:
            continue
        into, source = (corrupted, clean) if denoise else (clean, corrupted)
        pair = _PairNumbers([metric - into for metric in patched], source - into) if of_means else _PairNumbers(effect, 1.0)
        # The same pair twice in one dataset is two pairs.
        copy = 0
        while (key, copy) in numbers:
            copy += 1
        numbers[key, copy] = pair
    return numbers


def _pairs_of(sweep: Sweep) -> Any:
    """Each pair: what it is matched by, index, clean and corrupted metric; of each head, layer by layer, patched metrics and effects."""
    results = sweep.results
    for pair in results["pairs"]:
        key = (tuple(pair["cleanTokens"]), tuple(pair["corruptedTokens"]), str(pair["correct"]), str(pair["incorrect"]))
        yield key, pair["index"], pair["cleanMetric"], pair["corruptedMetric"], sum(pair["patchedMetric"], []), sum(
            pair["patchingEffect"], []
        )
    dataset = results["dataset"]
    if results["pairs"] or dataset["name"] not in sweep.client.datasets():
        return
    for index, rows in sweep.pairs.groupby("pair"):
        first = rows.iloc[0]
        key = (dataset["name"], dataset["pairs"], results["seed"], index)
        yield key, index, float(first["clean"]), float(first["corrupted"]), rows["patched"].tolist(), rows["effect"].tolist()


def _effects(pairs: list[_PairNumbers]) -> list[float]:
    whole = sum(pair.denominator for pair in pairs)
    return [sum(column) / whole for column in zip(*(pair.numerators for pair in pairs))]


def _bootstrap(
    sides: tuple[list[_PairNumbers], list[_PairNumbers]], draws: int, seed: int
) -> tuple[list[tuple[float | None, float | None]], int]:
    """Of each head the middle 95 % of the differences over drawn pairs, and how many draws were made."""
    np = _numbers.numpy()
    if np is None:
        return _bootstrap_without_numpy(sides, draws, seed)
    count = len(sides[0])
    numerators = [np.array([pair.numerators for pair in side]) for side in sides]
    denominators = [np.array([pair.denominator for pair in side]) for side in sides]
    generator = np.random.default_rng(seed)
    at_once = max(1, _MOST_WEIGHTS_AT_ONCE // count)
    differences = []
    for start in range(0, draws, at_once):
        # How often each pair is drawn, [draw, pair].
        weights = generator.multinomial(count, np.full(count, 1 / count), size=min(at_once, draws - start)).astype(float)
        here, there = (weights @ top / (weights @ bottom)[:, None] for top, bottom in zip(numerators, denominators))
        differences.append(here - there)
    low, high = np.percentile(np.concatenate(differences), [2.5, 97.5], axis=0)
    return list(zip(low.tolist(), high.tolist())), draws


def _bootstrap_without_numpy(
    sides: tuple[list[_PairNumbers], list[_PairNumbers]], draws: int, seed: int
) -> tuple[list[tuple[float | None, float | None]], int]:
    count, heads = len(sides[0]), len(sides[0][0].numerators)
    draws = min(draws, max(_FEWEST_DRAWS, _MOST_STEPS_WITHOUT_NUMPY // (2 * count * heads)))
    generator = random.Random(seed)
    differences = []
    for _ in range(draws):
        drawn = generator.choices(range(count), k=count)
        here, there = (_effects([side[index] for index in drawn]) for side in sides)
        differences.append([a - b for a, b in zip(here, there)])
    bounds: list[tuple[float | None, float | None]] = []
    for column in zip(*differences):
        ordered = sorted(column)
        bounds.append((_quantile(ordered, 0.025), _quantile(ordered, 0.975)))
    return bounds, draws


def _quantile(ordered: list[float], share: float) -> float:
    """As numpy's percentile: on the line between the two nearest."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _label(sweep: Sweep, other: Sweep) -> str:
    """What tells a sweep from the other one."""
    mine, theirs = sweep.results, other.results
    parts = [
        str(mine[part])
        for part in ("patch", "positions", "direction", "metric", "aggregation", "method")
        if mine.get(part) != theirs.get(part)
    ]
    parts += [str(mine["ablation"])] if mine.get("ablation") != theirs.get("ablation") and mine.get("ablation") else []
    parts += [mine[part]["name"] for part in ("model", "dataset") if mine[part]["name"] != theirs[part]["name"]]
    return " ".join(parts) or sweep.id


def _of(effects: Grid) -> str:
    return f"{len(effects)} layers of {len(effects[0])}"
