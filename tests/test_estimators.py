"""Contract of every file in nudges/estimators, and what each must recover. Messages name the file."""

import importlib
import io
import warnings
import zlib

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given as drawn_from
from hypothesis import settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from nudges import estimators
from nudges.errors import ConfigError, DataError
from nudges.estimators._means import shrunk_means
from nudges.estimators._pairs import MOST_PAIRS
from nudges.estimators._stack import stack_weights

NAMES = estimators.names()
LEARNERS = [name for name in NAMES if name != "no_effect"]
MODELS = [name for name in LEARNERS if name != "mean_effect"]
ROBUST = [name for name in MODELS if name != "t_learner"]
SCORED = ["mean_effect", *ROBUST]
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


def permuted(data, order):
    X, y, given, truth = data
    return X[order], y[order], {name: values[order] for name, values in given.items()}, truth[order]


# --- scikit-learn's own checks, through an adapter that draws a trial from X and y --------------------------------


def draw(X, y):
    """Arm, propensity and unit of each row by its content: the same row, moved or repeated, gets the same."""
    X = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
    try:
        rows = np.column_stack([X.astype(float), np.asarray(y).astype(float)])
    except (TypeError, ValueError):
        rows = np.arange(len(X), dtype=float)[:, None]
    units = np.array([zlib.crc32(row.tobytes()) for row in rows])
    if len(np.unique(units)) < 4:
        units = np.arange(len(rows))
    arm = units % 3
    if np.bincount(arm, minlength=3).min() < 3:  # a T-learner needs rows of every arm
        arm = np.unique(units, return_inverse=True)[1] % 3
    return {
        "treatment": np.array(("control", "a", "b"))[arm],
        "propensity": np.full((len(rows), 3), 1 / 3),
        "groups": units,
    }


def adapted(name):
    """A class at module level, so that it pickles, whose `fit` needs no treatment."""
    original = importlib.import_module(f"nudges.estimators.{name}").Estimator

    class Adapted(original):
        def fit(self, X, y, sample_weight=None):
            return super().fit(X, y, **draw(X, y), sample_weight=sample_weight)

        def score(self, X, y, sample_weight=None):
            return super().score(X, y, **draw(X, y), sample_weight=sample_weight)

    Adapted.__name__ = Adapted.__qualname__ = f"Adapted_{name}"
    globals()[Adapted.__name__] = Adapted
    model = Adapted(arms=("control", "a", "b"))
    return model.set_params(n_folds=2) if "n_folds" in model.get_params() else model


def cannot_apply(estimator):
    """Checks that do not apply, each with the reason."""
    reasons = {}
    if "t_learner" in type(estimator).__name__:
        reasons["check_sample_weight_equivalence_on_dense_data"] = (
            "leave-one-out error, which chooses the penalty, is of rows: a repeated row is left in as its own copy"
        )
    elif any(kind in type(estimator).__name__ for kind in ("dr_linear", "causal_stack")):
        reasons["check_sample_weight_equivalence_on_dense_data"] = (
            "columns are single precision, the check asks for 1e-7; test_a_weight_is_as_many_rows has our own tolerance"
        )
    return reasons


@parametrize_with_checks([adapted(name) for name in NAMES], expected_failed_checks=cannot_apply)
def test_scikit_learn_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


# --- the contract ------------------------------------------------------------------------------------------------


def test_files_that_are_shared_are_not_estimators():
    assert NAMES == ("causal_stack", "dr_boost", "dr_linear", "mean_effect", "no_effect", "t_learner")


@pytest.mark.parametrize("name", NAMES)
def test_is_a_scikit_learn_estimator(name):
    unfitted = estimators.load(name)
    assert type(unfitted).__name__ == "Estimator", f"nudges/estimators/{name}.py"
    copied = clone(unfitted.set_params(arms=ARMS))
    assert copied.get_params() == unfitted.get_params(), f"nudges/estimators/{name}.py"
    assert not [attribute for attribute in vars(unfitted) if attribute.endswith("_")], f"nudges/estimators/{name}.py"
    with pytest.raises(NotFittedError):
        unfitted.effect(np.zeros((3, 2)))


