-- tenon: destructive=true
DROP TABLE job_schedules;
DROP INDEX jobs_done;
DROP INDEX jobs_rank;
ALTER TABLE jobs DROP COLUMN rank_real_ns;
ALTER TABLE jobs DROP COLUMN timeout_ms;
ALTER TABLE jobs DROP COLUMN token;
ALTER TABLE jobs DROP COLUMN priority;
