"""The heatmap of a result as it is shown, the same in text and in a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import _findings

LEAST_LIMIT = 0.1
"""The least value with the darkest colour: on a scale up to its own largest value, noise would look like findings."""

# Blue for negative, white for 0, red for positive, from -1 to 1: ColorBrewer's RdBu, as in the program's own pictures.
_STOPS = (
    (5, 48, 97),
    (33, 102, 172),
    (67, 147, 195),
    (146, 197, 222),
    (209, 229, 240),
    (255, 255, 255),
    (253, 219, 199),
    (244, 165, 130),
    (214, 96, 77),
    (178, 24, 43),
    (103, 0, 31),
)

_SHADES = ((0.2, "█"), (0.1, "▓"), (0.05, "▒"), (0.02, "░"))


@dataclass(frozen=True)
class Heatmap:
    """Values of layers, downwards, and heads (or positions, or roles) to the right."""

    values: list[list[float | None]]
    columns: list[str]
    """What stands above each column; empty texts where there is one column, which needs no name."""
    axis: str
    """What the columns are: `Head`, `Key/value head`, `Position`, `Role`, or nothing."""
    letter: str
    """What stands before a column's label in a cell's name: `H`, `KV`, `P`, or nothing."""

    @property
    def limit(self) -> float:
        """The value with the darkest red; the same on the other side of 0."""
        return max([LEAST_LIMIT, *(abs(value) for row in self.values for value in row if value is not None)])

    def name(self, layer: int, column: int) -> str:
        """A cell's name, such as `L9H6`."""
        label = self.columns[column]
        return f"L{layer}{self.letter}{label}" if self.letter or not label else f"L{layer} {label}"


def of_results(results: dict[str, Any]) -> Heatmap:
    """The heads of each layer; of layers that were patched by position or by role, the positions or roles."""
    if results["patch"] not in _findings.LAYER_PATCHES:
        grouped = results["patch"] in ("k", "v") and results["model"].get("keyValueHeads") is not None
        values = _findings.effects(results)
        columns = [str(head) for head in range(len(values[0]))]
        return Heatmap(values, columns, "Key/value head", "KV") if grouped else Heatmap(values, columns, "Head", "H")
    if results.get("heatmapByPosition"):
        values = [[place[0] for place in layer] for layer in results["heatmapByPosition"]]
        return Heatmap(values, [str(position) for position in range(len(values[0]))], "Position", "P")
    if results.get("heatmapByRole"):
        values = [[place[0] for place in layer] for layer in results["heatmapByRole"]]
        return Heatmap(values, [role["name"] for role in results["roles"]], "Role", "")
    return Heatmap(_findings.effects(results), [""], "", "")


def colour(value: float, limit: float) -> tuple[int, int, int]:
    """Red, green and blue (0 to 255) of a value on a scale from -limit to limit."""
    place = (max(-1.0, min(1.0, value / limit)) + 1) / 2 * (len(_STOPS) - 1)
    below = min(int(place), len(_STOPS) - 2)
    share = place - below
    red, green, blue = (round(low + (high - low) * share) for low, high in zip(_STOPS[below], _STOPS[below + 1]))
    return red, green, blue


def in_text(heatmap: Heatmap) -> str:
    """A row for each layer, two characters for each cell, the denser the larger |effect|; negative ones begin with a minus."""
    width = max(2, *(len(column) for column in heatmap.columns)) + 1
    margin = len(f"L{len(heatmap.values) - 1}") + 1
    lines = []
    if heatmap.axis:
        lines.append(heatmap.letter.ljust(margin) + "".join(column.ljust(width) for column in heatmap.columns).rstrip())
    for layer, row in enumerate(heatmap.values):
        lines.append(f"L{layer}".ljust(margin) + "".join(_cell(value).ljust(width) for value in row).rstrip())
    lines.append("|effect| ██ > 0.2  ▓▓ > 0.1  ▒▒ > 0.05  ░░ > 0.02   negative: -█")
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    if value is None:
        return "?"
    shade = next((shade for above, shade in _SHADES if abs(value) > above), None)
    return "··" if shade is None else f"-{shade}" if value < 0 else shade * 2
