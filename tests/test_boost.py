"""Boosting of noisy contrasts: planted truths, pure noise, and out-of-fold predictions by brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudges.estimators import _boost
from nudges.estimators._boost import boosted
from nudges.estimators._lookup import Bins, Tables
from nudges.estimators._stagewise import Moments, paths
from nudges.estimators._terms import Rows, terms_of
from nudges.scoring import group_folds


def trial(n, truth, *, noise=1.0, n_targets=2, n_features=5, seed=0):
    """Features, targets whose noise is partly shared, folds, and the truth by row."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, n_features))
    effect = np.column_stack([truth(X) if target == 0 else np.zeros(n) for target in range(n_targets)])
    shared = rng.normal(size=(n, 1))
    targets = effect + noise * (0.8 * rng.normal(size=(n, n_targets)) + 0.6 * shared)
    return X, targets, rng.integers(0, 5, size=n), effect


def fit(X, targets, folds, weight=None, **kwargs):
    return boosted(X, targets, weight=np.ones(len(X)) if weight is None else weight, folds=folds, **kwargs)


def explained(model, X, effect):
    """Share of the variance of the planted truth of target 0."""
    missed = model.predict(X)[:, 0] - effect[:, 0]
    return 1.0 - missed.var() / effect[:, 0].var()


def additive(X):
    return 0.3 * (X[:, 0] > 0.5) + 0.2 * np.tanh(2 * X[:, 1])


def crossed(X):
    return np.where((X[:, 0] > 0) ^ (X[:, 1] > 0), 0.2, -0.2)


def test_an_additive_truth_is_recovered():
    X, targets, folds, effect = trial(20_000, additive)
    model = fit(X, targets, folds)
    assert model.rounds.tolist() == [model.rounds[0]] * 2
    assert model.rounds[0] > 0
    assert explained(model, X, effect) > 0.9
    assert np.abs(model.predict(X)[:, 1]).max() < 0.1


def test_an_interaction_without_main_effects_is_recovered():
    X, targets, folds, effect = trial(20_000, crossed)
    model = fit(X, targets, folds)
    assert {tuple(pair) for pair in np.sort(model.tables.products[:, [0, 2]], axis=1).tolist()} >= {(0, 1)}
    assert explained(model, X, effect) > 0.8


def test_pure_noise_stays_a_constant():
    rounds = []
    for seed in range(40):
        X, targets, folds, _ = trial(1_500, lambda X: np.zeros(len(X)), n_targets=3, seed=seed)
        model = fit(X, targets, folds)
        rounds.append(model.rounds[0])
        if model.rounds[0] == 0:
            assert np.allclose(model.predict(X), targets.mean(axis=0))
            assert not model.importance.any()
    assert np.mean(np.array(rounds) == 0) >= 0.9


def test_held_out_predictions_are_refits_without_the_fold(monkeypatch):
    monkeypatch.setattr(_boost, "_STRETCHES", (1.25,))
    X, targets, folds, _ = trial(3_000, crossed, n_features=4)
    model = fit(X, targets, folds)
    assert model.rounds[0] > 0
    bins, _ = Bins.of(X, np.ones(len(X)), 16)
    covariance = np.cov(targets.T, bias=True)
    inverse = np.linalg.inv(covariance)
    for fold in range(5):
        kept = folds != fold
        expected = brute_force(X[kept], targets[kept], bins, inverse, int(model.rounds[0]), X[~kept])
        assert model.held_out[~kept] == pytest.approx(expected, abs=1e-4)


