"""`transformer_lens.patching` on a HeadPatching server: the same functions, arguments in the same order, results of the same shape.

    # from transformer_lens import patching
    from headpatching import patching, CleanRun, LogitDifference

    metric = LogitDifference(answer_tokens[:, 0], answer_tokens[:, 1])
    out = patching.get_act_patch_attn_head_out_all_pos("gpt2", corrupted_tokens, CleanRun(clean_tokens), metric)

What differs from TransformerLens:

- `model` is a name that the server knows, or a model folder where the server is this process's own, or
  `Client.model(name)`; there is no model in this process.
- `corrupted_tokens`, [batch, pos], may be a tensor, an array or nested lists. They are taken as they are, BOS included.
- `clean_cache` is `CleanRun(clean_tokens)`, or the clean tokens themselves, of the same shape.
- `patching_metric` is one of `LogitDifference`, `LogProbability`, `Probability`, `ProbabilityDifference`, `Rank`,
  `KLDivergence`, with the answers of each row, or `TokenWeights`, any linear function of the logits; no other function of them.
  Each is the mean over the batch.
- What is returned is a numpy array of float64 (nested lists without numpy), not a tensor. By default its values are, as
  TransformerLens's, the metric of the patched runs, in its own unit. With `normalised=True` they are (patched - corrupted) /
  (clean - corrupted) of the means over the batch, which is what the `ioi_metric` of most notebooks makes of it.
- The weights are taken as they are; TransformerLens by default folds and centres them, which changes these values by float
  rounding alone.
- `return_index_df`, `index_df` and `index_axis_names` are not there, and neither are
  `get_act_patch_attn_head_pattern_dest_src_pos` and `generic_activation_patch`.

Each call is a sweep (`hp.sweeps()` lists it), found again when it is called again. By position, 1,000 rows at most.

Raises what `hp.sweep` raises: InvalidRequest with every fault, SweepFailed where tokens are not the model's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, Union

from . import _findings, _numbers, _pairs, _session
from ._client import BoundModel
from ._metrics import CleanRun, PatchingMetric
from .errors import InvalidRequest

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import SweepOptions

ModelLike = Union[str, "os.PathLike[str]", BoundModel]

_MOST_ROWS_BY_POSITION = 1000

_OF_HEADS = ("z", "q", "k", "v", "pattern")
_OF_LAYERS = ("resid_pre", "attn_out", "mlp_out")


class PatchingFunction(Protocol):
    """A function of `transformer_lens.patching` for one kind of activation."""

    def __call__(
        self,
        model: ModelLike,
        corrupted_tokens: Any,
        clean_cache: CleanRun | Any,
        patching_metric: PatchingMetric,
        *,
        normalised: bool = False,
        **options: Unpack[SweepOptions],
    ) -> Any:
        ...


def _patched(
    patch: str,
    positions: str,
    model: ModelLike,
    corrupted_tokens: Any,
    clean_cache: CleanRun | Any,
    patching_metric: PatchingMetric,
    normalised: bool,
    options: Any,
) -> list[Any]:
    """Sweeps, and returns the patched metric [layer][head], or [layer][pos][head]."""
    corrupted = _rows(corrupted_tokens, "corrupted_tokens")
    clean = _rows(clean_cache.tokens if isinstance(clean_cache, CleanRun) else clean_cache, "clean_cache")
    if _numbers.shape(clean) != _numbers.shape(corrupted) or len({len(row) for row in clean + corrupted}) != 1:
        raise InvalidRequest.of(
            "clean_cache",
            "unequal-length",
            f"Clean and corrupted tokens have one shape [batch, pos]; these have {list(_numbers.shape(clean))} "
            f"and {list(_numbers.shape(corrupted))}.",
        )
    if not isinstance(patching_metric, PatchingMetric):
        raise InvalidRequest.of(
            "patching_metric",
            "invalid-option",
            "A server measures what it knows, no function of the logits: give LogitDifference(correct, incorrect), "
            "or another class of headpatching's metrics.",
        )
    if positions == "each" and len(clean) > _MOST_ROWS_BY_POSITION:
        raise InvalidRequest.of(
            "corrupted_tokens", "too-large", f"By position there are {_MOST_ROWS_BY_POSITION:,} rows at most, and these are {len(clean):,}."
        )

    client, name = (model.client, model.name) if isinstance(model, BoundModel) else (_session.client(), model)
    pairs = [_pairs.Pair(*row, *answers) for row, answers in zip(zip(clean, corrupted), patching_metric.answers(len(clean)))]
    asked: Any = {"patch": patch, "positions": positions, "metric": patching_metric.asked}
    results = client.sweep(name, pairs, **asked, **options).results
    patched = _findings.patched_metric(results)
    return [_normalised(layer, results["cleanMetric"], results["corruptedMetric"]) for layer in patched] if normalised else patched


def _each_patched(patches: tuple[str, ...], *asked: Any) -> list[list[Any]]:
    """What `_patched` gives for each of several kinds of activation."""
    return [_patched(patch, *asked) for patch in patches]


def _rows(tokens: Any, name: str) -> list[list[int]]:
    rows = _pairs.plain(tokens)
    if isinstance(rows, list) and rows and all(isinstance(token, int) for token in rows):
        rows = [rows]  # one prompt without a batch
    if not (isinstance(rows, list) and rows and all(isinstance(row, list) and row for row in rows)):
        raise InvalidRequest.of(name, "malformed", "Tokens are ids of shape [batch, pos]: a tensor, an array, or nested lists.")
    return rows


def _normalised(metric: Any, clean: float, corrupted: float) -> Any:
    if isinstance(metric, list):
        return [_normalised(item, clean, corrupted) for item in metric]
    return (metric - corrupted) / (clean - corrupted)


def _function(
    name: str, patch: str, positions: str, what: str, shape: str, arrange: Callable[[list[Any]], list[Any]] = list
) -> PatchingFunction:
    """The function of one kind of activation; `arrange` brings [layer][head] or [layer][pos][head] into TransformerLens's shape."""

    def function(
        model: ModelLike,
        corrupted_tokens: Any,
        clean_cache: CleanRun | Any,
        patching_metric: PatchingMetric,
        *,
        normalised: bool = False,
        **options: Unpack[SweepOptions],
    ) -> Any:
        patched = _patched(patch, positions, model, corrupted_tokens, clean_cache, patching_metric, normalised, options)
        return _numbers.array(arrange(patched))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"The metric of runs with {what} patched, {'at all positions' if positions == 'all' else 'at each position in turn'}: {shape}.\n\n"
        "Arguments, units and what differs from TransformerLens are in this module's docstring; options are those of `hp.sweep`."
    )
    return function


