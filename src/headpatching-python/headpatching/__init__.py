"""Head-level activation patching from Python: which attention heads carry a behaviour?

    import headpatching as hp

    s = hp.sweep("ioi-demo", "ioi", patch="z")
    s                    # in a notebook: the heatmap
    s.effects            # [layer, head]
    s.top(5)             # the strongest heads, with their 95 % intervals

The functions here ask one server: the one of `hp.connect()`, else the one at HEADPATCHING_URL (with HEADPATCHING_KEY), else
one that this package starts for the session. For several servers there is `hp.Client`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import _session
from ._circuit import Circuit, CircuitNode, CircuitSize, EdgeEffect, SetEffect
from ._client import BoundModel, Client, ModelInfo, Plan
from ._compare import Comparison, HeadDifference
from ._findings import HeadEffect, PairEffect
from ._metrics import CleanRun, KLDivergence, LogitDifference, LogProbability, Probability, ProbabilityDifference, Rank, TokenWeights
from ._options import Aggregation, Metric, Patch, has_options
from ._pairs import Pair, PairsLike
from ._progress import Progress
from ._series import Series
from ._session import connect, start_server, stop_server
from ._sweep import Sweep
from ._version import VERSION as __version__
from .errors import (
    Conflict,
    Fault,
    HeadPatchingError,
    InvalidRequest,
    NotAllowed,
    NotFinished,
    NotFound,
    ServerError,
    SweepFailed,
    TooManySweeps,
    Unreachable,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import SweepOptions

__all__ = [
    "Aggregation",
    "BoundModel",
    "Circuit",
    "CircuitNode",
    "CircuitSize",
    "CleanRun",
    "Client",
    "Comparison",
    "Conflict",
    "EdgeEffect",
    "Fault",
    "HeadDifference",
    "HeadEffect",
    "HeadPatchingError",
    "InvalidRequest",
    "KLDivergence",
    "LogProbability",
    "LogitDifference",
    "Metric",
    "ModelInfo",
    "NotAllowed",
    "NotFinished",
    "NotFound",
    "Pair",
    "PairEffect",
    "Patch",
    "Plan",
    "Probability",
    "ProbabilityDifference",
    "Progress",
    "Rank",
    "Series",
    "ServerError",
    "SetEffect",
    "Sweep",
    "SweepFailed",
    "TokenWeights",
    "TooManySweeps",
    "Unreachable",
    "__version__",
    "connect",
    "datasets",
    "get",
    "models",
    "plan",
    "series",
    "start_server",
    "stop_server",
    "sweep",
    "sweep_async",
    "sweeps",
]


@has_options
def sweep(
    model: str | os.PathLike[str] = "ioi-demo",
    pairs: PairsLike = None,
    *,
    wait: bool = True,
    progress: bool | None = None,
    again: bool = False,
    **options: Unpack[SweepOptions],
) -> Sweep:
    return _session.client().sweep(model, pairs, wait=wait, progress=progress, again=again, **options)


@has_options
async def sweep_async(
    model: str | os.PathLike[str] = "ioi-demo",
    pairs: PairsLike = None,
    *,
    wait: bool = True,
    progress: bool | None = None,
    again: bool = False,
    **options: Unpack[SweepOptions],
) -> Sweep:
    client = await _session.client_async()
    return await client.sweep_async(model, pairs, wait=wait, progress=progress, again=again, **options)


@has_options
def plan(model: str | os.PathLike[str] = "ioi-demo", pairs: PairsLike = None, **options: Unpack[SweepOptions]) -> Plan:
    return _session.client().plan(model, pairs, **options)


@has_options
def series(
    models: Sequence[str | os.PathLike[str]],
    pairs: PairsLike = None,
    *,
    wait: bool = True,
    progress: bool | None = None,
    again: bool = False,
    **options: Unpack[SweepOptions],
) -> Series:
    return _session.client().series(models, pairs, wait=wait, progress=progress, again=again, **options)


# They are the client's, of another server.
sweep.__doc__, sweep_async.__doc__, plan.__doc__ = Client.sweep.__doc__, Client.sweep_async.__doc__, Client.plan.__doc__
series.__doc__ = Client.series.__doc__


def get(sweep_id: str) -> Sweep:
    """The sweep of an id. Raises NotFound."""
    return _session.client().get(sweep_id)


def sweeps(limit: int | None = None, *, status: str | None = None, model: str | None = None, search: str | None = None) -> list[Sweep]:
    return _session.client().sweeps(limit, status=status, model=model, search=search)


sweeps.__doc__ = Client.sweeps.__doc__


def models() -> list[ModelInfo]:
    """The models that the server knows."""
    return _session.client().models()


def datasets() -> dict[str, str]:
    """The built-in datasets: what each holds, by its name."""
    return _session.client().datasets()
