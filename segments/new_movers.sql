-- title: Moved in during the last 13 weeks
-- why: New homes mean new bins and days; habits are made in the first weeks.
-- expect: 0 to 0.06
SELECT household_id FROM features
WHERE tenure_weeks < 13
