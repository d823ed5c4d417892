"""What is measured, for `headpatching.patching`: where TransformerLens takes a function of the logits, a metric of the server."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from . import _pairs
from .errors import InvalidRequest

# Tokens for metrics that look at no answer, or at one; a pair has two that differ all the same.
_UNREAD_TOKENS = (0, 1)


@dataclass(frozen=True)
class CleanRun:
    """The clean prompts, in place of TransformerLens's ActivationCache of them: the server makes and keeps the activations."""

    tokens: Any
    """Token ids, [batch, pos]: a tensor, an array, or nested lists."""


@dataclass(frozen=True)
class PatchingMetric(ABC):
    """A metric with each row's answers. `correct` and `incorrect`: a token id, or text that is one token, for every row alike;
    or one for each row; or for each row a list of several."""

    name: ClassVar[str]

    @property
    def asked(self) -> str | Mapping[str | int, float]:
        """What a sweep's option `metric` is for it."""
        return self.name

    @abstractmethod
    def answers(self, batch: int) -> list[tuple[Any, Any]]:
        """Each row's correct and incorrect answer. Raises InvalidRequest where there are not as many as rows."""


@dataclass(frozen=True)
class _OfTwoAnswers(PatchingMetric):
    correct: Any
    incorrect: Any

    def answers(self, batch: int) -> list[tuple[Any, Any]]:
        return list(zip(_per_row(self.correct, batch, "correct"), _per_row(self.incorrect, batch, "incorrect")))


@dataclass(frozen=True)
class _OfOneAnswer(PatchingMetric):
    correct: Any

    def answers(self, batch: int) -> list[tuple[Any, Any]]:
        rows = _per_row(self.correct, batch, "correct")
        return [(correct, next(token for token in _UNREAD_TOKENS if token != correct)) for correct in rows]


@dataclass(frozen=True)
class LogitDifference(_OfTwoAnswers):
    """logit[correct] - logit[incorrect] at the last position; of several answers, the means."""

    name = "logit-difference"


@dataclass(frozen=True)
class ProbabilityDifference(_OfTwoAnswers):
    """p(correct) - p(incorrect) at the last position, each summed over its answers."""

    name = "probability-difference"


@dataclass(frozen=True)
class LogProbability(_OfOneAnswer):
    """log p(correct) at the last position, in nats."""

    name = "log-probability"


@dataclass(frozen=True)
class Probability(_OfOneAnswer):
    """p(correct) at the last position."""

    name = "probability"


@dataclass(frozen=True)
class Rank(_OfOneAnswer):
    """How many tokens stand above the correct one at the last position."""

    name = "rank"


@dataclass(frozen=True)
class KLDivergence(PatchingMetric):
    """KL(clean || run) at the last position, in nats."""

    name = "kl-divergence"

    def answers(self, batch: int) -> list[tuple[Any, Any]]:
        return [_UNREAD_TOKENS] * batch


@dataclass(frozen=True)
class TokenWeights(PatchingMetric):
    """A metric of your own: the sum of some tokens' logits at the last position, each with its weight, for every row alike:
    `TokenWeights({" he": 1, " she": -1})`. Tokens by text or id."""

    weights: Mapping[str | int, float]

    name = "token-weights"

    @property
    def asked(self) -> str | Mapping[str | int, float]:
        return self.weights

    def answers(self, batch: int) -> list[tuple[Any, Any]]:
        return [_UNREAD_TOKENS] * batch


def _per_row(answers: Any, batch: int, which: str) -> list[Any]:
    rows = _pairs.plain(answers)
    if not isinstance(rows, list):
        return [rows] * batch
    if len(rows) != batch:
        raise InvalidRequest.of(
            f"patching_metric.{which}",
            "malformed",
            f"There are {len(rows)} answers for {batch} rows of tokens. Give one for each row, or one alone for all.",
        )
    return rows
