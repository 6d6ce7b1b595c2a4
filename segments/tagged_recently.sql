-- title: Recycling tagged in the last 4 weeks
-- why: They just had a tag on the bin; telling them what was wrong is most use while it is fresh. Only tags since they moved in.
-- expect: 0.02 to 0.20
SELECT household_id FROM features
WHERE shares_bins = 0
  AND tags_4w >= 1
  AND (tenure_weeks IS NULL OR tenure_weeks > weeks_since_tag)