@pytest.mark.parametrize("name", NAMES)
def test_shapes_arms_and_unknowns(name):
    data = trial(n=600, effect=constant)
    model = fitted(name, data)
    effect = model.effect(data[0])
    assert model.arms_ == ARMS, f"nudges/estimators/{name}.py"
    assert effect.shape == (600, 2), f"nudges/estimators/{name}.py"
    assert model.importance_.shape == (2, 5), f"nudges/estimators/{name}.py"
    assert np.isfinite(effect).all(), f"nudges/estimators/{name}.py"
    np.testing.assert_array_equal(model.predict(data[0]), effect)


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
    for wrong, values in {
        "propensity": given["propensity"][:, :2],
        "propensity: 0": np.tile([1.0, 0, 0], (300, 1)),
        "treatment": given["treatment"][:-1],
        "groups": np.arange(7),
        "sample_weight": np.full(300, -1.0),
    }.items():
        with pytest.raises(DataError, match=wrong):
            model.fit(X, y, **(given | {wrong.split(":")[0]: values}))
    with pytest.raises(DataError, match="'text'"):
        estimators.load(name).set_params(arms=("none", "email")).fit(X, y, **given)
    with pytest.raises(DataError, match="control"):
        estimators.load(name).fit(X, y, **given)  # nobody said which arm is the control
    with pytest.raises(DataError, match="arms"):
        estimators.load(name).set_params(arms=("none",)).fit(X, y, **given)
    with pytest.raises(DataError, match="y:"):
        model.fit(X, np.where(np.arange(300) == 7, np.nan, y), **given)
    with pytest.raises(DataError, match="X:"):
        model.fit(np.where(X > 1, np.inf, X), y, **given)
    model.fit(X, y, **given)
    with pytest.raises(DataError, match="X:"):
        model.effect(X[:, :3])


@pytest.mark.parametrize("name", SCORED)
def test_parameters_are_checked(name):
    X, y, given, _ = trial(n=300)
    for parameter, value in {"n_folds": 1, "random_state": -1, "arms": 3}.items():
        model = estimators.load(name).set_params(**{"arms": ARMS, parameter: value})
        with pytest.raises(ValueError, match=f"'{parameter}' parameter"):
            model.fit(X, y, **given)


@pytest.mark.parametrize("name", NAMES)
def test_a_column_nobody_knows_or_that_never_changes_is_harmless(name):
    X, y, given, truth = trial(n=600)
    odd = np.column_stack([X, np.full(600, np.nan), np.full(600, 7.0)])
    model = fitted(name, (odd, y, given, truth))
    assert np.isfinite(model.effect(odd)).all(), f"nudges/estimators/{name}.py"
    assert (model.importance_[:, 5:] == 0).all(), f"nudges/estimators/{name}.py"


@pytest.mark.parametrize("name", NAMES)
def test_survives_joblib(name):
    data = trial(n=600, effect=heterogeneous)
    model, file = fitted(name, data), io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    np.testing.assert_array_equal(joblib.load(file).effect(data[0]), model.effect(data[0]))


def test_an_unknown_name_lists_the_choices():
    with pytest.raises(ConfigError, match=r'causal_stack, dr_boost, dr_linear.*Write estimator = "causal_stack"'):
        estimators.load("magic")
    with pytest.raises(ConfigError, match="_linear"):
        estimators.load("_linear")


# --- pipelines, searches, frames ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_works_in_a_pipeline_and_a_search(name):
    """Treatment, propensity, groups and weights find their way by scikit-learn's metadata routing."""
    X, y, given, _ = trial(n=900, effect=heterogeneous)
    weight = np.random.default_rng(0).random(900)
    model = estimators.load(name).set_params(arms=ARMS)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(SimpleImputer(), clone(model)).fit(X, y, sample_weight=weight, **given)
        assert pipeline.predict(X).shape == (900, 2)
        choices = {"arms": [ARMS, list(ARMS)]} if name in ("no_effect", "t_learner") else {"n_folds": [2, 3]}
        search = GridSearchCV(model, choices, cv=GroupKFold(3)).fit(X, y, sample_weight=weight, **given)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all(), f"nudges/estimators/{name}.py"
        assert search.predict(X).shape == (900, 2)


