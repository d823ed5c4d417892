"""What a sweep and a comparison look like in a notebook: HTML that is also XML, with styles of its own and no scripts."""

from __future__ import annotations

import html
from collections.abc import Sequence

from ._heatmap import Heatmap, colour

_MOST_WARNINGS = 5

# A white sheet with dark ink also in a dark notebook: the colours of the heatmap are made for white.
_SHEET = (
    "display:inline-block;max-width:100%;overflow-x:auto;background:#fff;color:#222;border:1px solid #ddd;border-radius:6px;"
    "padding:12px 16px;font:13px/1.5 system-ui,sans-serif"
)
_FAINT = "color:#666"
_CELL = "text-align:right;padding:2px 10px;border:0;background:#fff;color:#222"


def sheet(title: str, subtitle: str, *parts: str) -> str:
    """A title, a line of what it is, and what is below."""
    heading = f'<div style="font-size:15px;font-weight:600">{escape(title)}</div>'
    return f'<div style="{_SHEET}">{heading}<div style="{_FAINT}">{escape(subtitle)}</div>{"".join(parts)}</div>'


def escape(text: str) -> str:
    """A text within HTML; characters that XML forbids, which a dataset's name may have, are spaces."""
    return html.escape("".join(character if character.isprintable() else " " for character in text))


def note(text: str) -> str:
    return f'<div style="{_FAINT};margin-top:6px;max-width:60em">{escape(text)}</div>' if text else ""


def warnings(texts: Sequence[str]) -> str:
    lines = "".join(f"<div>{escape(text)}</div>" for text in texts[:_MOST_WARNINGS])
    more = f"<div>and {len(texts) - _MOST_WARNINGS} more, in .warnings</div>" if len(texts) > _MOST_WARNINGS else ""
    return (
        f'<div style="margin-top:8px;padding:4px 8px;max-width:60em;background:#fff6e0;border-left:3px solid #e0a000">{lines}{more}</div>'
        if texts
        else ""
    )


def line(text: str) -> str:
    return f"<div>{escape(text)}</div>"


def bar(fraction: float) -> str:
    """A bar that is full at 1."""
    return (
        '<div style="margin-top:8px;width:320px;height:6px;border-radius:3px;background:#e8e8e8">'
        f'<div style="width:{fraction:.0%};height:6px;border-radius:3px;background:#2166ac"></div></div>'
    )


def heatmap_svg(heatmap: Heatmap, quantity: str) -> str:
    """The heatmap as an inline picture; each cell says its name and value when pointed at.

    quantity: what the colours are, written beside their bar.
    """
    rows, columns = len(heatmap.values), len(heatmap.values[0])
    cell = 40 if max(rows, columns) <= 16 else 24 if max(rows, columns) <= 32 else 14
    label_width = max(len(label) for label in heatmap.columns) * 7 + 6
    cell_width = max(cell, label_width if heatmap.axis == "Role" else 0) if columns > 1 else 72
    left, top = 44, 34 if heatmap.axis else 8
    grid_width, grid_height = columns * cell_width, rows * cell
    bar_height = max(grid_height, 80)
    width, height = left + grid_width + 96, top + bar_height + 10
    every = -(-label_width // cell_width)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'style="margin-top:8px;max-width:none" font-family="system-ui,sans-serif" font-size="11" fill="#222" role="img">'
    ]
    if heatmap.axis:
        parts.append(_text(left + grid_width / 2, 11, heatmap.axis, fill="#666"))
        parts += [
            _text(left + (column + 0.5) * cell_width, 27, label) for column, label in enumerate(heatmap.columns) if column % every == 0
        ]
    limit = heatmap.limit
    for layer, row in enumerate(heatmap.values):
        middle = top + (layer + 0.5) * cell
        if cell >= 24 or layer % 2 == 0:
            parts.append(_text(left - 8, middle + 4, f"L{layer}", anchor="end"))
        for column, value in enumerate(row):
            parts.append(_cell(heatmap, layer, column, value, limit, left + column * cell_width, top + layer * cell, cell_width, cell))
    parts.append(_colour_bar(left + grid_width + 20, top, bar_height, limit, quantity))
    parts.append("</svg>")
    return "".join(parts)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A small table of texts; the first column is set to the left."""

    def row_of(tag: str, cells: Sequence[str]) -> str:
        return (
            "<tr>"
            + "".join(
                f'<{tag} style="{_CELL}{";text-align:left" if index == 0 else ""}">{escape(cell)}</{tag}>'
                for index, cell in enumerate(cells)
            )
            + "</tr>"
        )

    body = "".join(row_of("td", row) for row in rows)
    style = "margin-top:8px;border-collapse:collapse;border:0;font:inherit"
    return f'<table style="{style}"><thead>{row_of("th", header)}</thead><tbody>{body}</tbody></table>'


def number(value: float | None) -> str:
    """A number with three digits behind the point, and a minus as long as a plus."""
    return "" if value is None else f"{value:.3f}".replace("-", "−")


def interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{number(low)} to {number(high)}"


def _cell(
    heatmap: Heatmap, layer: int, column: int, value: float | None, limit: float, x: float, y: float, width: float, height: float
) -> str:
    red, green, blue = colour(value, limit) if value is not None else (238, 238, 238)
    said = number(value) or "no pair"
    # By the luma of ITU-R BT.601.
    ink = "#fff" if 0.299 * red + 0.587 * green + 0.114 * blue < 128 else "#222"
    shown = (
        _text(x + width / 2, y + height / 2 + 4, f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−"), fill=ink)
        if value is not None and height >= 40
        else ""
    )
    return (
        f"<g><title>{escape(heatmap.name(layer, column))}: {said}</title>"
        f'<rect x="{x}" y="{y}" width="{width - 1}" height="{height - 1}" '
        f'fill="rgb({red},{green},{blue})" stroke="#ddd" stroke-width="0.5"/>{shown}</g>'
    )


def _colour_bar(x: float, y: float, height: float, limit: float, quantity: str) -> str:
    slices = 40
    parts = []
    for index in range(slices):
        red, green, blue = colour(limit * (1 - (2 * index + 1) / slices), limit)
        # A slice reaches a little under the next one: else the background shows as hairlines between them.
        parts.append(
            f'<rect x="{x}" y="{y + index * height / slices:.2f}" width="12" height="{height / slices + 0.5:.2f}" '
            f'fill="rgb({red},{green},{blue})"/>'
        )
    for value, at in ((limit, 0.0), (0.0, 0.5), (-limit, 1.0)):
        parts.append(
            _text(x + 17, y + at * height + (9 if at == 0 else 4 if at == 0.5 else 0), f"{value:.2g}".replace("-", "−"), anchor="start")
        )
    middle = y + height / 2
    parts.append(
        f'<text x="{x + 58}" y="{middle}" text-anchor="middle" fill="#666" '
        f'transform="rotate(90 {x + 58} {middle})">{escape(quantity)}</text>'
    )
    return "".join(parts)


def _text(x: float, y: float, text: str, *, anchor: str = "middle", fill: str = "#222") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{fill}">{escape(text)}</text>'
