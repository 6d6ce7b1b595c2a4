"""The choose step: lanes, propensities, caps, budget, and that a killed or repeated run ends in the same rows."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from small_town import CAMPAIGN, NOW, WEEK, assignments, audience, homes, sent, settle, workspace

from nudges.domain import Arm, Medium, MessageState, Outcome, Reason, Shares
from nudges.draws import draw
from nudges.errors import ConfigError, NotReadyError
from nudges.features import model_columns
from nudges.ledger import Ledger, address_hash
from nudges.steps.choose import choose, step
from nudges.steps.learn import learn
from nudges.steps.models import Model, store_model

N = 3_000


@pytest.fixture
def ws(tmp_path):
    opened = workspace(tmp_path)
    settle(opened, WEEK, homes(N, stores=20))
    yield opened
    opened.ledger.close()


def set_policy(ws, policy, week=WEEK, campaign=CAMPAIGN):
    row = {"campaign": campaign.id, "week_no": week.number, "policy": policy, "card": "{}"}
    ws.ledger.replace("cards", pa.Table.from_pylist([row]), campaign=campaign.id, week_no=week.number)


class Slope:
    """An estimator whose effects follow the kg of a home: worth most where most is thrown away."""

    def effect(self, X):
        kg = X["residual_kg_mean_8w"].to_numpy()
        return np.column_stack([-0.02 * (kg - 9), -0.01 * (kg - 9)])


def model(ws):
    return "model:" + store_model(ws, CAMPAIGN, Model(Slope(), tuple(model_columns()), CAMPAIGN.arm_ids, -60.0))


def test_every_household_in_scope_has_one_reason(ws):
    summary = choose(ws, WEEK, now=NOW)
    rows = audience(ws, WEEK)
    assert len(rows) == N
    assert set(rows["reason"]) <= set(Reason)
    assert Counter(rows["reason"]) == summary.counts
    assert (rows.loc[rows["reason"] == "no_service", ["unit_id", "lane", "arm"]].isna()).all(axis=None)


def test_everyone_with_a_service_is_assigned_whatever_the_reason(ws):
    choose(ws, WEEK, now=NOW)
    rows, given = audience(ws, WEEK), assignments(ws, WEEK).to_pandas().set_index("household_id")
    assert sorted(given.index) == sorted(rows.index[rows["reason"] != "no_service"])
    assert (rows.loc[given.index, "arm"] == given["arm"]).all()


def test_lanes_are_the_published_draws(ws):
    choose(ws, WEEK, now=NOW)
    for row in assignments(ws, WEEK).slice(0, 200).to_pylist():
        unit, lane = row["unit_id"], row["lane"]
        once, anew = (draw(f"campaign:less_rubbish:smallton{turn}", unit) for turn in ("", ":turn0"))
        assert row["draw"] == (once if once < 0.25 else 0.25 + 0.75 * anew)
        if draw("smallton:holdout", unit) < 0.05:
            assert lane == "holdout"
        else:
            assert lane == ("control" if row["draw"] < 0.25 else "learn" if row["draw"] < 0.60 else "best")


def test_flats_that_share_bins_are_one_unit(ws):
    choose(ws, WEEK, now=NOW)
    given = assignments(ws, WEEK).to_pandas()
    shared = given[given["unit_id"].str.startswith("S")]
    assert len(shared) == 120
    assert (shared.groupby("unit_id")[["arm", "lane", "policy_arm", "propensity"]].nunique() == 1).all(axis=None)


def test_uniform_propensities_by_hand(ws):
    """P(message) = 0.95 (0.35/3 + 0.40/2) for each of two, the rest is the control's."""
    choose(ws, WEEK, now=NOW)
    given = assignments(ws, WEEK).to_pandas()
    assert (given["policy_arm"] == "*").all()
    message = 0.95 * (0.35 / 3 + 0.20)
    expected = np.where(given["arm"] == "control", 1 - 2 * message, message)
    np.testing.assert_allclose(given["propensity"], expected)


def test_contactable_does_not_depend_on_the_arm(ws):
    choose(ws, WEEK, now=NOW)
    features = pd.DataFrame(homes(N, stores=20)).set_index("household_id")
    rows = audience(ws, WEEK)
    assert (rows["is_contactable"] == features["has_sms"] & features["has_email"]).all()
    blind = rows[(rows["arm"] == "norm_sms") & (features["has_sms"] == 0)]
    assert len(blind) > 0
    assert (blind["reason"] == "no_contact").all()