def test_the_score_prefers_the_truth():
    """A model of the planted difference scores above the mean effects, and those above no effect, which scores 0."""
    train, test = trial(effect=heterogeneous), trial(effect=heterogeneous, seed=1)
    scores = {name: fitted(name, train).score(test[0], test[1], **test[2]) for name in NAMES}
    assert scores["no_effect"] == 0.0
    assert min(scores[name] for name in MODELS) > scores["mean_effect"] > 0.0


@pytest.mark.parametrize("name", NAMES)
def test_frames_with_words_flags_and_gaps(name):
    rng = np.random.default_rng(0)
    n = 3_000
    ward = rng.choice(["Aire", "Bank", "Croft"], n)
    frame = pd.DataFrame(
        {
            "kg": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "ward": ward,
            "kind": pd.Categorical(rng.choice(["flat", "house"], n)),
            "is_new": rng.random(n) < 0.3,
            "language": np.where(rng.random(n) < 0.4, None, "pl"),
        }
    )
    given = rng.integers(0, 2, n)
    y = rng.normal(size=n) + np.where((ward == "Bank") & (given == 1), 4.0, 0.0)
    model = estimators.load(name).fit(
        frame, y, treatment=np.array(["control", "a"])[given], propensity=np.full((n, 2), 0.5)
    )
    assert model.feature_names_in_.tolist() == frame.columns.tolist()
    strange = frame.head(4).assign(ward=["Bank", "Aire", "Never seen", None])
    effect = model.effect(strange)[:, 0]
    assert np.isfinite(effect).all(), f"nudges/estimators/{name}.py"
    if name in MODELS:
        assert effect[0] - effect[1] > 2.5, f"nudges/estimators/{name}.py"
        assert model.importance_[0].argmax() == 1, f"nudges/estimators/{name}.py"
    with pytest.raises(DataError, match="X:"):
        model.effect(frame[frame.columns[::-1]])
    with pytest.raises(DataError, match="dates"):
        estimators.load(name).fit(
            frame.assign(when=pd.Timestamp("2026-01-01")), y, treatment=given, propensity=np.full((n, 2), 0.5)
        )


# --- what must be recovered ---------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("name", MODELS)
def test_a_planted_difference_between_homes_is_found(name):
    data = trial(effect=heterogeneous)
    model = fitted(name, data)
    effect = model.effect(data[0])
    for column in range(2):
        assert np.corrcoef(effect[:, column], data[3][:, column])[0, 1] > 0.85, f"nudges/estimators/{name}.py"
    assert model.importance_.argmax(axis=1).tolist() == [1, 2], f"nudges/estimators/{name}.py"
    assert model.importance_.max(axis=1) == pytest.approx([1.5, 1.5], abs=0.5), f"nudges/estimators/{name}.py"


@pytest.mark.parametrize("name", ["causal_stack", "dr_boost"])
def test_a_product_of_two_features_is_found(name):
    """A message that works when two features agree in sign, and harms when they do not."""
    data = trial(effect=lambda x: np.sign(x[:, 1:2] * x[:, 2:3]) * [[2.0, 0.0]])
    effect = fitted(name, data).effect(data[0])
    assert np.corrcoef(effect[:, 0], data[3][:, 0])[0, 1] > 0.7, f"nudges/estimators/{name}.py"


@pytest.mark.parametrize("name", ROBUST)
def test_without_differences_the_constant_is_all_but_left(name):
    """Standard deviation of the effects against a standard error of 0.2 of a mean: a plain T-learner reaches 0.25."""
    runs = [trial(n=2_000, effect=constant, seed=seed) for seed in range(8)]
    assert np.mean([fitted(name, data).effect(data[0]).std(axis=0) for data in runs]) < 0.08


@pytest.mark.parametrize("name", ["dr_linear", "causal_stack"])
def test_sizes_are_right(name):
    """Slope of the truth on the prediction, 1 when sizes are right (0.25-0.75 for a plain T-learner at this signal)."""
    slopes = []
    for seed in range(5):
        data = trial(n=4_000, effect=lambda x: 0.4 * heterogeneous(x), seed=seed)
        effect, truth = fitted(name, data).effect(data[0]), data[3]
        apart = effect - effect.mean(axis=0)
        slopes.append((apart * truth).sum() / (apart**2).sum())
    assert 0.8 < np.median(slopes) < 1.25, f"nudges/estimators/{name}.py"


