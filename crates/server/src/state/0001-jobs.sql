-- Jobs that outlive a connection.

-- `number` is when a job was accepted, in microseconds since 1970, and more than that of any job before it: the order of all
-- jobs. What is large has tables of its own, so that a change of a job's status does not write it again.
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    caller TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    language TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    -- How many times it was begun, but for those that a stop of the service cut short.
    attempts INTEGER NOT NULL DEFAULT 0,
    started_ms INTEGER,
    ended_ms INTEGER,
    -- Bytes that are kept for it.
    size INTEGER NOT NULL,
    last_event INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX jobs_of_callers ON jobs (caller, number);
CREATE INDEX jobs_by_status ON jobs (status, caller, number);
CREATE INDEX jobs_ended ON jobs (ended_ms, number) WHERE ended_ms IS NOT NULL;

-- What is to be run, until it has been.
CREATE TABLE requests (
    job INTEGER PRIMARY KEY REFERENCES jobs (number) ON DELETE CASCADE,
    body BLOB NOT NULL,
    -- The trace that it is part of, as its client's `traceparent` has it.
    trace TEXT
) STRICT;

-- What came of it: an outcome, or why there is none.
CREATE TABLE answers (
    job INTEGER PRIMARY KEY REFERENCES jobs (number) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('outcome', 'error')),
    body TEXT NOT NULL
) STRICT;

-- What a client that looks on is told. The data of an outcome or an error is in `answers`.
CREATE TABLE events (
    job INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('status', 'output', 'outcome', 'error')),
    data TEXT,
    PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;

-- What was answered to a request that has an `Idempotency-Key`.
CREATE TABLE idempotency (
    caller TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    answer TEXT NOT NULL,
    answered_ms INTEGER NOT NULL,
    PRIMARY KEY (caller, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (answered_ms);

-- Whom to tell of a job's end. `waiting`: it has not ended; `due`: to be told at `next_ms`.
CREATE TABLE deliveries (
    job INTEGER PRIMARY KEY REFERENCES jobs (number) ON DELETE CASCADE,
    url TEXT NOT NULL,
    secret TEXT,
    status TEXT NOT NULL CHECK (status IN ('waiting', 'due', 'delivered', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0,
    first_ms INTEGER,
    next_ms INTEGER,
    last_error TEXT
) STRICT;
CREATE INDEX deliveries_due ON deliveries (next_ms) WHERE status = 'due';

-- How many there are and what they hold, without counting: for each caller by a job's status, and by `idempotency`.
CREATE TABLE totals (
    caller TEXT NOT NULL,
    kind TEXT NOT NULL,
    count INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (caller, kind)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER a_job_comes AFTER INSERT ON jobs BEGIN
    INSERT INTO totals VALUES (new.caller, new.status, 1, new.size)
    ON CONFLICT DO UPDATE SET count = count + 1, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER a_job_goes AFTER DELETE ON jobs BEGIN
    UPDATE totals SET count = count - 1, bytes = bytes - old.size WHERE caller = old.caller AND kind = old.status;
    DELETE FROM totals WHERE caller = old.caller AND kind = old.status AND count = 0;
END;
CREATE TRIGGER a_job_changes AFTER UPDATE OF status, size ON jobs BEGIN
    INSERT INTO totals VALUES (new.caller, new.status, 1, new.size)
    ON CONFLICT DO UPDATE SET count = count + 1, bytes = bytes + excluded.bytes;
    UPDATE totals SET count = count - 1, bytes = bytes - old.size WHERE caller = old.caller AND kind = old.status;
    DELETE FROM totals WHERE caller = old.caller AND kind = old.status AND count = 0;
END;
CREATE TRIGGER a_key_comes AFTER INSERT ON idempotency BEGIN
    INSERT INTO totals VALUES (new.caller, 'idempotency', 1, length(new.answer))
    ON CONFLICT DO UPDATE SET count = count + 1, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER a_key_goes AFTER DELETE ON idempotency BEGIN
    UPDATE totals SET count = count - 1, bytes = bytes - length(old.answer)
    WHERE caller = old.caller AND kind = 'idempotency';
    DELETE FROM totals WHERE caller = old.caller AND kind = 'idempotency' AND count = 0;
END;
