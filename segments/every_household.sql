-- title: Every household
-- why: To count by, and for news that concerns everybody.
-- expect: 1 to 1
SELECT household_id FROM features
