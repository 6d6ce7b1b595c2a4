"""Turns published figures on kerbside collection into the parameters of the made-up borough.

Each figure names its source; those marked *assumed* are to be estimated first on a council's own lifts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from nudges.domain import Stream


@dataclass(frozen=True, slots=True)
class StreamHabits:
    """How one stream is put out: kg a household makes in a week, and how often its bin is out."""

    kg_week: float  # mean per household with the service and the habit
    set_out: float  # mean share of collections at which the bin is out, 0-1
    set_out_sd: float  # spread of that share between households, on the logit scale
    noise_cv: float  # week-to-week coefficient of variation within a household
    flat_factor: float = 1.0  # kg of a flat relative to a house of the same size
    material: str = ""  # as the weighbridge ticket names it


@dataclass(frozen=True, slots=True)
class Calibration:
    """Every constant of the simulator.

    Residual is the stream with a published size law, so its mean comes from household sizes
    (3.3 + 1.85 a person, assumed; mean 7.6 kg: Mid Kent/Canterbury 2015, 956 households).
    """

    # ONS: 30.2 % one-person, mean 2.4; shares of 1, 2, 3, 4, 5 persons
    size_shares: tuple[float, ...] = (0.30, 0.34, 0.16, 0.13, 0.07)
    kg_fixed: float = 3.3  # assumed
    kg_per_person: float = 1.85  # assumed
    between_sd_kg: float = 4.0  # assumed: spread of household means
    weekly_sd_kg: float = 4.6  # assumed: spread of weeks within a household; with the line above ICC = 0.43
    # lag-1 correlation .56, lag-8 .44 (assumed) = ICC .43 + .188 * .69 ** lag: a fading memory beside the home's level
    memory: float = 0.69
    memory_share: float = 0.33  # of the weekly variance
    round_week_sd: float = 0.05  # shock shared by a round in a week (assumed)
    flat_share: float = 0.15  # ONS 2021: 11-22 % outside London
    flats_per_store: tuple[int, int] = (6, 40)  # assumed
    # set-out: Mid Kent/Canterbury 2015 (88 %, 79 %, 41 %); food 43.1 % South Gloucestershire
    # kg: recycled incl. garden 7.6 kg a household and week; flats recycle about half (ONS 2021)
    streams: Mapping[Stream, StreamHabits] = field(
        default_factory=lambda: {
            Stream.RESIDUAL: StreamHabits(7.6, 0.88, 0.8, 0.42, 1.0, "Household residual"),
            Stream.RECYCLING: StreamHabits(4.2, 0.79, 1.0, 0.40, 0.5, "Mixed dry recycling"),
            Stream.FOOD: StreamHabits(1.5, 0.41, 2.2, 0.45, 0.5, "Food waste"),
            Stream.GARDEN: StreamHabits(6.0, 0.60, 1.0, 0.60, 1.0, "Garden waste"),
        }
    )
    garden_share: float = 0.35  # of houses that subscribe (assumed)
    # season: West London, two weeks after Christmas +9 %; Halloween +0.3 kg (six councils, 2024); rest +/-3 % (assumed)
    christmas: float = 0.09
    halloween_kg: float = 0.3
    season: float = 0.03
    # readers: 0.6 % missing or wrong of 27,865 weighings (Korhonen & Kaila 2015); half of it whole lorry-days
    not_read: float = 0.006
    not_read_by_lorry: float = 0.5
    # missed: 0.21 % East Dunbartonshire 2020/21, 0.002-0.02 % best; half of it whole streets
    missed: float = 0.0015
    missed_by_street: float = 0.5
    recorded_absent: float = 0.5  # of bins not out, share on which the crew presses "not presented" (assumed)
    excess_kg: tuple[float, float] = (24.0, 12.0)  # lid open above so much, and so much more a person (assumed)
    # tags: 5-10 % of recycling lifts (unverified); flats 23-31 % (Resource London, by weight)
    tag_rate: float = 0.055
    tag_sd: float = 1.1  # on the logit scale: few homes earn most tags (assumed)
    flat_tag_odds: float = 4.0
    tag_reasons: Mapping[str, float] = field(
        default_factory=lambda: {"refuse": 0.46, "food": 0.26, "garden": 0.10, "bulky": 0.08, "rubble": 0.05,
                                 "soil": 0.03, "animal_bedding": 0.02}
    )  # fmt: skip
    weighbridge_sd: float = 0.02  # lorry scales against the bridge (assumed)
    load_kg: float = 9_500.0  # a full refuse lorry (assumed)
    # contacts: email reach 20-35 % of residents (LGA/GovDelivery), higher by household; mobiles (assumed)
    email_share: float = 0.48
    mobile_share: float = 0.62
    welsh_share: float = 0.03  # households that chose Welsh (assumed)
    # answers: delivery (assumed); opens 25-46 %, clicks to 6 % (LGA, Hampshire);
    # unsubscribed 0.1-0.5 % a send, STOP 1-3 % (unverified)
    dead_address: float = 0.025
    sms_read: float = 0.90
    email_read: float = 0.42
    click_share: float = 0.08  # of emails opened
    sms_stop: float = 0.015
    email_unsubscribe: float = 0.003
    email_complaint: float = 0.0005

    @property
    def persons_mean(self) -> float:
        """Mean household size."""
        return sum(share * (i + 1) for i, share in enumerate(self.size_shares))

    @property
    def level_sigma(self) -> float:
        """Log-scale spread of a home's own level, so that means spread by `between_sd_kg` in all."""
        second = sum(
            share * (self.kg_fixed + self.kg_per_person * (i + 1)) ** 2 for i, share in enumerate(self.size_shares)
        )
        mean = self.kg_fixed + self.kg_per_person * self.persons_mean
        return math.sqrt(math.log(1 + (self.between_sd_kg**2 - (second - mean**2)) / second))

    @property
    def noise_sigmas(self) -> tuple[float, float]:
        """Log-scale spread of (fading memory, one week alone): multiplicative, mean one."""
        second = (self.kg_fixed + self.kg_per_person * self.persons_mean) ** 2 + self.between_sd_kg**2
        whole = self.weekly_sd_kg**2 / second
        fading = self.memory_share * whole
        alone = (1 + whole) / (1 + fading) / math.exp(self.round_week_sd**2) - 1
        return math.sqrt(math.log(1 + fading)), math.sqrt(math.log(1 + alone))


DEFAULT = Calibration()
"""The published figures."""