# --- again ------------------------------------------------------------------------------


def snapshot(ws):
    live = ws.ledger.live_files(tables=["audience"])["audience"]
    return assignments(ws, WEEK), live, ws.ledger.select("SELECT * FROM choices")


@pytest.mark.parametrize("policy", ["uniform", "none", "arm:norm_sms", "model"])
def test_running_again_changes_nothing(ws, policy):
    set_policy(ws, model(ws) if policy == "model" else policy)
    choose(ws, WEEK, now=NOW)
    before = snapshot(ws)
    choose(ws, WEEK, now=NOW)
    assert snapshot(ws) == before


def killed_before(name, monkeypatch):
    """Make the next step die where a SIGKILL could have hit."""

    class KilledError(BaseException):
        pass

    def die(*_args, **_kwargs):
        raise KilledError

    monkeypatch.setattr(step, name, die)
    return KilledError


@pytest.mark.parametrize("policy", ["uniform", "model"])
def test_a_run_killed_before_the_audience_ends_the_same(ws, tmp_path, monkeypatch, policy):
    set_policy(ws, model(ws) if policy == "model" else policy)
    whole = workspace(tmp_path / "other")
    settle(whole, WEEK, homes(N, stores=20))
    set_policy(whole, model(whole) if policy == "model" else policy)
    choose(whole, WEEK, now=NOW)
    with monkeypatch.context() as patch:
        killed = killed_before("_publish", patch)
        with pytest.raises(killed):
            choose(ws, WEEK, now=NOW)
    assert "audience" not in ws.ledger.live_files(tables=["audience"])
    choose(ws, WEEK, now=NOW)
    assert snapshot(ws) == snapshot(whole)
    whole.ledger.close()


