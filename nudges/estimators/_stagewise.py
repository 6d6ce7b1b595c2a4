"""Cross products of a design and its targets by fold → paths of small steps, with held-out errors along the way.

Forward stagewise fitting (Friedman 2001, gradient boosting with squared loss and one term a round) needs no rows: the
gain of a term, the residuals it leaves and the squared error on the fold held out are all functions of the cross
products. The targets share noise, so losses weigh them by the inverse of their covariance, as generalised least
squares does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

_PATIENCE = 80
_FLAT = 1e-5  # variance of a term that a fold's training rows do not tell from a constant


@dataclass(frozen=True, slots=True)
class Moments:
    """Cross products of one model's training rows and of the rows held out from it, about the training means.

    Attributes:
        mean: (d,) of the terms, and level (K,) of the targets, in training.
        gram: (d, d) of the terms in training, `held_gram` on the held-out rows.
        pull: (K, d) of targets and terms in training, `held_pull` on the held-out rows.
        held_error: (K, K) of the targets on the held-out rows.
    """

    mean: Floats
    level: Floats
    gram: Floats
    held_gram: Floats
    pull: Floats
    held_pull: Floats
    held_error: Floats

    @classmethod
    def of(cls, training: Floats, held: Floats, n_targets: int) -> Self:
        """From cross products of the columns [1, terms, targets], (1 + d + K, 1 + d + K)."""
        mean = training[0] / training[0, 0]
        own = training - np.outer(mean, training[0])
        cross = np.outer(mean, held[0])
        other = held - cross - cross.T + held[0, 0] * np.outer(mean, mean)
        inner, last = slice(1, -n_targets), slice(-n_targets, None)
        return cls(
            mean=mean[inner],
            level=mean[last],
            gram=own[inner, inner],
            held_gram=other[inner, inner],
            pull=own[last, inner],
            held_pull=other[last, inner],
            held_error=other[last, last],
        )


@dataclass(frozen=True, slots=True)
class Paths:
    """What every model added, round by round; the last model is the one of all rows.

    Attributes:
        moments: of each of the m models.
        term: (rounds, m) which term.
        size: (rounds, m, K) by how much in each target.
        error: (rounds + 1,) held-out squared error over all folds, weighed by the inverse covariance.
        agreed: (rounds + 1,) held-out cross product of targets and predicted departures from the constant, likewise.
    """

    moments: tuple[Moments, ...]
    term: Indices
    size: Floats
    error: Floats
    agreed: Floats

    def at(self, model: int, rounds: int, stretch: float) -> tuple[Floats, Floats]:
        """Intercepts (K,) and coefficients (K, d) of one model after `rounds`, its departures times `stretch`."""
        own = self.moments[model]
        coef = np.zeros(own.pull.shape[::-1])
        np.add.at(coef, self.term[:rounds, model], stretch * self.size[:rounds, model])
        return own.level - own.mean @ coef, np.ascontiguousarray(coef.T)

    def moved(self) -> Floats:
        """Held-out squares of the predicted departures from the constant, (rounds + 1,), weighed like the errors."""
        return np.asarray(self.error - self.error[0] + 2.0 * self.agreed)


def paths(grams: Floats, ease: Floats, inverse: Floats, *, rate: float, most_rounds: int) -> Paths:
    """Boost one model for every fold left out, and one of all rows.

    Args:
        grams: (folds, 1 + d + K, 1 + d + K) cross products of [1, terms, targets] by fold.
        ease: (folds + 1, ways, d) factor on a term's claim to be next, 0 where a model may not use it.
        inverse: (K, K) of the targets' covariance.
        rate: share of a term's best size taken in one round.
        most_rounds: where to stop if the held-out error has not long stopped falling.
    """
    total, none = grams.sum(axis=0), np.zeros_like(grams[0])
    n_targets = len(inverse)
    moments = tuple(Moments.of(total - held, held, n_targets) for held in (*grams, none))
    ways = directions(n_targets)
    seen = ways @ inverse
    stiff = np.sum(seen * ways, axis=1)
    gram, held_gram = np.array([own.gram for own in moments]), np.array([own.held_gram for own in moments])
    pull, held_pull = np.array([own.pull for own in moments]), np.array([own.held_pull for own in moments])
    power = np.diagonal(gram, axis1=1, axis2=2)
    power = np.where(power > _FLAT, power, np.inf)
    claim = ease / np.sqrt(power[:, None, :] * stiff[:, None])
    every = np.arange(len(moments))
    errors = [float(sum(np.sum(own.held_error * inverse) for own in moments))]
    start, agreed = held_pull.copy(), [0.0]
    terms: list[Indices] = []
    sizes: list[Floats] = []
    while gram.size and len(terms) < most_rounds and len(terms) - int(np.argmin(errors)) < _PATIENCE:
        gain = seen @ pull
        way, term = np.divmod(np.abs(gain * claim).reshape(len(moments), -1).argmax(axis=1), gain.shape[2])
        size = (rate * gain[every, way, term] / (power[every, term] * stiff[way]))[:, None] * ways[way]
        weighed = size @ inverse
        missed = np.sum(weighed * held_pull[every, :, term])
        overshot = np.sum(weighed * size, axis=1) @ held_gram[every, term, term]
        errors.append(float(errors[-1] - 2.0 * missed + overshot))
        agreed.append(float(agreed[-1] + np.sum(weighed * start[every, :, term])))
        pull -= size[:, :, None] * gram[every, term][:, None, :]
        held_pull -= size[:, :, None] * held_gram[every, term][:, None, :]
        terms.append(term)
        sizes.append(size)
    shape = (len(terms), len(moments))
    return Paths(
        moments,
        np.array(terms, dtype=np.intp).reshape(shape),
        np.reshape(sizes, (*shape, n_targets)),
        np.array(errors),
        np.array(agreed),
    )


def directions(n_targets: int) -> Floats:
    """Unit moves, (ways, K): one target alone, or all of them alike."""
    alone = np.eye(n_targets)
    return alone if n_targets == 1 else np.vstack([alone, np.ones(n_targets)])