def _one_value_a_position(layers: list[Any]) -> list[Any]:
    """[layer][pos][one] as [layer][pos]."""
    return [[position[0] for position in layer] for layer in layers]


def _heads_before_positions(layers: list[Any]) -> list[Any]:
    """[layer][pos][head] as [layer][head][pos]."""
    return [[list(head) for head in zip(*layer)] for layer in layers]


def _layers(patch: str, what: str) -> PatchingFunction:
    return _function(f"get_act_patch_{patch}", patch, "each", what, "[layer, pos]", _one_value_a_position)


def _heads(name: str, patch: str, what: str) -> tuple[PatchingFunction, PatchingFunction]:
    prefix = f"get_act_patch_attn_head_{name}"
    return (
        _function(f"{prefix}_all_pos", patch, "all", what, "[layer, head]"),
        _function(f"{prefix}_by_pos", patch, "each", what, "[layer, pos, head]"),
    )


get_act_patch_resid_pre = _layers("resid_pre", "the residual stream before a layer")
get_act_patch_resid_mid = _layers("resid_mid", "the residual stream between a layer's attention and MLP")
get_act_patch_attn_out = _layers("attn_out", "what a layer's heads write")
get_act_patch_mlp_out = _layers("mlp_out", "what a layer's MLP writes")

get_act_patch_attn_head_out_all_pos, get_act_patch_attn_head_out_by_pos = _heads("out", "z", "a head's output (z)")
get_act_patch_attn_head_q_all_pos, get_act_patch_attn_head_q_by_pos = _heads("q", "q", "a head's queries")
get_act_patch_attn_head_k_all_pos, get_act_patch_attn_head_k_by_pos = _heads("k", "k", "a (key/value) head's keys")
get_act_patch_attn_head_v_all_pos, get_act_patch_attn_head_v_by_pos = _heads("v", "v", "a (key/value) head's values")

get_act_patch_attn_head_pattern_all_pos = _function(
    "get_act_patch_attn_head_pattern_all_pos", "pattern", "all", "a head's attention pattern", "[layer, head]"
)
get_act_patch_attn_head_pattern_by_pos = _function(
    "get_act_patch_attn_head_pattern_by_pos",
    "pattern",
    "each",
    "a head's attention from a position",
    "[layer, head, dest_pos]",
    _heads_before_positions,
)


def get_act_patch_attn_head_all_pos_every(
    model: ModelLike,
    corrupted_tokens: Any,
    clean_cache: CleanRun | Any,
    metric: PatchingMetric,
    *,
    normalised: bool = False,
    **options: Any,
) -> Any:
    """Output, query, key, value and pattern of each head, each at all positions: [5, layer, head].

    Where there are fewer key/value heads than heads, k and v are filled up with zeros, as TransformerLens does.
    """
    kinds = _each_patched(_OF_HEADS, "all", model, corrupted_tokens, clean_cache, metric, normalised, options)
    width = len(kinds[0][0])
    return _numbers.array([[_filled(layer, width) for layer in kind] for kind in kinds])


def get_act_patch_attn_head_by_pos_every(
    model: ModelLike,
    corrupted_tokens: Any,
    clean_cache: CleanRun | Any,
    metric: PatchingMetric,
    *,
    normalised: bool = False,
    **options: Any,
) -> Any:
    """Output, query, key, value and pattern of each head, each at each position in turn: [5, layer, pos, head].

    Where there are fewer key/value heads than heads, k and v are filled up with zeros, as TransformerLens does.
    """
    kinds = _each_patched(_OF_HEADS, "each", model, corrupted_tokens, clean_cache, metric, normalised, options)
    width = len(kinds[0][0][0])
    return _numbers.array([[[_filled(position, width) for position in layer] for layer in kind] for kind in kinds])


def get_act_patch_block_every(
    model: ModelLike,
    corrupted_tokens: Any,
    clean_cache: CleanRun | Any,
    metric: PatchingMetric,
    *,
    normalised: bool = False,
    **options: Any,
) -> Any:
    """The residual stream before each layer, what its heads write, and what its MLP writes, at each position in turn: [3, layer, pos]."""
    kinds = _each_patched(_OF_LAYERS, "each", model, corrupted_tokens, clean_cache, metric, normalised, options)
    return _numbers.array([_one_value_a_position(kind) for kind in kinds])


def _filled(heads: list[float], width: int) -> list[float]:
    return heads + [0.0] * (width - len(heads))
