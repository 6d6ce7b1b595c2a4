-- title: Flats that share bins
-- why: Nobody's own bin is known here: speak about the store, never about the household.
-- expect: 0.02 to 0.40
SELECT household_id FROM features
WHERE shares_bins = 1
