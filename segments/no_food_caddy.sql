-- title: Has food collections, never puts the caddy out
-- why: Food is the heaviest part of rubbish bins; they may have no caddy or not know how to start.
-- expect: 0.02 to 0.60
SELECT household_id FROM features
WHERE shares_bins = 0 AND has_food_service = 1 AND food_set_out_rate_26w = 0
