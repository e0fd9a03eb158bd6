-- What is taken in turns by callers: what is due of each, and what has ended of each.
ALTER TABLE deliveries ADD COLUMN caller TEXT NOT NULL DEFAULT '';
UPDATE deliveries SET caller = (SELECT caller FROM jobs WHERE number = job);
DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (caller, next_ms) WHERE status = 'due';
CREATE INDEX jobs_ended_of_callers ON jobs (caller, ended_ms, number) WHERE ended_ms IS NOT NULL;
