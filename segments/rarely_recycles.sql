-- title: Recycling out at less than half of its collections
-- why: The bin is there and mostly stays in: a reminder the evening before may be all it takes.
-- expect: 0.02 to 0.30
SELECT household_id FROM features
WHERE shares_bins = 0 AND has_recycling_service = 1 AND recycling_set_out_rate_26w < 0.5
