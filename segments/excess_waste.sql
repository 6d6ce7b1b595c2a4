-- title: Open lid or side waste twice in 8 weeks
-- why: Their bins overflow: help to sort more, or the right size of bin.
-- expect: 0 to 0.20
SELECT household_id FROM features
WHERE shares_bins = 0 AND excess_8w >= 2
