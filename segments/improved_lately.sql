-- title: Had tags, none for 8 weeks, still recycling
-- why: They changed something: thank them, so that it lasts.
-- expect: 0.02 to 0.40
SELECT household_id FROM features
WHERE shares_bins = 0
  AND tags_26w >= 1
  AND tags_8w = 0
  AND participates_recycling = 1
  AND (tenure_weeks IS NULL OR tenure_weeks > weeks_since_tag)
