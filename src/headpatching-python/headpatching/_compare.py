"""How the effects of two sweeps differ, head by head. The server that has both compares them; here is how that is shown."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _heatmap, _html, _numbers
from .errors import HeadPatchingError

if TYPE_CHECKING:
    from ._sweep import Sweep

_MOST_SHOWN = 10

Grid = list[list[Any]]


@dataclass(frozen=True)
class HeadDifference:
    """A head (or layer as a whole) in two sweeps; by position or role, at one place."""

    layer: int
    head: int | None
    name: str
    difference: float
    """`effect` minus `other_effect`."""
    low: float | None
    """The lower end of the difference's 95 % interval by itself."""
    high: float | None
    effect: float | None
    """None where no pair is left to be the mean of."""
    other_effect: float | None
    joint_low: float | None
    """The lower end of the interval that holds for all heads together in 95 of 100 comparisons."""
    joint_high: float | None
    moved: bool
    """Whether the joint interval leaves out 0."""
    position: int | None
    """By position, counted from the end: -1 is the last."""
    role: str | None

    @property
    def label(self) -> str:
        """Its name, with its place where it has one: `L9H6 at S2`."""
        place = self.role if self.position is None else self.position
        return self.name if place is None else f"{self.name} at {place}"


class Comparison:
    """The differences between the effects of two sweeps of as many layers and heads; made by `Sweep.compare()`.

    Heads are matched by layer and head. Pairs are matched by their tokens and answers, wherever they stand in the two
    datasets (by their texts where the models cut texts differently; of sweeps of more than 1,000 pairs, whose tokens are not
    at hand, by their index, if both are of one built-in dataset with one seed and number). Pairs that either sweep leaves out
    of its means are left out here.

    With two common pairs or more, both effects are taken over these, each with its own sweep's aggregation, and intervals are
    of the pairs' own differences. Without, the effects are the sweeps' own, and intervals are of two separate samples. Over
    fewer than five pairs there are none. A head moved where its joint interval leaves out 0: that of all heads together. What
    the intervals are, and how often they are wrong, is in HeadPatching.Core's METHOD.md.

    By position or role every head is compared at every place that both sweeps tell apart; `difference` and `intervals` have
    the place of largest difference.
    """

    def __init__(self, sweep: Sweep, other: Sweep, results: dict[str, Any]) -> None:
        self.sweep = sweep
        self.other = other
        self.results = results
        """What the server answered (comparison.json): `a` is the other sweep, `b` this one."""
        self.pairs = int(results["commonPairs"])
        """Over how many common pairs; 0: the effects are the sweeps' own."""
        self.draws = int(results["draws"])
        """How often the pairs were drawn again for the joint intervals; 0 over fewer than 20, and where there are none."""
        self._rows = [_row(head) for head in results["heads"]]

    @property
    def summary(self) -> str:
        """What moved, in words."""
        return str(self.results["summary"])

    @property
    def notes(self) -> list[str]:
        """What to know before trusting the differences."""
        return list(self.results["notes"])

    @property
    def url(self) -> str:
        """The address of the page of both sweeps side by side."""
        return f"{self.sweep.client.url}{_path(self.sweep, self.other, part='/page')}"

    @property
    def difference(self) -> Any:
        """This sweep's effects minus the other's, [layer, head]."""
        return _numbers.array(self._grid(lambda row: row.difference))

    @property
    def intervals(self) -> Any:
        """The 95 % intervals of the differences, each by itself, [layer, head, 2]: low and high; NaN (None) where there are none."""
        return _numbers.array(self._grid(lambda row: [row.low, row.high]))

    @property
    def joint_intervals(self) -> Any:
        """The intervals that hold for all heads together in 95 of 100 comparisons, [layer, head, 2]."""
        return _numbers.array(self._grid(lambda row: [row.joint_low, row.joint_high]))

    @property
    def heads(self) -> Any:
        """A row for each head, layer by layer, with the columns of HeadDifference: a DataFrame, without pandas a list."""
        return _numbers.table(self._rows, HeadDifference)

    @property
    def moved(self) -> Any:
        """The heads whose joint interval leaves out 0, of largest |difference| first; as `heads`."""
        return _numbers.table(self._moved(), HeadDifference)

    def __repr__(self) -> str:
        names = ", ".join(row.label for row in self._moved()[:_MOST_SHOWN]) or "none"
        return f"<Comparison of {self.sweep.id} with {self.other.id}, {self._basis()}; moved: {names}>"

    def _repr_html_(self) -> str:
        results = self.sweep.results
        columns = _heatmap.of_results({**results, "heatmapByPosition": None, "heatmapByRole": None})
        heatmap = _heatmap.Heatmap(self._grid(lambda row: row.difference), columns.columns, columns.axis, columns.letter)
        moved = self._moved()
        rows = [
            [
                row.label,
                _html.number(row.effect),
                _html.number(row.other_effect),
                _html.number(row.difference),
                _html.interval(row.joint_low, row.joint_high),
            ]
            for row in moved[:_MOST_SHOWN]
        ]
        return _html.sheet(
            "Difference of patching effects",
            f"{self.results['b']['label']} minus {self.results['a']['label']} · {self._basis()}",
            _html.heatmap_svg(heatmap, "Difference"),
            _html.note(self.summary),
            _html.table(["Head", "effect", "other's effect", "difference", "95 %, all together"], rows) if rows else "",
        )

    def _moved(self) -> list[HeadDifference]:
        return sorted((row for row in self._rows if row.moved), key=lambda row: -abs(row.difference))

    def _basis(self) -> str:
        return f"{self.pairs:,} common pairs" if self.pairs else "no common pairs"

    def _grid(self, value: Any) -> Grid:
        """Of each head, at the place of largest difference where there are several."""
        strongest: dict[tuple[int, int], HeadDifference] = {}
        for row in self._rows:
            at = (row.layer, row.head or 0)
            if at not in strongest or abs(row.difference) > abs(strongest[at].difference):
                strongest[at] = row
        grid: Grid = [[] for _ in range(1 + max(layer for layer, _ in strongest))]
        for (layer, _), row in sorted(strongest.items()):
            grid[layer].append(value(row))
        return grid


def compare(sweep: Sweep, other: Sweep, *, draws: int, seed: int) -> Comparison:
    """Raises HeadPatchingError where the sweeps have not as many layers and heads, one has no result, or they are of two servers."""
    if sweep.client.url != other.client.url:
        raise HeadPatchingError(
            f"Sweeps are compared by the server that has both; these are of {sweep.client.url} and {other.client.url}. "
            "save() each into a folder, and `headpatch compare` compares the folders."
        )
    for one in (sweep, other):
        one.wait()
    return Comparison(sweep, other, sweep.client.connection.get(_path(sweep, other, draws=draws, seed=seed)).content)


def _path(sweep: Sweep, other: Sweep, part: str = "", **query: int) -> str:
    return f"/api/compare{part}?{urllib.parse.urlencode({'a': other.id, 'b': sweep.id, **query})}"


def _row(head: dict[str, Any]) -> HeadDifference:
    low, high = head["confidenceInterval"] or (None, None)
    joint_low, joint_high = head["jointInterval"] or (None, None)
    difference = head["difference"]
    return HeadDifference(
        head["layer"],
        head["head"],
        head["name"],
        float("nan") if difference is None else difference,
        low,
        high,
        head["effectB"],
        head["effectA"],
        joint_low,
        joint_high,
        head["moved"],
        head.get("position"),
        head.get("role"),
    )
