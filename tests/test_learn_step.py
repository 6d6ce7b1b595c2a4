"""The learn step on towns with a planted effect: what it decides, what it leaves out, and that it repeats itself."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small_town import CAMPAIGN, NOW, WEEK, assignments, audience, homes, settle, weigh, workspace

from nudges.domain import Shares
from nudges.errors import NotReadyError
from nudges.steps.card import html, markdown, newest_card
from nudges.steps.choose import choose
from nudges.steps.choose.words import policy_words
from nudges.steps.learn import learn
from nudges.steps.models import load_model
from nudges.steps.plan import as_dict, plan, plan_all
from nudges.uplift import decide

N = 4_000
CLOSED = WEEK + 4


def nothing(kg, arm):
    return np.zeros(len(kg))


def texts_work(kg, arm):
    return np.where(arm == "norm_sms", -1.5, 0.0)


def messages_annoy(kg, arm):
    return np.where(arm == "control", 0.0, 0.5)


def heavy_homes_answer(kg, arm):
    """A text makes heavy homes throw away less and light ones more; an email does the opposite."""
    slope = {"norm_sms": -0.8, "caddy_email": 0.8, "control": 0.0}
    return pd.Series(arm).map(slope).to_numpy() * (kg - 9)


def lived(home, effect, *, before=0, weeks=4, campaign=CAMPAIGN, columns=None):
    """A workspace after `weeks` weeks of a campaign whose messages change the kg of units by `effect(kg, arm)`."""
    ws = workspace(home, campaign)
    columns = columns or homes(N, stores=20)
    settle(ws, WEEK, columns)
    choose(ws, WEEK, now=NOW)
    given = assignments(ws, WEEK, campaign).to_pandas().groupby("unit_id")["arm"].first()
    usual = pd.Series(columns["residual_kg_mean_8w"], index=columns["unit_id"]).groupby(level=0).mean()
    rng = np.random.default_rng(7)

    def kg(units, week):
        base = usual[units].to_numpy()
        arm = given.reindex(units).fillna("control").to_numpy()
        noise = rng.normal(0, 1.5, len(units))
        return base + noise + (effect(base, arm) if week > WEEK else 0.0)

    weigh(ws, columns, [WEEK + offset for offset in range(-before, weeks + 1)], kg)
    return ws


def card(ws, week=CLOSED):
    row = ws.ledger.select("SELECT * FROM cards WHERE week_no = :week", week=week.number).to_pylist()
    assert len(row) == 1
    return row[0]["policy"], json.loads(row[0]["card"])


@pytest.fixture(scope="module")
def split_town(tmp_path_factory):
    ws = lived(tmp_path_factory.mktemp("split"), heavy_homes_answer)
    yield ws
    ws.ledger.close()


def test_before_outcomes_close_the_start_is_cold(split_town):
    learn(split_town, WEEK + 3, now=NOW)
    policy, words = card(split_town, WEEK + 3)
    assert policy == "uniform"
    assert words["decision"]["n_units"] == 0
    assert "Cold start" in words["decision"]["words"]


def test_no_effect_leads_nowhere(tmp_path):
    ws = lived(tmp_path, nothing)
    learn(ws, CLOSED, now=NOW)
    policy, words = card(ws)
    assert policy.startswith("mix:")  # no proof is no verdict: arms go on being sampled
    assert words["decision"]["arm_over_none"]["lower_bound"] <= 0
    ws.ledger.close()


def test_messages_that_annoy_lead_to_none(tmp_path):
    ws = lived(tmp_path, messages_annoy)
    learn(ws, CLOSED, now=NOW)
    policy, words = card(ws)
    assert policy == "none"
    assert words["decision"]["arm_over_none"]["lower_bound"] <= 0
    ws.ledger.close()


def test_an_effect_that_is_the_same_for_all_leads_to_the_best_arm(tmp_path):
    ws = lived(tmp_path, texts_work)
    learn(ws, CLOSED, now=NOW)
    policy, words = card(ws)
    assert policy == "arm:norm_sms"
    found = words["decision"]["effects"]["norm_sms"]
    assert found["low"] < -1.5 < found["high"]  # kg a household and week, as planted
    ws.ledger.close()


def test_what_other_campaigns_do_is_not_credited_to_this_one(tmp_path):
    """Another campaign takes 3 kg off everyone but the holdout: between arms that were drawn there is no difference."""
    campaign = replace(CAMPAIGN, shares=Shares(0.1, 0.5, 0.4))
    ws = workspace(tmp_path, campaign, holdout_share=0.3)
    columns = homes(N, stores=0)
    settle(ws, WEEK, columns)
    choose(ws, WEEK, now=NOW)
    lanes = assignments(ws, WEEK, campaign).to_pandas().groupby("unit_id")["lane"].first()
    rng = np.random.default_rng(7)

    def kg(units, week):
        others = np.where(lanes.reindex(units) == "holdout", 0.0, -3.0)
        return 9 + rng.normal(0, 1, len(units)) + (others if week > WEEK else 0.0)

    weigh(ws, columns, [WEEK + offset for offset in range(5)], kg)
    learn(ws, CLOSED, now=NOW)
    for arm in ("norm_sms", "caddy_email"):
        found = card(ws)[1]["decision"]["effects"][arm]
        assert found["low"] < 0 < found["high"]
    ws.ledger.close()


def test_planted_heterogeneity_leads_to_a_model_that_choosing_uses(split_town):
    ws = split_town
    summary = learn(ws, CLOSED, now=NOW)
    policy, words = card(ws)
    assert policy.startswith("model:")
    assert summary.facts["less_rubbish policy"] == policy
    assert words["leading_features"]["norm_sms"][0] == "residual_kg_mean_8w"
    assert load_model(ws, CAMPAIGN, policy.removeprefix("model:")).arms == ("control", "norm_sms", "caddy_email")
    columns = homes(N, stores=20)
    settle(ws, CLOSED, columns)
    choose(ws, CLOSED, now=NOW)
    rows = audience(ws, CLOSED)
    kg = pd.Series(columns["residual_kg_mean_8w"], index=columns["household_id"])
    best = rows[(rows["lane"] == "best") & (rows["is_contactable"] == 1) & ~rows["unit_id"].str.startswith("S")]
    texted, mailed = (kg[best.index[best["arm"] == arm]] for arm in ("norm_sms", "caddy_email"))
    assert texted.min() > 8  # the planted turning point is 9 kg
    assert mailed.max() < 10
    assert texted.mean() > 10.5
    assert mailed.mean() < 7.5


def test_learning_again_gives_the_same_card_and_model(split_town):
    learn(split_town, CLOSED, now=NOW)
    before = card(split_town)
    files = sorted(path.name for path in (split_town.var / "models" / CAMPAIGN.id).iterdir())
    learn(split_town, CLOSED, now=NOW)
    assert card(split_town) == before
    assert sorted(path.name for path in (split_town.var / "models" / CAMPAIGN.id).iterdir()) == files


def test_the_card_is_read_back_whole_and_becomes_a_page(split_town):
    learn(split_town, CLOSED, now=NOW)
    kept = split_town.ledger.select("SELECT card FROM cards WHERE week_no = :week", week=CLOSED.number)["card"][
        0
    ].as_py()
    found = newest_card(split_town, CAMPAIGN, CLOSED)
    assert found.to_json() == kept
    assert found.decision.gain.mean > 0
    assert found.decision.words in html(split_town, CAMPAIGN, found, now=NOW).replace("&#39;", "'").replace(
        "&amp;", "&"
    )
    assert "residual_kg_mean_8w" in markdown(CAMPAIGN, found)
    assert newest_card(split_town, CAMPAIGN, WEEK - 1) is None


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("uniform", "every message equally often"),
        ("none", "no message in the best lane"),
        ("arm:norm_sms", "norm_sms for everybody"),
        ("mix:control=0.250,norm_sms=0.750", "control 25%, norm_sms 75%"),
        ("model:" + "ab" * 32, "by model abababababab"),
    ],
)
def test_policies_are_said_in_words(policy, words):
    assert words in policy_words(policy)


def test_a_model_that_was_changed_is_refused(split_town):
    learn(split_town, CLOSED, now=NOW)
    name = card(split_town)[0].removeprefix("model:")
    path = split_town.var / "models" / CAMPAIGN.id / f"{name}.joblib"
    content = path.read_bytes()
    path.write_bytes(content + b"x")
    with pytest.raises(NotReadyError, match="changed"):
        load_model(split_town, CAMPAIGN, name)
    path.write_bytes(content)


def test_one_row_a_unit_of_those_that_could_be_reached(split_town):
    """Later weeks of a unit add to its outcome, not to the number of rows."""
    learn(split_town, CLOSED, now=NOW)
    given = assignments(split_town, WEEK).to_pandas()
    reachable = given[(given["is_contactable"] == 1) & (given["lane"] != "holdout")]["unit_id"].nunique()
    assert card(split_town)[1]["decision"]["n_units"] == reachable


def test_no_price_no_card(tmp_path):
    """A nation without a published landfill tax: the policy stays as it is, and learning says why."""
    ws = lived(tmp_path, nothing)
    ws = replace(ws, council=replace(ws.council, nation="nowhere"))
    summary = learn(ws, CLOSED, now=NOW)
    assert ws.ledger.select("SELECT * FROM cards").num_rows == 0
    assert "landfill tax" in summary.warnings[0]
    ws.ledger.close()


def halves_in_scope(home, n=1_200, stores=100, *, weeks):
    """A town whose flats throw away 9 kg each, as houses do, and half the flats of every bin store in scope."""
    ws = workspace(home)
    columns = homes(n, stores=stores)
    chosen = (columns["is_flat"] == 0) | (np.arange(n) % 2 == 0)
    ids = ("household_id", "unit_id")
    scope = {
        name: [each for each, kept in zip(columns[name], chosen, strict=True) if kept]
        if name in ids
        else columns[name][chosen]
        for name in columns
    }
    settle(ws, WEEK, scope)
    choose(ws, WEEK, now=NOW)
    rng = np.random.default_rng(7)
    weigh(ws, columns, weeks, lambda units, week: 9 + rng.normal(0, 0.5, len(units)))
    return ws


def test_kg_of_a_store_partly_in_scope_are_shared_by_all_its_homes(tmp_path, monkeypatch):
    ws = halves_in_scope(tmp_path, weeks=[WEEK + offset for offset in range(5)])
    seen = []
    monkeypatch.setattr(
        "nudges.steps.learn.step.decide", lambda evidence, *a, **k: seen.append(evidence) or decide(evidence, *a, **k)
    )
    learn(ws, CLOSED, now=NOW)
    evidence = seen[0]
    stores = evidence.households == 3  # those in scope: what a message could change and costs
    assert stores.sum() > 50
    assert np.allclose(evidence.y[stores].mean(), 9, atol=0.1)
    assert np.allclose(evidence.y[~stores].mean(), 9, atol=0.1)
    ws.ledger.close()


def test_the_plan_shares_kg_of_a_store_by_all_its_homes(tmp_path):
    ws = halves_in_scope(tmp_path, 600, 100, weeks=[WEEK + offset for offset in range(-40, 1)])
    assert plan(ws, "less_rubbish", WEEK, now=NOW, show=0).detectable.mean == pytest.approx(9, abs=0.1)
    ws.ledger.close()


# --- plan -------------------------------------------------------------------------------


def test_the_plan_is_what_choosing_then_does(split_town):
    columns = homes(N, stores=20)
    later = WEEK + 4
    settle(split_town, later, columns)
    planned = plan(split_town, "less_rubbish", later, now=NOW, show=0)
    again = plan(split_town, "less_rubbish", later, now=NOW, show=0)
    assert planned == again
    summary = choose(split_town, later, now=NOW)
    assert dict(planned.reasons) == dict(summary.counts)
    assert planned.to_send == planned.waterfall[-1].households == summary.counts["chosen"]
    assert planned.pence <= planned.budget_pence
    left = planned.waterfall[1].households - sum(stage.households for stage in planned.waterfall if stage.is_loss)
    assert left == planned.waterfall[-1].households


def test_the_plan_writes_nothing(tmp_path):
    ws = lived(tmp_path, nothing, weeks=0)
    other = WEEK + 1
    settle(ws, other, homes(N, stores=20))
    before = [ws.ledger.select(f"SELECT COUNT(*) AS n FROM {table}") for table in ("choices", "assignments", "files")]
    summary = plan_all(ws, other, now=NOW)
    after = [ws.ledger.select(f"SELECT COUNT(*) AS n FROM {table}") for table in ("choices", "assignments", "files")]
    assert before == after
    assert summary.counts["less_rubbish messages"] > 0
    ws.ledger.close()


def test_the_smallest_effect_is_the_closed_form(tmp_path):
    """Units differ by sd 3 for good, weeks by 1.5: Var of a 12-week mean is 9 + 1.5²/12, and 26 weeks before explain it
    but for that noise."""
    columns = homes(N)
    ws = lived(tmp_path, nothing, before=40, weeks=0, columns=columns)
    found = plan(ws, "less_rubbish", WEEK, now=NOW, show=0).detectable
    spread = 9 + 2.25 / 12
    r_squared = 81 / (spread * (9 + 2.25 / 26))
    expected = 2.8016 * np.sqrt(spread * (1 - r_squared) * (1 / found.n_treated + 1 / found.n_control))
    assert found.sd == pytest.approx(np.sqrt(spread), rel=0.05)
    assert found.effect == pytest.approx(expected, rel=0.1)
    assert found.share == pytest.approx(found.effect / 9, rel=0.05)
    assert found.is_enough == (found.share <= 0.02)
    assert "Smallest effect" in as_dict(plan(ws, "less_rubbish", WEEK, now=NOW, show=0))["detectable_words"]
    ws.ledger.close()
