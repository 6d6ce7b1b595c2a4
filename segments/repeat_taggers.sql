-- title: Tagged three times or more in half a year
-- why: A few homes earn most tags and one reminder did not help: try another message, or a visit.
-- expect: 0.005 to 0.15
SELECT household_id FROM features
WHERE shares_bins = 0
  AND tags_26w >= 3
  AND (tenure_weeks IS NULL OR tenure_weeks >= 26)
