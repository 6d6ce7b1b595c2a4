"""Seeds and effects → evidence of a randomised trial with planted effects, for tests of the gate and its card."""

import numpy as np

from nudges.uplift import Evidence, Prices

ARMS = ("control", "text", "email")
FREE = Prices(pence_per_outcome=-60.0, cost_pence=np.array([0.0, 2.4, 2.4]), budget_pence_per_household=1e9)


def crossed(x):
    """A text helps where the second feature is high, an email where it is low; kg, so less is better."""
    return np.column_stack([-1.5 * x[:, 1], 1.5 * x[:, 1]])


def same(*sizes):
    """The same effects for everyone."""
    return lambda x: np.tile(sizes, (len(x), 1))


def evidence(n=2_000, *, effect=None, seed=0, homes=1.0, arms=ARMS):
    """kg a week, 9 on average with an sd of 3 that features do not explain; 40 % control, the rest shared evenly."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6))
    messages = len(arms) - 1
    chance = np.tile([0.4, *[0.6 / messages] * messages], (n, 1))
    given = (rng.random(n)[:, None] > chance.cumsum(axis=1)[:, :-1]).sum(axis=1)
    planted = np.zeros((n, messages)) if effect is None else effect(x)
    y = 9 + 3 * x[:, 0] + rng.normal(0, 3, n) + np.column_stack([np.zeros(n), planted])[np.arange(n), given]
    return Evidence(x, y, given, chance, np.arange(n), np.full(n, homes), arms)