def test_a_run_killed_half_way_through_the_assignments_ends_the_same(ws, tmp_path, monkeypatch):
    whole = workspace(tmp_path / "other")
    settle(whole, WEEK, homes(N, stores=20))
    choose(whole, WEEK, now=NOW)
    append = Ledger.append

    def half(self, table, rows):
        append(self, table, rows.slice(0, rows.num_rows // 2))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "append", half)
        with pytest.raises(KeyboardInterrupt):
            choose(ws, WEEK, now=NOW)
    set_policy(ws, "none")  # and learning ran again meanwhile: the week's choice is made
    choose(ws, WEEK, now=NOW)
    assert snapshot(ws) == snapshot(whole)
    whole.ledger.close()


@pytest.mark.parametrize("policy", ["uniform", "model"])
def test_assignments_outlive_an_opt_out(ws, policy):
    """Someone opts out between two runs: the message is gone, the assignment and what was frozen stand."""
    set_policy(ws, model(ws) if policy == "model" else policy)
    choose(ws, WEEK, now=NOW)
    before = assignments(ws, WEEK)
    rows = audience(ws, WEEK)
    home = rows.index[(rows["reason"] == "chosen") & (rows["is_contactable"] == 1)][0]
    ws.ledger.suppress(household_id=home, source="test", now=NOW)
    choose(ws, WEEK, now=NOW)
    assert assignments(ws, WEEK) == before
    assert audience(ws, WEEK).loc[home, "reason"] == "suppressed"
    assert audience(ws, WEEK).loc[home, "is_contactable"] == 1


def test_a_flat_that_comes_later_in_the_week_gets_what_its_bin_store_got(ws):
    """The policy may see the store otherwise by then; flats that share bins are one unit all the same."""
    set_policy(ws, model(ws))
    columns = homes(N, stores=20)
    late = {f"H{number:06d}" for number in range(0, 120, 6)}  # the first home of each store speaks for it
    keep = np.array([home not in late for home in columns["household_id"]])
    settle(ws, WEEK, {name: np.asarray(values)[keep] for name, values in columns.items()})
    choose(ws, WEEK, now=NOW)
    columns["residual_kg_mean_8w"] = np.where(keep, columns["residual_kg_mean_8w"], 2.0)
    settle(ws, WEEK, columns)
    choose(ws, WEEK, now=NOW)
    rows = assignments(ws, WEEK).to_pandas()
    assert late <= set(rows["household_id"])
    same = rows.groupby("unit_id")[["lane", "arm", "policy_arm", "propensity"]].nunique()
    assert (same == 1).all(axis=None)


def test_a_week_that_was_begun_keeps_its_shares(ws):
    """An edit of the campaign counts from the next week: who comes later in this one is drawn as the others were."""
    columns = homes(N, stores=20)
    settle(ws, WEEK, {name: np.asarray(values)[: N // 2] for name, values in columns.items()})
    choose(ws, WEEK, now=NOW)
    edited = replace(CAMPAIGN, shares=Shares(0.8, 0.1, 0.1))
    settle(ws, WEEK, columns)
    choose(replace(ws, campaigns={edited.id: edited}), WEEK, now=NOW)
    rows = assignments(ws, WEEK).to_pandas()
    control = rows["draw"] < 0.25
    assert set(rows[control]["lane"]) == {"control", "holdout"}
    assert set(rows[~control]["lane"]) == {"learn", "best", "holdout"}


def test_an_opt_out_by_address_is_found(ws):
    rows = homes(N, stores=20)
    number = int(np.flatnonzero(rows["has_sms"])[0])
    ws.ledger.suppress(address_hash=address_hash(f"+4477{number:08d}"), medium="sms", source="test", now=NOW)
    choose(ws, WEEK, now=NOW)
    assert audience(ws, WEEK).loc[rows["household_id"][number], "is_contactable"] == 0


def test_an_arm_that_went_away_is_named(ws):
    choose(ws, WEEK, now=NOW)
    other = replace(CAMPAIGN, arms=(Arm("new_sms", "street_norm", (Medium.SMS,)), CAMPAIGN.arms[1]))
    with pytest.raises(ConfigError, match="norm_sms"):
        choose(replace(ws, campaigns={CAMPAIGN.id: other}), WEEK, now=NOW)


def test_postgresql_chooses_and_learns_the_same(ws, tmp_path, new_postgres):
    other = replace(workspace(tmp_path / "other"), ledger=Ledger.open(new_postgres()))
    settle(other, WEEK, homes(N, stores=20))
    for each in (ws, other):
        sent(each, WEEK - 1, homes(N)["household_id"][:500])
        choose(each, WEEK, now=NOW)
        choose(each, WEEK, now=NOW)
        learn(each, WEEK + 1, now=NOW)
        settle(each, WEEK + 1, homes(N + 100, stores=20))
        choose(each, WEEK + 1, now=NOW)
    assert assignments(other, WEEK + 1).to_pylist() == assignments(ws, WEEK + 1).to_pylist()
    assert assignments(other, WEEK).to_pylist() == assignments(ws, WEEK).to_pylist()
    assert (audience(other, WEEK)["reason"] == audience(ws, WEEK)["reason"]).all()
    cards = [each.ledger.select("SELECT policy, card FROM cards").to_pylist() for each in (ws, other)]
    assert cards[0] == cards[1]
    other.ledger.close()


# --- what takes a message away ----------------------------------------------------------


def test_a_stop_takes_messages_not_assignments(ws):
    ws.ledger.stop("all", "officer", now=NOW)
    choose(ws, WEEK, now=NOW)
    rows = audience(ws, WEEK)
    assert "chosen" not in set(rows["reason"])
    assert (rows["reason"] == "stopped").sum() > 1_000
    ws.ledger.resume("all", "officer", now=NOW)
    choose(ws, WEEK, now=NOW)
    assert "stopped" not in set(audience(ws, WEEK)["reason"])


@pytest.mark.parametrize(
    ("weeks_ago", "campaign", "count", "state", "capped"),
    [
        (1, "less_rubbish", 1, "accepted", True),  # one from this campaign in its last four weeks
        (3, "less_rubbish", 1, "planned", True),  # still to be sent: it counts
        (4, "less_rubbish", 1, "accepted", False),  # every four weeks: due again
        (1, "less_rubbish", 1, "dropped", False),  # never left
        (1, "less_rubbish", 1, "refused", False),
        (1, "another", 1, "accepted", False),  # the council allows two in four weeks
        (1, "another", 2, "accepted", True),
        (4, "another", 2, "accepted", False),
    ],
)
def test_frequency_caps(ws, weeks_ago, campaign, count, state, capped):
    ids = homes(N, stores=20)["household_id"]
    for medium in ("sms", "email")[:count]:
        sent(ws, WEEK - weeks_ago, ids, campaign=campaign, medium=medium, state=state)
    choose(ws, WEEK, now=NOW)
    reasons = set(audience(ws, WEEK)["reason"])
    assert ("capped" in reasons) == capped
    assert ("chosen" in reasons) == (not capped)


def test_a_message_dropped_since_does_not_uncap_a_repeat(ws):
    ids = homes(N, stores=20)["household_id"]
    sent(ws, WEEK - 1, ids, campaign=CAMPAIGN.id, medium="sms", state="approved")
    choose(ws, WEEK, now=NOW)
    first = audience(ws, WEEK)
    assert "chosen" not in set(first["reason"])
    ws.ledger.set_campaign_state(
        CAMPAIGN.id, WEEK - 1, MessageState.DROPPED, reason="expired", now=NOW, only_from=[MessageState.APPROVED]
    )
    choose(ws, WEEK, now=NOW)
    assert audience(ws, WEEK).equals(first)


def test_this_weeks_own_messages_do_not_cap_a_repeat(ws):
    choose(ws, WEEK, now=NOW)
    before = snapshot(ws)
    rows = audience(ws, WEEK)
    sent(ws, WEEK, rows.index[rows["reason"] == "chosen"], state="planned")
    choose(ws, WEEK, now=NOW)
    assert snapshot(ws) == before


def test_one_message_a_household_a_week(tmp_path):
    second = replace(CAMPAIGN, id="more_food", outcome=Outcome.TAG_RATE)
    ws = workspace(tmp_path, second, CAMPAIGN)
    settle(ws, WEEK, homes(N))
    choose(ws, WEEK, now=NOW)
    first = audience(ws, WEEK)
    later = audience(ws, WEEK, second)
    taken = first.index[first["reason"] == "chosen"]
    assert not (later.loc[taken, "reason"] == "chosen").any()
    assert (later.loc[taken, "reason"] == "capped").sum() > 300
    before = snapshot(ws)
    choose(ws, WEEK, now=NOW)
    choose(ws, WEEK, now=NOW, campaigns=["more_food"])
    assert snapshot(ws) == before
    ws.ledger.close()


def test_lanes_of_two_campaigns_are_independent(tmp_path):
    second = replace(CAMPAIGN, id="more_food")
    ws = workspace(tmp_path, second, CAMPAIGN)
    settle(ws, WEEK, homes(N))
    choose(ws, WEEK, now=NOW)
    first, later = (assignments(ws, WEEK, each).to_pandas() for each in (CAMPAIGN, second))
    assert ((first["lane"] == "holdout") == (later["lane"] == "holdout")).all()
    outside = first["lane"] != "holdout"
    both = ((first["lane"] == "control") & (later["lane"] == "control"))[outside].mean()
    assert abs(both - 0.25**2) < 0.02  # four standard errors over 2,800 homes
    ws.ledger.close()


# --- money ------------------------------------------------------------------------------


def spent(rows):
    return rows["arm"].map({"norm_sms": 2.4, "caddy_email": 0.1}).where(rows["reason"] == "chosen", 0.0).sum()


@pytest.mark.parametrize("policy", ["uniform", "arm:norm_sms", "model"])
@pytest.mark.parametrize("budget", [0, 500, 2_000])
def test_the_budget_is_never_exceeded(tmp_path, policy, budget):
    ws = workspace(tmp_path, replace(CAMPAIGN, budget_pence=budget))
    settle(ws, WEEK, homes(N, stores=20))
    set_policy(ws, model(ws) if policy == "model" else policy)
    choose(ws, WEEK, now=NOW)
    assert spent(audience(ws, WEEK)) <= budget
    ws.ledger.close()


def test_the_learn_lane_is_paid_first_then_by_draw(tmp_path):
    sms = replace(CAMPAIGN, budget_pence=1_700, arms=(CAMPAIGN.arms[0], Arm("thanks_sms", "thank_you", (Medium.SMS,))))
    ws = workspace(tmp_path, sms)
    settle(ws, WEEK, homes(N))
    choose(ws, WEEK, now=NOW)
    rows = audience(ws, WEEK)
    draws = assignments(ws, WEEK).to_pandas().set_index("household_id")["draw"]
    assert (rows["reason"] == "over_budget").any()
    assert not ((rows["reason"] == "over_budget") & (rows["lane"] == "learn")).any()
    best = rows[rows["lane"] == "best"]
    paid, unpaid = (draws[best.index[best["reason"] == reason]] for reason in ("chosen", "over_budget"))
    assert paid.max() < unpaid.min()
    ws.ledger.close()


def test_under_none_only_the_learn_lane_is_written_to(ws):
    set_policy(ws, "none")
    choose(ws, WEEK, now=NOW)
    rows = audience(ws, WEEK)
    assert set(rows.loc[rows["reason"] == "chosen", "lane"]) == {"learn"}
    assert set(rows.loc[rows["lane"] == "best", "reason"]) == {"policy_none"}


def test_under_a_best_arm_propensities_follow_it(ws):
    set_policy(ws, "arm:caddy_email")
    choose(ws, WEEK, now=NOW)
    given = assignments(ws, WEEK).to_pandas()
    assert set(given.loc[given["lane"] == "best", "arm"]) == {"caddy_email"}
    learn = 0.95 * 0.35 / 3
    expected = {"caddy_email": learn + 0.95 * 0.40, "norm_sms": learn, "control": 1 - 2 * learn - 0.95 * 0.40}
    np.testing.assert_allclose(given["propensity"], given["arm"].map(expected))


def test_a_model_writes_where_it_pays(ws):
    """Effects of -0.02 (kg - 9) at 60p a kg are worth 2.4p from 11 kg on for a text, 0.1p from 9.2 for an email."""
    set_policy(ws, model(ws))
    choose(ws, WEEK, now=NOW)
    given = assignments(ws, WEEK).to_pandas().set_index("household_id")
    kg = pd.Series(homes(N, stores=20)["residual_kg_mean_8w"], index=homes(N, stores=20)["household_id"])[given.index]
    houses = ~given["unit_id"].str.startswith("S")
    text, email = 60 * 0.02 * (kg - 9) - 2.4, 60 * 0.01 * (kg - 9) - 0.1
    expected = np.select([(text > email) & (text > 0), email > 0], ["norm_sms", "caddy_email"], "control")
    # With money enough every house takes what pays most; one that only a text or only an email reaches takes that.
    reachable = given["is_contactable"] == 1
    assert (given["policy_arm"] == expected)[houses & reachable].all()
    best = given["lane"] == "best"
    assert (given["arm"] == given["policy_arm"])[best].all()


def test_a_model_under_a_budget_writes_where_it_pays_most(tmp_path):
    ws = workspace(tmp_path, replace(CAMPAIGN, budget_pence=500, shares=Shares(0.3, 0.1, 0.6), every_weeks=1))
    settle(ws, WEEK, homes(N))
    set_policy(ws, model(ws))
    choose(ws, WEEK, now=NOW)
    rows = audience(ws, WEEK)
    price = ws.ledger.select("SELECT price_per_penny FROM choices")["price_per_penny"][0].as_py()
    assert price > 0
    kg = pd.Series(homes(N)["residual_kg_mean_8w"], index=homes(N)["household_id"])
    best = rows[(rows["lane"] == "best") & (rows["is_contactable"] == 1)]
    assert kg[best.index[best["arm"] == "norm_sms"]].min() > kg[best.index[best["arm"] == "control"]].mean()
    assert (rows["reason"] == "over_budget").mean() < 0.02  # the price, not the till, does the choosing
    assert 400 < spent(rows) <= 500
    ws.ledger.close()


def test_prices_are_what_messages_cost_before(ws):
    """Two-fragment texts halve how many 1,000 pence can send."""
    sent(ws, WEEK - 8, ["H000900"], pence=4.8)
    ws = replace(ws, campaigns={CAMPAIGN.id: replace(CAMPAIGN, budget_pence=1_000)})
    choose(ws, WEEK, now=NOW)
    rows = audience(ws, WEEK)
    texts = ((rows["arm"] == "norm_sms") & (rows["reason"] == "chosen")).sum()
    assert texts * 4.8 <= 1_000


# --- not ready --------------------------------------------------------------------------


def test_without_features_it_says_what_to_run(tmp_path):
    ws = workspace(tmp_path)
    with pytest.raises(NotReadyError, match="features"):
        choose(ws, WEEK, now=NOW)
    ws.ledger.close()


def test_outside_its_weeks_a_campaign_chooses_nothing(ws):
    assert choose(ws, WEEK + 40, now=NOW).counts == {}
