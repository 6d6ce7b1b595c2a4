"""The linear models of the estimators: many small effects by their closed form, and rows of unequal room."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from nudges.estimators import _linear
from nudges.estimators._basis import Basis
from nudges.estimators._dense import ALIKE, SIZES, dense
from nudges.estimators._moments import Moments
from nudges.estimators._room import Room
from nudges.estimators._rows import Scored

RNG_FOLDS = 5


def moments_of(spread, cross):
    q, n_effects = cross.shape
    return Moments(1.0, np.zeros(q), np.zeros(n_effects), spread, cross)


def scored(n=6_000, *, seed=0, effect=None, yes_or_no=True):
    """Contrasts of two messages whose noise varies with the chance of the outcome."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6))
    chance = 1 / (1 + np.exp(2.0 - 1.2 * X[:, 0]))
    truth = np.zeros((n, 2)) if effect is None else effect(X)
    noise = np.sqrt(chance * (1 - chance))[:, None] * rng.normal(size=(n, 2))
    y = (rng.random(n) < chance).astype(float) if yes_or_no else rng.normal(size=n)
    return Scored(X, truth + noise, y, np.arange(n), np.ones(n), np.arange(n) % RNG_FOLDS), truth


def parts_of(rows):
    basis = Basis.of(rows.X, rows.weight)
    room = Room.of(basis, rows.X, rows.y, rows.weight)
    return basis, room, room.evened(basis, rows)


def test_small_effects_are_the_average_of_normal_posteriors():
    """Three correlated columns of unequal spread, two arms: against the same by Kronecker products."""
    rng = np.random.default_rng(0)
    sd, R = np.array([1.0, 2.0, 0.5]), np.array([[1.0, 0.4, 0.1], [0.4, 1.0, -0.3], [0.1, -0.3, 1.0]])
    V = 0.01 * np.array([[1.0, 0.5], [0.5, 2.0]])
    seen = rng.normal(0, 0.15, size=(3, 2))
    typical = np.trace(V) / 2
    densities, means = [], []
    for size in SIZES:
        for alike in ALIKE:
            prior = np.kron(np.eye(3), size**2 * typical * (alike + (1 - alike) * np.eye(2)))
            design = np.kron(R, np.eye(2))
            variance = design @ prior @ design.T + np.kron(R, V)
            densities.append(multivariate_normal(np.zeros(6), variance).pdf(seen.ravel()))
            means.append((prior @ design.T @ np.linalg.solve(variance, seen.ravel())).reshape(3, 2))
    expected = np.average(means, axis=0, weights=densities) / sd[:, None]
    slopes = dense(moments_of(R * np.outer(sd, sd), seen * sd[:, None]), np.tile(V, (3, 1, 1)))
    np.testing.assert_allclose(slopes, expected.T, rtol=1e-4)


def test_columns_that_never_change_or_say_the_same_have_no_slope_of_their_own():
    spread = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    slopes = dense(moments_of(spread, np.array([[0.5], [0.5], [0.0]])), np.full((3, 1, 1), 0.001))
    assert slopes[0, 0] == pytest.approx(slopes[0, 1])
    most = 2 * SIZES[-1] ** 2  # prior variance of their sum over its noise: the largest size has all the likelihood
    assert slopes[0, 0] + slopes[0, 1] == pytest.approx(0.5 * most / (1 + most), rel=1e-3)
    assert slopes[0, 2] == 0.0
    assert not dense(moments_of(np.zeros((2, 2)), np.zeros((2, 1))), np.zeros((2, 1, 1))).any()


def test_many_small_effects_are_found_better_than_by_looking_for_few_large_ones():
    """Six slopes an arm of about one standard error: no column stands out, all together do."""
    found = []
    for seed in range(12):
        slopes = np.random.default_rng([seed, 1]).choice([-1.0, 1.0], size=(6, 2))
        rows, truth = scored(2_000, seed=seed, effect=lambda X, slopes=slopes: 0.009 * X @ slopes, yes_or_no=False)
        basis = Basis.of(rows.X, rows.weight)
        models = [_linear.fitted(rows, basis, small=small).deviation(rows.X) for small in (False, True)]
        found.append([((truth - part) ** 2).mean() / (truth**2).mean() for part in models])
    sparse, small = np.mean(found, axis=0)
    assert small < 0.9 * sparse


def test_weights_of_rows_are_even_after_their_room_and_means_stay_those_of_the_rows():
    rows, _ = scored()
    basis, room, evened = parts_of(rows)
    space = room(basis(rows.X))
    np.testing.assert_allclose(evened.weight * space, 1.0, rtol=1e-5)
    assert space.min() >= np.float32(0.2)
    assert space.max() > 1.5
    model = _linear.fitted(evened, basis, room=room, with_pairs=True)
    np.testing.assert_allclose(model.mean, model.columns(rows.X).mean(axis=0), atol=2e-3)
    np.testing.assert_allclose(model.deviation(rows.X).mean(axis=0), 0.0, atol=1e-4)


def test_rows_without_bounds_keep_their_weights():
    rows, _ = scored(yes_or_no=False)
    assert parts_of(rows)[2] is rows


def test_even_weights_find_slopes_more_precisely():
    """Effects that follow the room: rows in which little can move are quiet, and count for more."""

    def planted(X):
        chance = 1 / (1 + np.exp(2.0 - 1.2 * X[:, 0]))
        return 0.2 * (chance * (1 - chance))[:, None] * X[:, [1, 2]]

    lost = []
    for seed in range(8):
        rows, truth = scored(seed=seed, effect=planted)
        basis, room, evened = parts_of(rows)
        models = [_linear.fitted(own, basis, room=room, small=True) for own in (evened, rows)]
        apart = truth - truth.mean(axis=0)
        lost.append([((part.deviation(rows.X) - apart) ** 2).mean() for part in models])
    even, plain = np.mean(lost, axis=0)
    assert even < plain


def test_models_added_up_predict_what_they_do_one_by_one():
    rows, _ = scored(effect=lambda X: 0.3 * X[:, [0, 1]] * X[:, [2, 3]] + 0.1 * X[:, [4, 5]])
    basis, room, evened = parts_of(rows)
    few = _linear.fitted(evened, basis, room=room, with_pairs=True)
    small = _linear.fitted(evened, basis, room=room, small=True)
    level = small.of_room(np.array([0.1, -0.2]))
    summed = few.plus([small, level], [0.5, 0.3, 0.9]).deviation(rows.X)
    apart = 0.5 * few.deviation(rows.X) + 0.3 * small.deviation(rows.X) + 0.9 * level.deviation(rows.X)
    np.testing.assert_allclose(summed, apart, atol=2e-4)


def test_effects_of_the_room_are_the_mean_effects_at_average_room():
    rows, _ = scored()
    basis, room, evened = parts_of(rows)
    level = _linear.fitted(evened, basis, room=room, small=True).of_room(np.array([0.1, -0.2]))
    space = room(basis(rows.X)).astype(float)
    expected = (space - space.mean())[:, None] * [0.1, -0.2]
    np.testing.assert_allclose(level.deviation(rows.X), expected, atol=1e-4)
    np.testing.assert_allclose(level.held_out(rows.X, rows.folds), expected, atol=0.01)