def brute_force(X, targets, bins, inverse, n_rounds, others):
    """Stagewise fitting on the rows themselves, with the products chosen from these rows."""
    rows = Rows(
        bins=bins,
        codes=bins.codes(X),
        share=np.full(len(X), 1 / len(X)),
        targets=targets - targets.mean(axis=0),
        ends=np.array([0, len(X)]),
    )
    terms = terms_of(rows, inverse)

    def design(codes):
        def above(feature, cut):
            return (codes[feature] > cut) - bins.above[feature][cut]

        steps = np.array([above(f, cut) for f, cut in terms.steps])
        products = np.array([above(f, i) * above(g, j) for f, i, g, j in terms.products])
        return np.vstack([steps, terms.slopes.T @ steps, products]).T

    own = design(rows.codes)
    mean, level = own.mean(axis=0), targets.mean(axis=0)
    own = own - mean
    rest, coef = targets - level, np.zeros((own.shape[1], targets.shape[1]))
    ways = np.vstack([np.eye(len(inverse)), np.ones(len(inverse))])
    stiff = np.einsum("wk,kj,wj->w", ways, inverse, ways)
    power = np.sum(own**2, axis=0)
    for _ in range(n_rounds):
        pull = ways @ inverse @ rest.T @ own
        claim = np.abs(pull) * terms.ease[1] / np.sqrt(stiff[:, None] * power)
        way, term = np.unravel_index(claim.argmax(), claim.shape)
        size = 0.1 * pull[way, term] / (stiff[way] * power[term])
        coef[term] += size * ways[way]
        rest = rest - size * np.outer(own[:, term], ways[way])
    return level + 1.25 * (design(bins.codes(others)) - mean) @ coef


def test_tables_predict_what_the_terms_add_up_to():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(500, 3))
    X[rng.random(X.shape) < 0.1] = np.nan
    bins, codes = Bins.of(X, np.ones(500), 8)
    steps = np.array([(0, 1), (0, 7), (2, 3)])
    products = np.array([(0, 2, 1, 4), (1, 1, 2, 5)])
    coef, level = rng.normal(size=(2, 5)), rng.normal(size=2)
    tables = Tables.of(bins, steps, products, level, coef)

    def above(feature, cut):
        return (codes[feature] > cut) - np.mean(codes[feature] > cut)

    columns = [above(f, cut) for f, cut in steps] + [above(f, i) * above(g, j) for f, i, g, j in products]
    expected = level + np.column_stack(columns) @ coef.T
    assert tables.of_codes(codes) == pytest.approx(expected)
    assert tables.of_rows(X, bins) == pytest.approx(expected)


def test_the_held_out_error_along_the_path_is_that_of_the_predictions():
    X, targets, folds, _ = trial(2_000, additive)
    model = fit(X, targets, folds)
    inverse = np.linalg.inv(np.cov(targets.T, bias=True))
    missed = targets - model.held_out
    error = np.einsum("nk,kj,nj->", missed, inverse, missed) / len(X)
    baseline = np.empty_like(targets)
    for fold in range(5):
        baseline[folds == fold] = targets[folds != fold].mean(axis=0)
    constant = targets - baseline
    assert error < np.einsum("nk,kj,nj->", constant, inverse, constant) / len(X)


def test_paths_stop_at_the_exact_least_squares_fit_of_a_single_term():
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=400), rng.normal(size=400)
    design = np.column_stack([np.ones(400), x, z])
    halves = np.array([design[:200].T @ design[:200], design[200:].T @ design[200:]])
    found = paths(halves, np.ones((3, 1, 1)), np.eye(1), rate=1.0, most_rounds=1)
    level, coef = found.at(-1, 1, 1.0)
    slope, intercept = np.polyfit(x, z, 1)
    assert coef[0, 0] == pytest.approx(slope)
    assert level[0] == pytest.approx(intercept)
    error = 0.0
    for fold, (own, other) in enumerate([(slice(200, None), slice(200)), (slice(200), slice(200, None))]):
        start, fitted = z[own].mean(), np.polyval(np.polyfit(x[own], z[own], 1), x[other])
        error += np.sum((fitted - start) ** 2)
        assert found.at(fold, 1, 1.0)[1][0, 0] == pytest.approx(np.polyfit(x[own], z[own], 1)[0])
    assert found.moved()[1] == pytest.approx(error)
    held = Moments.of(halves[1], halves[0], 1)
    assert found.error[0] == pytest.approx(
        float(held.held_error[0, 0]) + float(np.sum((z[200:] - z[:200].mean()) ** 2))
    )


def test_weights_count_as_repetition():
    X, targets, folds, _ = trial(2_000, additive, noise=0.5)
    times = np.random.default_rng(1).integers(0, 3, size=len(X))
    rows = np.repeat(np.arange(len(X)), times)
    weighed = fit(X, targets, folds, weight=times.astype(float))
    repeated = fit(X[rows], targets[rows], folds[rows])
    assert weighed.rounds[0] > 0
    assert weighed.predict(X) == pytest.approx(repeated.predict(X), abs=1e-3)
    assert weighed.held_out[rows] == pytest.approx(repeated.held_out, abs=1e-3)


