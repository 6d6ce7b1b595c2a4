"""Contract of every file in nudges/estimators, and what each must recover. Messages name the file."""

import numpy as np
import pytest
from sklearn.base import clone

from nudges import estimators
from nudges.errors import ConfigError, DataError

NAMES = estimators.names()
LEARNERS = [name for name in NAMES if name != "no_effect"]
ARMS = ("none", "text", "email")  # the control does not sort first: it must be named, not guessed
SD = 3.0


def trial(n=6_000, *, effect=None, seed=0, noise=SD):
    """A randomised trial with known propensities that depend on x; `effect(x)` gives (n, 2)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5))
    often = np.where(x[:, :1] > 0, [[0.3, 0.3, 0.4]], [[0.5, 0.25, 0.25]])
    given = (rng.random(n)[:, None] > often.cumsum(axis=1)).sum(axis=1)
    planted = np.zeros((n, 2)) if effect is None else effect(x)
    y = 9 + 2 * x[:, 0] + rng.normal(0, noise, n) + np.column_stack([np.zeros(n), planted])[np.arange(n), given]
    seen = np.where(rng.random(x.shape) < 0.03, np.nan, x)
    return seen, y, {"treatment": np.array(ARMS)[given], "propensity": often, "groups": np.arange(n)}, planted


def fitted(name, data, **changes):
    X, y, given, _ = data
    return estimators.load(name).set_params(arms=ARMS).fit(X, y, **(given | changes))


def constant(x):
    return np.tile([-1.0, 0.5], (len(x), 1))


def heterogeneous(x):
    return np.column_stack([-1.0 + 1.5 * x[:, 1], 0.5 - 1.5 * x[:, 2]])


@pytest.mark.parametrize("name", NAMES)
def test_is_a_scikit_learn_estimator(name):
    unfitted = estimators.load(name)
    assert type(unfitted).__name__ == "Estimator", f"nudges/estimators/{name}.py"
    copied = clone(unfitted.set_params(arms=ARMS))
    assert copied.get_params() == unfitted.get_params(), f"nudges/estimators/{name}.py"
    assert not [attribute for attribute in vars(unfitted) if attribute.endswith("_")], f"nudges/estimators/{name}.py"


@pytest.mark.parametrize("name", NAMES)
def test_shapes_arms_and_unknowns(name):
    data = trial(n=600, effect=constant)
    model = fitted(name, data)
    effect = model.effect(data[0])
    assert model.arms_ == ARMS, f"nudges/estimators/{name}.py"
    assert effect.shape == (600, 2), f"nudges/estimators/{name}.py"
    assert np.isfinite(effect).all(), f"nudges/estimators/{name}.py"


@pytest.mark.parametrize("name", NAMES)
def test_fitting_again_gives_the_same(name):
    data = trial(n=600, effect=heterogeneous)
    X = data[0].copy()
    first, second = (fitted(name, data).effect(data[0]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(X, data[0])  # input is not touched


@pytest.mark.parametrize("name", NAMES)
def test_input_is_checked(name):
    X, y, given, _ = trial(n=300)
    model = estimators.load(name).set_params(arms=ARMS)
    with pytest.raises(DataError, match="propensity"):
        model.fit(X, y, **(given | {"propensity": given["propensity"][:, :2]}))
    with pytest.raises(DataError, match="propensity"):
        model.fit(X, y, **(given | {"propensity": np.tile([1.0, 0, 0], (300, 1))}))
    with pytest.raises(DataError, match="'text'"):
        estimators.load(name).set_params(arms=("none", "email")).fit(X, y, **given)
    with pytest.raises(DataError, match="control"):
        estimators.load(name).fit(X, y, **given)  # nobody said which arm is the control
    with pytest.raises(DataError, match="y:"):
        model.fit(X, np.where(np.arange(300) == 7, np.nan, y), **given)
    model.fit(X, y, **given)
    with pytest.raises(DataError, match="X:"):
        model.effect(X[:, :3])


@pytest.mark.parametrize("name", NAMES)
def test_a_column_nobody_knows_or_that_never_changes_is_harmless(name):
    X, y, given, truth = trial(n=600)
    odd = np.column_stack([X, np.full(600, np.nan), np.full(600, 7.0)])
    effect = fitted(name, (odd, y, given, truth)).effect(odd)
    assert np.isfinite(effect).all(), f"nudges/estimators/{name}.py"


@pytest.mark.parametrize("name", NAMES)
def test_pure_noise_is_near_zero(name):
    """The mean effect of an arm has a standard error of about 0.1 here; four of them."""
    effect = fitted(name, trial()).effect(trial()[0])
    assert np.abs(effect.mean(axis=0)).max() < 0.4, f"nudges/estimators/{name}.py"
    assert effect.std(axis=0).max() < 0.4, f"nudges/estimators/{name}.py"


@pytest.mark.parametrize("name", LEARNERS)
def test_a_planted_constant_effect_is_found_with_its_sign(name):
    data = trial(effect=constant)
    effect = fitted(name, data).effect(data[0])
    assert effect.mean(axis=0) == pytest.approx([-1.0, 0.5], abs=0.4), f"nudges/estimators/{name}.py"


@pytest.mark.parametrize("name", LEARNERS)
def test_a_planted_difference_between_homes_is_found(name):
    data = trial(effect=heterogeneous)
    effect = fitted(name, data).effect(data[0])
    for column in range(2):
        assert np.corrcoef(effect[:, column], data[3][:, column])[0, 1] > 0.85, f"nudges/estimators/{name}.py"


def test_dr_learner_shrinks_to_a_constant():
    """Without heterogeneity the constant, always a candidate, is often chosen outright, and what is left is small."""
    runs = [trial(n=2_000, effect=constant, seed=seed) for seed in range(20)]
    models = [fitted("dr_learner", data) for data in runs]
    assert np.mean([bool((model.coef_ == 0).all()) for model in models]) >= 0.2
    assert np.mean([model.effect(data[0]).std(axis=0) for model, data in zip(models, runs, strict=True)]) < 0.12


def test_dr_learner_is_calibrated():
    """Slope of the truth on the prediction, 1 when sizes are right (0.25-0.75 for a plain T-learner at this signal)."""
    slopes = []
    for seed in range(5):
        data = trial(n=4_000, effect=lambda x: 0.4 * heterogeneous(x), seed=seed)
        effect = fitted("dr_learner", data).effect(data[0])
        if effect[:, 0].std() > 0:
            slopes.append(np.polyfit(effect[:, 0], data[3][:, 0], 1)[0])
    assert 0.7 < np.mean(slopes) < 1.5


def test_groups_are_never_split():
    """The same rows ten times over, grouped, choose the same shrinkage as once: copies do not count as evidence."""
    X, y, given, truth = trial(n=800, effect=constant, seed=3)
    copies = np.tile(np.arange(800), 10)
    many = {name: values[copies] for name, values in given.items()} | {"groups": copies}
    once = fitted("dr_learner", (X, y, given, truth))
    grouped = fitted("dr_learner", (X[copies], y[copies], many, truth))
    assert np.abs(grouped.coef_ - once.coef_).max() < 0.15


def test_weights_count_rows():
    X, y, given, truth = trial(n=2_000, effect=lambda x: np.where(x[:, :1] > 0, -2.0, 2.0) * [[1.0, 1.0]])
    weight = np.where(np.nan_to_num(X[:, 0]) > 0, 1.0, 1e-6)
    effect = fitted("dr_learner", (X, y, given, truth), sample_weight=weight)
    assert effect.effect(X)[np.nan_to_num(X[:, 0]) > 0].mean() < -1


def test_an_unknown_name_lists_the_choices():
    with pytest.raises(ConfigError, match="dr_learner, no_effect, t_learner"):
        estimators.load("magic")
