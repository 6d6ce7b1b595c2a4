-- title: More than 12 kg of rubbish a week
-- why: About half as much again as a usual home (7.6 kg, Mid Kent 2015): most to gain from each percent less.
-- expect: 0.02 to 0.25
SELECT household_id FROM features
WHERE shares_bins = 0 AND residual_kg_mean_26w > 12
