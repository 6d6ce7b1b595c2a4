"""The uplift benchmark's arithmetic against brute force: a comparison is worth what its referee is."""

import numpy as np
import pytest

from benchmarks._uplift_data import Part, Split, read, save, split
from benchmarks._uplift_judge import REGIMES, Figure, Judge, announced, budget_each, slope, targeted
from benchmarks._uplift_tables import Line, Sheet, case_table, over_seeds, pooled

COST = np.array([0.0, 0.012, 0.008])
ARMS = ("control", "a", "b")


def part(n=60, seed=0, sizes=2):
    rng = np.random.default_rng(seed)
    propensity = np.tile([0.4, 0.3, 0.3], (n, 1))
    return Part(
        X=rng.normal(size=(n, 3)),
        y=rng.integers(0, 2, n).astype(float),
        given=rng.choice(3, n, p=[0.4, 0.3, 0.3]),
        propensity=propensity,
        groups=np.arange(n) // sizes,
        effect=rng.normal(0.01, 0.02, size=(n, 2)),
    )


@pytest.fixture(scope="module")
def judge():
    return Judge(Split("weak", 460, 0, ARMS, COST, part(400, 1), part(60, 2), "d"))


def worth(effect, arm, regime):
    gross = 0.0 if arm == 0 else effect[arm - 1]
    return gross - (0.0 if regime == "free" else COST[arm])


@pytest.mark.parametrize("regime", ["free", "cost"])
def test_regret_is_what_the_best_arm_of_every_row_would_have_brought_more(judge, regime):
    guess = np.random.default_rng(3).normal(0.01, 0.02, size=(60, 2))
    lost = 0.0
    for row in range(60):
        truth, believed = judge.test.effect[row], guess[row]
        chosen = max(range(3), key=lambda arm: worth(believed, arm, regime))
        lost += max(worth(truth, arm, regime) for arm in range(3)) - worth(truth, chosen, regime)
    verdict = judge.verdict(guess)
    assert verdict.regret[regime] == pytest.approx(1000 * lost / 60, abs=1e-9)
    assert verdict.regret[regime] > 0


def test_the_truth_itself_has_no_regret_and_no_error(judge):
    verdict = judge.verdict(judge.test.effect)
    assert [verdict.regret[regime] for regime in REGIMES] == pytest.approx([0, 0, 0], abs=1e-12)
    assert verdict.pehe == 0
    assert verdict.slope.value == pytest.approx(1.0)


@pytest.mark.parametrize("regime", REGIMES)
def test_gain_is_the_mean_difference_of_scores_with_errors_by_unit(judge, regime):
    guess = np.random.default_rng(4).normal(0.01, 0.02, size=(60, 2))
    chosen = targeted(guess, COST, regime)
    price = np.zeros(3) if regime == "free" else COST
    gains = np.array(
        [
            sum(
                (chosen[row, arm] - judge.singles[regime][row, arm]) * (judge.scores[row, arm] - price[arm])
                for arm in range(3)
            )
            for row in range(60)
        ]
    )
    totals = (gains - gains.mean()).reshape(30, 2).sum(axis=1)  # units of two rows
    gain = judge.verdict(guess).gain[regime]
    assert gain.value == pytest.approx(1000 * gains.mean(), abs=1e-9)
    assert gain.se == pytest.approx(1000 * np.sqrt((totals**2).sum() * 30 / 29) / 60, rel=0.02)


def test_the_budget_buys_no_more_than_it_can_and_prefers_the_best(judge):
    chosen = targeted(judge.test.effect, COST, "budget")
    spent = (chosen @ COST).mean()
    assert 0.9 * budget_each(COST) < spent <= budget_each(COST) * (1 + 1e-9)
    random = np.random.default_rng(5).permutation(judge.test.effect)
    assert judge.verdict(random).regret["budget"] > 0
    assert (chosen.sum(axis=1) == 1).all()


def test_the_best_single_arm_gains_nothing_over_itself(judge):
    for regime in REGIMES:
        best = judge.singles[regime][0]
        assert best.sum() == pytest.approx(1)
        if regime != "budget":
            assert set(best.tolist()) == {0.0, 1.0}
            policy = "none" if best[0] == 1 else f"arm:{ARMS[int(best.argmax())]}"
            gain = judge.verdict(judge.test.effect, {regime: policy}).gain[regime]
            assert (gain.value, gain.se) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("policy", "regime", "shares"),
    [
        ("none", "cost", [1, 0, 0]),
        ("arm:b", "free", [0, 0, 1]),
        ("uniform", "cost", [0, 0.5, 0.5]),
        ("mix:control=0.25,a=0.75", "cost", [0.25, 0.75, 0]),
        ("arm:a", "budget", [0.75, 0.25, 0]),  # 30 % of the average price of 0.01 buys a quarter of a's at 0.012
    ],
)
def test_a_gate_s_words_become_shares_of_arms(policy, regime, shares):
    assert announced(policy, ARMS, COST, regime, 2) == pytest.approx(np.array([shares, shares]))


def test_slope_agrees_with_regression_and_is_unknown_for_constants():
    truth = np.random.default_rng(6).normal(size=(500, 2))
    assert slope(truth, 2 * truth + [3.0, -1.0], np.arange(500), own_level=True).value == pytest.approx(0.5)
    noisy = truth + np.random.default_rng(7).normal(size=(500, 2))
    found = slope(noisy[:, :1], truth[:, :1], np.arange(500), own_level=True)
    design = np.column_stack([np.ones(500), truth[:, 0]])
    fitted, residual = np.linalg.lstsq(design, noisy[:, 0], rcond=None)[:2]
    assert found.value == pytest.approx(fitted[1])
    assert found.se == pytest.approx(np.sqrt(residual[0] / 498 / truth[:, 0].var() / 500), rel=0.1)
    assert np.isnan(slope(truth, np.full((500, 2), 0.02), np.arange(500), own_level=True).value)


def test_parts_share_no_unit_and_come_back_from_disk_without_the_truth(tmp_path):
    cut = split("clustered", 2_000, 1)
    assert not set(cut.train.groups) & set(cut.test.groups)
    assert len(cut.train.y) + len(cut.test.y) == 2_000
    assert split("clustered", 2_000, 1).digest == cut.digest != split("clustered", 2_000, 2).digest
    save(cut.test, tmp_path / "test.npz")
    again = read(tmp_path / "test.npz")
    assert again.effect.shape[1] == 0
    np.testing.assert_array_equal(again.X, cut.test.X)


def test_errors_of_overlapping_cuts_are_not_divided_by_their_number():
    figures = [Figure(1.0, 2.0), Figure(3.0, 2.0)]
    assert pooled(figures, fresh=True) == Figure(2.0, pytest.approx(np.sqrt(2)))
    assert pooled(figures, fresh=False) == Figure(2.0, 2.0)
    assert over_seeds([1.0, 3.0]) == Figure(2.0, pytest.approx(1.0))


def test_an_entry_that_was_stopped_says_so(judge):
    lines = {"slow": [Line(0, None, None, "stopped after 900 CPU s")], "good": [Line(0, None, judge.single_verdict())]}
    table = case_table(Sheet("weak", 460, lines))
    assert "| slow | stopped after 900 CPU s |" in table
    assert table.count("\n| ") == 3
