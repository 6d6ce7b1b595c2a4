-- title: Houses with their own bins
-- why: What they put out can be told apart, so feedback about their own bin is true.
-- expect: 0.60 to 1
SELECT household_id FROM features
WHERE shares_bins = 0 AND has_residual_service = 1