def test_row_order_does_not_matter():
    X, targets, folds, _ = trial(3_000, additive, noise=0.5)
    order = np.random.default_rng(2).permutation(len(X))
    first, second = fit(X, targets, folds), fit(X[order], targets[order], folds[order])
    assert first.rounds.tolist() == second.rounds.tolist()
    assert first.held_out[order] == pytest.approx(second.held_out, abs=1e-4)


def test_what_being_unknown_says_is_learned():
    X, targets, folds, _ = trial(8_000, lambda X: np.zeros(len(X)))
    gone = np.random.default_rng(4).random(len(X)) < 0.3
    X[gone, 2] = np.nan
    targets[:, 0] += np.where(gone, 0.5, 0.0)
    model = fit(X, targets, folds)
    effect = model.predict(X)[:, 0]
    assert effect[gone].mean() - effect[~gone].mean() == pytest.approx(0.5, abs=0.08)
    assert model.importance[0].argmax() == 2


def test_an_unknown_never_seen_counts_as_the_middle():
    X, targets, folds, _ = trial(8_000, lambda X: 0.5 * X[:, 0])
    model = fit(X, targets, folds)
    rows = np.zeros((3, 5))
    rows[:, 0] = np.nanquantile(X[:, 0], 0.44), np.nan, np.nanquantile(X[:, 0], 0.56)
    below, unknown, above = model.predict(rows)[:, 0]
    assert below <= unknown <= above
    assert below < above


def test_importance_is_the_spread_of_what_a_feature_moves():
    X, targets, folds, _ = trial(
        60_000, lambda X: 0.5 * (X[:, 0] > 0) + np.where((X[:, 1] > 0) ^ (X[:, 2] > 0), 0.2, -0.2)
    )
    importance = fit(X, targets, folds).importance
    assert importance.shape == (2, 5)
    assert importance[0, :3] == pytest.approx([0.25, 0.2, 0.2], abs=0.03)
    assert importance[0, 3:].max() < 0.03


def test_an_effect_common_to_all_is_found_in_all():
    X, targets, folds, _ = trial(20_000, lambda X: np.zeros(len(X)), n_targets=4)
    common = 0.15 * np.sign(X[:, 3])
    model = fit(X, targets + common[:, None], folds)
    slopes = [np.polyfit(common, model.predict(X)[:, target], 1)[0] for target in range(4)]
    assert slopes == pytest.approx([1.0] * 4, abs=0.25)


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(2, 60),
    n_targets=st.integers(1, 3),
    kind=st.sampled_from(["constant", "flags", "unknown", "ties", "huge", "same targets", "light"]),
    seed=st.integers(0, 99),
)
def test_odd_inputs_give_finite_numbers(n, n_targets, kind, seed):
    rng = np.random.default_rng(seed)
    X, targets, weight = rng.normal(size=(n, 3)), rng.normal(size=(n, n_targets)), np.ones(n)
    if kind == "constant":
        X[:] = 1.0
    if kind == "flags":
        X = (X > 0).astype(float)
    if kind == "unknown":
        X[:, 0], X[0, 1] = np.nan, np.nan
    if kind == "ties":
        X = np.round(X)
    if kind == "huge":
        X[0], X[1] = np.inf, -np.inf
    if kind == "same targets":
        targets[:] = targets[:, :1]
    if kind == "light":
        weight[1 : n // 2] = 0.0
    folds = group_folds(np.arange(n), 2, seed)
    if kind == "light" and min(weight[folds == fold].sum() for fold in range(2)) == 0:
        return
    model = boosted(X, targets, weight=weight, folds=folds)
    for found in (model.predict(X), model.held_out, model.importance):
        assert np.isfinite(found).all()
    assert model.predict(X[:0]).shape == (0, n_targets)


def test_a_gain_that_is_not_clear_leaves_the_constant(monkeypatch):
    X, targets, folds, _ = trial(4_000, additive)
    assert fit(X, targets, folds).rounds[0] > 0
    monkeypatch.setattr(_boost, "_CLEAR", 1e6)
    assert fit(X, targets, folds).rounds[0] == 0
