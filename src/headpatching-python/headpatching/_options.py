"""The options of a sweep: their names, types and what the API calls them."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict, TypeVar

from .errors import Fault, InvalidRequest

Patch = Literal["z", "pattern", "v", "q", "k", "attn_out", "mlp_out", "resid_pre", "resid_mid", "resid_post"]
Metric = Literal["logit-difference", "log-probability", "probability", "probability-difference", "rank", "kl-divergence", "token-weights"]
TokenWeights = Mapping[str | int, float]
"""Tokens by text (`" he"`) or id, and what the logit of each counts."""
Aggregation = Literal["well-conditioned-mean", "mean-of-ratios", "ratio-of-means"]


class SweepOptions(TypedDict, total=False):
    """Every option of a sweep beside its model and pairs. What is not given has the server's default."""

    patch: Patch
    positions: int | Literal["all", "each", "each-role"] | str
    direction: Literal["denoise", "noise"]
    metric: Metric | TokenWeights
    aggregation: Aggregation
    ablation: Literal["zero", "value-bias", "mean", "resample"]
    reference: Any
    method: Literal["exact", "attribution", "screen"]
    gradient: Literal["frozen-norms", "plain"]
    screen_top: int
    confidence: float
    width: float
    receivers: Sequence[str] | str
    freeze_mlps: bool
    senders: Literal["heads", "all"]
    patch_sets: Sequence[str] | str
    edges: Literal["exact", "attribution", "attribution-ig", "screen", "adaptive"]
    edge_steps: int
    edge_top: int
    edges_ungrouped: bool
    circuit: Literal["heads", "heads-and-mlps"]
    circuit_given: Sequence[str] | str
    circuit_sizes: Sequence[int]
    circuit_random: int
    circuit_holdout: float
    circuit_tolerance: float
    circuit_seed: int
    dataset: str
    pairs_file: str
    count: int
    seed: int
    name: str
    pair_indices: Sequence[int]
    skip_invalid: bool
    bos: Literal["auto", "always", "never"]
    threshold: float
    top: int
    dtype: Literal["float32", "float64", "bfloat16", "float16"]
    device: Literal["auto", "cpu", "cuda"]
    weights: Literal["auto", "resident", "streamed"]
    memory_mib: int
    callback: str


OPTIONS_HELP = """
    Options (what is not given has the server's default, here in parentheses):

    - patch ("z"): which activation is replaced, in TransformerLens's names. Of each head `z` (its output before W_O),
      `pattern`, `v`, `q`, `k`; of each layer as a whole `attn_out`, `mlp_out`, `resid_pre`, `resid_mid`, `resid_post`.
    - positions ("all"): `"all"` at once, `"each"` or `"each-role"` in turn, a number (negative from the end), or a role
      that the pairs name, such as `"S2"`.
    - direction ("denoise", of an ablation "noise"): clean into corrupted, or corrupted into clean.
    - metric ("logit-difference"): what is measured at the last position: `logit-difference`, `log-probability`,
      `probability`, `probability-difference`, `rank`, `kl-divergence`; or one of your own, a weight for the logit of each
      of some tokens, by text or id: `{" he": 1, " she": -1}`.
    - aggregation ("well-conditioned-mean"): how pairs come together; also `mean-of-ratios`, `ratio-of-means`.
    - ablation: put in place of z instead of the other run's: `zero`, `value-bias`, `mean`, `resample`.
    - reference: with ablation `mean` and `resample`, whose corrupted prompts means and donors are of: as `pairs`.
    - method ("exact"): run every patch, or `attribution` (all estimated from one gradient), `screen` (estimated, and
      the largest run), or `adaptive` (heads run on pair after pair until it is decided which are above the threshold).
    - gradient ("frozen-norms"): of an estimate; `plain` is the textbook's.
    - screen_top (10): heads that a screen runs.
    - confidence (0.95), width: of an adaptive sweep (confidence of edges as well), the share of sweeps in which the intervals of all heads hold, and the
      width of a head's interval that ends its runs, decided or not.
    - receivers: path patching, only the paths from each head to these: `"logits"`, or `["L9H6.q", "L9H9.q"]`.
    - freeze_mlps (False): with receivers, MLPs do not react.
    - senders ("heads"): with receivers, where paths start; `"all"`: MLPs and the embedding too (`Sweep.senders` has them).
    - patch_sets: sets of nodes to patch together, beside the heads one at a time: `["L9H6,L9H9", "M8"]`, each node with `@` and
      a position or a role where it is not patched everywhere (`sets` has what they did).
    - edges: the effect of every edge too, from what one part writes to what another reads: `"exact"`, every one patched;
      estimated from one gradient (`"attribution"`, EAP) or several (`"attribution-ig"`, EAP-IG, edge_steps (5) of them);
      `"screen"`, estimated and the edge_top (200) strongest patched; `"adaptive"`, each patched on as many pairs as it takes to
      say whether it is above `threshold`. edges_ungrouped (False): keys and values of each query head by themselves, where
      heads share them. `Sweep.edges` has them.
    - circuit: when the heads are ranked, find the fewest nodes that do the task together, of `"heads"` or `"heads-and-mlps"`, and
      prove it on pairs they were not chosen on (`proof` has it; `find_circuit()` does it to a sweep that there is).
    - circuit_given: prove these nodes instead, `["L9H6", "L9H9"]`. circuit_sizes (0.1 to 100 % of all nodes), circuit_random
      (100), circuit_holdout (0.3), circuit_tolerance (0.02), circuit_seed (seed): sizes that are measured, random circuits of
      each, share of pairs held out, how near to 1, and what is drawn.
    - dataset: a built-in dataset's name (`ioi-generated`, `docstring`, `sva`; all: `datasets()`), which may as well be
      given as `pairs`.
    - pairs_file: pairs that `headpatch dataset push` has put into the store, by their name; for more than 10,000.
    - count (20): how many pairs a generated dataset makes.
    - seed (0): of everything drawn at random.
    - name (of a file its name): what lists call the sweep, and its result your own pairs ("pairs" without one).
    - pair_indices (all): only these pairs, from 0.
    - skip_invalid (False): leave out pairs that cannot be swept; otherwise they refuse the sweep.
    - bos ("auto"): whether texts begin with the model's BOS; also `always`, `never`. Token ids are taken as they are.
    - threshold (0.1): heads with a larger |effect| are important unless their interval holds 0.
    - top (20): rows of the report's ranked table; results have all.
    - dtype ("float32"), device ("auto"): in what and where it is computed: `float32`, `float64`, `bfloat16`, on a GPU
      `float16`; `auto`, `cpu`, `cuda`.
    - weights ("auto"): where the model's weights are: `resident`, in memory; `streamed`, each layer read from the files when it
      is used, for models larger than the memory; `auto` is in memory where they fit. It changes no number.
    - memory_mib (1024): MiB that patching may take beside the weights.
    - callback: an https address to POST to when the sweep has ended; only hosts that the server's operator names.
"""

