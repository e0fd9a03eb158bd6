-- What the jobs of keys have taken of the day, for those that are granted only so much.
CREATE TABLE key_usage (
    key TEXT PRIMARY KEY,
    -- Days since the beginning of 1970, by UTC.
    day INTEGER NOT NULL,
    cpu_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
