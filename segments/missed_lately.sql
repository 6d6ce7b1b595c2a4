-- title: The crew missed a collection in the last 4 weeks
-- why: We owe them an apology before we ask for anything.
-- expect: 0 to 0.05
SELECT household_id FROM features
WHERE missed_4w >= 1
