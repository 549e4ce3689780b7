-- What the table jobs of 0002 lacks as a queue of several servers, and schedules.
-- tenon: phase=expand
--
-- token counts the claims of a job: who completes it names the token of its own claim, so that a
-- server whose lease has passed on completes nothing. rank_real_ns orders a queue: the time from which
-- the job is due, less a minute for each step of priority.

ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0 CHECK (priority BETWEEN -9 AND 9);
ALTER TABLE jobs ADD COLUMN token INTEGER NOT NULL DEFAULT 0 CHECK (token >= 0);
ALTER TABLE jobs ADD COLUMN timeout_ms INTEGER NOT NULL DEFAULT 60000 CHECK (timeout_ms > 0);
ALTER TABLE jobs ADD COLUMN rank_real_ns INTEGER NOT NULL DEFAULT 0;

CREATE INDEX jobs_rank ON jobs (queue, rank_real_ns, id) WHERE status = 'queued';
CREATE INDEX jobs_done ON jobs (updated_real_ns) WHERE status = 'done';

CREATE TABLE job_schedules (
    name            TEXT PRIMARY KEY,
    queue           TEXT NOT NULL,
    kind            TEXT NOT NULL,
    payload         TEXT NOT NULL,
    priority        INTEGER NOT NULL,
    attempts_max    INTEGER NOT NULL,
    timeout_ms      INTEGER NOT NULL,
    rule            TEXT NOT NULL,
    next_real_ns    INTEGER NOT NULL,
    updated_real_ns INTEGER NOT NULL,
    CONSTRAINT job_schedule_has_a_name CHECK (length(name) BETWEEN 1 AND 64),
    CONSTRAINT job_schedule_has_a_queue CHECK (length(queue) BETWEEN 1 AND 64),
    CONSTRAINT job_schedule_has_a_kind CHECK (length(kind) BETWEEN 1 AND 64),
    CONSTRAINT job_schedule_has_a_rule CHECK (length(rule) BETWEEN 1 AND 64),
    CONSTRAINT job_schedule_is_bounded
        CHECK (priority BETWEEN -9 AND 9 AND attempts_max BETWEEN 1 AND 100 AND timeout_ms > 0),
    CONSTRAINT job_schedule_has_times CHECK (next_real_ns >= 0 AND updated_real_ns >= 0)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_schedules_next ON job_schedules (next_real_ns);