NAMES = tuple(SweepOptions.__annotations__)

_UNUSUAL_API_NAMES = {"memory_mib": "memoryMiB"}

F = TypeVar("F", bound=Callable[..., Any])


def to_body(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as members of a request's body; those that are None are left out.

    Raises InvalidRequest for options that there are not, with the one that was probably meant.
    """
    unknown = [name for name in options if name not in NAMES]
    if unknown:
        raise InvalidRequest([Fault(name, "unknown-option", _unknown(name)) for name in unknown])
    body = {_UNUSUAL_API_NAMES.get(name, camel_case(name)): value for name, value in options.items() if value is not None}
    if isinstance(body.get("metric"), Mapping):
        body["tokenWeights"] = {f"#{token}" if isinstance(token, int) else token: weight for token, weight in body.pop("metric").items()}
    for several in ("receivers", "patchSets"):
        if isinstance(body.get(several), str):
            body[several] = [body[several]]
    if isinstance(body.get("circuitGiven"), Sequence) and not isinstance(body["circuitGiven"], str):
        body["circuitGiven"] = ",".join(body["circuitGiven"])
    return body


def camel_case(name: str) -> str:
    """`screen_top` as `screenTop`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def snake_case(name: str) -> str:
    """`hookPoint` as `hook_point`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def has_options(function: F) -> F:
    """Writes the options into a function's docstring (at `{options}`) and, for the completion of notebooks, its signature.

    So each option is written down once, in this file, and every function that takes them shows them.
    """
    function.__doc__ = inspect.cleandoc(function.__doc__ or "").replace("{options}", inspect.cleandoc(OPTIONS_HELP))
    signature = inspect.signature(function)
    kept = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=f"{annotation.__forward_arg__} | None")
        for name, annotation in SweepOptions.__annotations__.items()
    ]
    function.__signature__ = signature.replace(parameters=[*kept, *options])  # type: ignore[attr-defined]
    return function


def _unknown(name: str) -> str:
    # Also by the API's own names: screenTop, memoryMiB.
    plain = {known.replace("_", ""): known for known in NAMES}
    meant = plain.get(name.replace("_", "").replace("-", "").lower())
    near = [meant] if meant else difflib.get_close_matches(name, NAMES, n=1)
    return f"There is no such option. Did you mean '{near[0]}'?" if near else f"There is no such option. There are: {', '.join(NAMES)}."
