-- The order of the list of open alarms, so that a page of it reads no other alarms. None of these columns changes while an alarm is
-- open, but for the priority that becomes worse: acknowledging touches no index.

CREATE INDEX idx_alarms_worst ON alarms (priority DESC, raised_at, alarm_id) WHERE closed_at IS NULL;
