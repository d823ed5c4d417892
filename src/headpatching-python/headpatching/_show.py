"""What a sweep looks like: a line, a text, a notebook's output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _findings, _heatmap, _html
from ._findings import HeadEffect

if TYPE_CHECKING:
    from ._sweep import Sweep

_ROWS_IN_TEXT = 10
_ROWS_IN_HTML = 5
_BY_PLACE = {"all": "all positions", "each": "each position", "each-role": "each role"}


def in_one_line(sweep: Sweep, results: dict[str, Any] | None) -> str:
    """The sweep and, where its results are at hand, its strongest head. Asks the server nothing."""
    what = f"{sweep.id} {sweep.status_text}: {sweep.title}, {sweep.model} on {sweep.dataset}"
    if results is None:
        return f"<Sweep {what}>"
    head = _findings.strongest(results, 1)[0]
    return f"<Sweep {what} ({_pairs(results)}); strongest {head.name} {_html.number(head.effect)}>"


def in_text(sweep: Sweep) -> str:
    """A finished sweep: its heatmap in characters, and the strongest heads."""
    results = sweep.results
    rows = [
        f"{head.name:8} {_html.number(head.effect):>6}  {_html.interval(head.low, head.high):16}  {_place(head)}".rstrip()
        for head in _findings.strongest(results, _ROWS_IN_TEXT)
    ]
    heatmap = _heatmap.in_text(_heatmap.of_results(results))
    return "\n".join([f"{sweep.title}, {_what(results)}", heatmap, "", "         effect  95 % interval", *rows])


def in_html(sweep: Sweep) -> str:
    """A finished sweep: its heatmap, the strongest heads, and its warnings."""
    results = sweep.results
    heatmap = _heatmap.of_results(results)
    by_place = results["positions"] in ("each", "each-role")
    rows = [
        [head.name, _html.number(head.effect), _html.interval(head.low, head.high), *([_place(head)] if by_place else [])]
        for head in _findings.strongest(results, _ROWS_IN_HTML)
    ]
    return _html.sheet(
        sweep.title,
        _what(results),
        _html.heatmap_svg(heatmap, "Patching effect"),
        _html.note("Of each head the strongest place.") if by_place and heatmap.axis not in ("Position", "Role") else "",
        _html.table(["Strongest", "effect", "95 % interval", *(["at"] if by_place else [])], rows),
        _html.warnings(results["warnings"]),
    )


def status_in_html(sweep: Sweep) -> str:
    """A sweep that has no result: where it stands, with a bar, or why it failed."""
    bar = _html.bar(sweep.progress.fraction) if sweep.is_under_way else ""
    return _html.sheet(
        sweep.title, f"{sweep.model} · {sweep.dataset} · {sweep.id}", _html.line(sweep.status_text), bar, _html.note(sweep.error or "")
    )


def error_in_html(sweep: Sweep, error: Exception) -> str:
    """A sweep that cannot be looked at."""
    return _html.sheet(sweep.title, sweep.id, _html.note(str(error)))


def _what(results: dict[str, Any]) -> str:
    """What was swept, in the fewest words."""
    at = results["positions"]
    where = _BY_PLACE.get(at, f"position {at}" if isinstance(at, int) else f"at {at}")
    return " · ".join(
        [results["model"]["name"], f"{results['dataset']['name']}, {_pairs(results)}", results["direction"], results["metric"], where]
    )


def _pairs(results: dict[str, Any]) -> str:
    count = results["dataset"]["pairs"]
    return f"{count:,} pair{'' if count == 1 else 's'}"


def _place(head: HeadEffect) -> str:
    """The strongest place of a head in a sweep by position or role."""
    return head.role or ("" if head.position is None else f"position {head.position}, from the end".replace("-", "−"))