@pytest.mark.parametrize("name", ["dr_linear", "causal_stack"])
def test_rows_of_a_unit_are_one_piece_of_evidence(name):
    """The same rows ten times over, grouped, say no more than once; ungrouped they would say ten times as much."""
    data = trial(n=800, effect=constant, seed=3)
    X, y, given, truth = data
    copies = np.tile(np.arange(800), 10)
    many = {name: values[copies] for name, values in given.items()} | {"groups": copies}
    once = fitted(name, data).effect(X)
    grouped = fitted(name, (X[copies], y[copies], many, truth)).effect(X)
    assert np.abs(grouped - once).max() < 0.05, f"nudges/estimators/{name}.py"
    alone = fitted(name, (X[copies], y[copies], many | {"groups": np.arange(8_000)}, truth)).effect(X)
    assert alone.std(axis=0).max() > 3 * max(grouped.std(axis=0).max(), 0.02), f"nudges/estimators/{name}.py"


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_rows_does_not_matter(name):
    data = trial(n=900, effect=heterogeneous)
    order = np.random.default_rng(1).permutation(900)
    np.testing.assert_allclose(
        fitted(name, permuted(data, order)).effect(data[0]),
        fitted(name, data).effect(data[0]),
        atol=1e-4,  # single precision sums, in another order
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_order_and_names_of_arms_do_not_matter(name):
    """Swapping the two messages swaps the columns; other names change nothing."""
    X, y, given, _ = trial(n=900, effect=heterogeneous)
    before = fitted(name, trial(n=900, effect=heterogeneous)).effect(X)
    swapped = estimators.load(name).set_params(arms=(ARMS[0], ARMS[2], ARMS[1]))
    swapped.fit(X, y, **(given | {"propensity": given["propensity"][:, [0, 2, 1]]}))
    np.testing.assert_allclose(swapped.effect(X)[:, ::-1], before, atol=1e-4)
    renamed = np.array(["z", "m", "a"])[[ARMS.index(arm) for arm in given["treatment"]]]
    other = estimators.load(name).set_params(arms=("z", "m", "a")).fit(X, y, **(given | {"treatment": renamed}))
    np.testing.assert_allclose(other.effect(X), before, atol=1e-12)


@pytest.mark.parametrize("name", SCORED)
@pytest.mark.parametrize("outcome", ["amount", "yes or no"])
def test_a_weight_is_as_many_rows(name, outcome):
    X, y, given, _ = trial(n=500, effect=lambda x: 3 * heterogeneous(x))
    y = y if outcome == "amount" else (y > 9).astype(float)
    weight = np.random.default_rng(2).integers(0, 4, 500)
    copies = np.repeat(np.arange(500), weight)
    model = estimators.load(name).set_params(arms=ARMS).fit(X, y, sample_weight=weight, **given)
    many = {key: values[copies] for key, values in given.items()}
    repeated = estimators.load(name).set_params(arms=ARMS).fit(X[copies], y[copies], **many)
    np.testing.assert_allclose(model.effect(X), repeated.effect(X), atol=1e-4)


@pytest.mark.parametrize("name", SCORED)
def test_learning_from_scores_made_elsewhere(name):
    """The effect plus noise stands in for Γ; without a first arm there is no control to compare with."""
    X, _, _, truth = trial(n=3_000, effect=heterogeneous)
    scores = np.column_stack([np.zeros(3_000), truth]) + np.random.default_rng(0).normal(0, 1, (3_000, 3))
    model = estimators.load(name).set_params(arms=ARMS).fit_scores(X, scores, groups=np.arange(3_000))
    assert model.effect(X).mean(axis=0) == pytest.approx(truth.mean(axis=0), abs=0.1)
    if name in MODELS:
        assert np.corrcoef(model.effect(X)[:, 0], truth[:, 0])[0, 1] > 0.9
    with pytest.raises(DataError, match="scores"):
        model.fit_scores(X, scores[:, :2])
    with pytest.raises(DataError, match="arms"):
        estimators.load(name).fit_scores(X, scores)


@pytest.mark.parametrize("name", MODELS)
def test_outcomes_of_0_and_1(name):
    """Chances near 1 have no room to rise: the effect there is smaller, and found to be."""
    rng = np.random.default_rng(0)
    n = 20_000
    x = rng.normal(size=(n, 4))
    odds = 2.0 * x[:, 0]
    given = rng.integers(0, 2, n)
    before, after = 1 / (1 + np.exp(-odds)), 1 / (1 + np.exp(-odds - 0.8))
    y = (rng.random(n) < np.where(given == 1, after, before)).astype(float)
    model = estimators.load(name).fit(
        x, y, treatment=np.array(["control", "a"])[given], propensity=np.full((n, 2), 0.5)
    )
    effect = model.effect(x)[:, 0]
    assert effect[np.abs(x[:, 0]) < 0.3].mean() - effect[np.abs(x[:, 0]) > 1.8].mean() > 0.05
    assert np.corrcoef(effect, after - before)[0, 1] > (0.3 if name == "dr_linear" else 0.8)


@pytest.mark.parametrize("name", ["dr_linear", "causal_stack"])
def test_many_features(name):
    """70 features have 2,415 pairs; a model looks at them all and keeps the strongest."""
    rng = np.random.default_rng(0)
    n = 4_000
    x = rng.normal(size=(n, 70))
    given = rng.integers(0, 2, n)
    y = rng.normal(size=n) + given * x[:, 60] * x[:, 61]
    model = estimators.load(name).fit(
        x, y, treatment=np.array(["control", "a"])[given], propensity=np.full((n, 2), 0.5)
    )
    if name == "causal_stack":
        assert len(model.linear_.basis.pairs) < 3 * MOST_PAIRS
        assert np.corrcoef(model.effect(x)[:, 0], x[:, 60] * x[:, 61])[0, 1] > 0.8
        assert set(model.importance_[0].argsort()[-2:]) == {60, 61}


@pytest.mark.parametrize("name", NAMES)
def test_one_arm_is_enough(name):
    rng = np.random.default_rng(0)
    x, given = rng.normal(size=(400, 2)), rng.integers(0, 2, 400)
    model = estimators.load(name).fit(
        x, given + rng.normal(size=400), treatment=np.array(["control", "a"])[given], propensity=np.full((400, 2), 0.5)
    )
    assert model.arms_ == ("control", "a")
    assert model.effect(x).shape == (400, 1)


# --- parts with an answer in closed form --------------------------------------------------------------------------


def test_mean_effects_are_drawn_together_when_they_differ_by_chance_alone():
    """Three arms of equal precision: with equal means all stay; far apart nothing moves; between, order is kept."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(4_000, 3))
    noise -= noise.mean(axis=0)
    share = {"groups": np.arange(4_000), "weight": np.ones(4_000)}
    np.testing.assert_allclose(shrunk_means(noise + 1.0, **share), 1.0, atol=1e-9)
    np.testing.assert_allclose(shrunk_means(noise + np.array([0.0, 5.0, 10.0]), **share), [0.0, 5.0, 10.0], atol=0.01)
    near = shrunk_means(noise + np.array([0.0, 0.01, 0.02]), **share)
    assert 0.0 < near[0] < near[1] < near[2] < 0.02


@settings(max_examples=25, deadline=None)
@drawn_from(st.integers(0, 10_000), st.integers(1, 4))
def test_stack_weights_are_never_negative_and_add_up_to_what_held_out_rows_say(seed, n_models):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(2_000, 2))
    target = 0.8 * truth + rng.normal(0, 3, truth.shape)
    models = [truth + rng.normal(0, 0.02, truth.shape) for _ in range(n_models)]
    shares = np.full(n_models, 1 / n_models)
    weights = stack_weights(models, models, target, shares=shares, weight=np.ones(2_000))
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(0.8, abs=4 * 3 / np.sqrt(4_000) + 0.05)  # four standard errors, and the prior


def test_a_model_that_is_wrong_gets_nothing():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(2_000, 2))
    target, models = truth + rng.normal(0, 3, truth.shape), [truth, rng.normal(size=truth.shape) - truth]
    weights = stack_weights(models, models, target, shares=[0.5, 0.5], weight=np.ones(2_000))
    assert weights[0] > 0.8
    assert weights[1] < 0.05


def test_a_model_that_says_nothing_keeps_its_share():
    silent = np.zeros((50, 2))
    models, shares = [silent, silent], [0.5, 0.3]
    weights = stack_weights(models, models, np.ones((50, 2)), shares=shares, weight=np.ones(50))
    np.testing.assert_allclose(weights, shares)
