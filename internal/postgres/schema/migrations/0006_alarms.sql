-- Alarms: one open alarm per subject and condition, with its history.
--
-- Why the state is columns and not a status: whether an alarm is active, latched, acknowledged or closed follows from them,
-- and the constraints below refuse columns that contradict each other.
-- Why only one index beside the two unique ones: alarms are few, and the batch that applies transitions pays for each index.
-- Why no foreign key from the history: a check per row and a lock on the alarm would buy what the one statement that writes both
-- guarantees, and verify proves.
-- On a distributed database both tables stay local on the coordinator: they are small, and their unique indexes do not contain
-- one distribution column.

CREATE TYPE alarm_priority AS ENUM ('low', 'medium', 'high'); -- an enum compares by urgency and reads as text

CREATE TABLE alarms (
    alarm_id             uuid           PRIMARY KEY,
    version              bigint         NOT NULL, -- number of its events
    subject              text           COLLATE "C" NOT NULL, -- a customer's id; for conditions of many, what they have in common
    condition            text           COLLATE "C" NOT NULL,
    priority             alarm_priority NOT NULL, -- the highest so far: a page must not shrink unseen
    current_priority     alarm_priority NOT NULL,
    active               boolean        NOT NULL,
    stale                boolean        NOT NULL DEFAULT false,
    raised_at            timestamptz    NOT NULL, -- by the readings' own time, as are the next three
    active_since         timestamptz    NOT NULL, -- raise of the latest episode
    onset_at             timestamptz    NOT NULL, -- first reading beyond the limit, of the latest episode
    cleared_at           timestamptz,
    closed_at            timestamptz,
    closed_by            text,                    -- null where the end of the condition closed it
    recurrences          integer        NOT NULL DEFAULT 0,
    value                integer,                 -- null where the condition has none, as are the next two
    peak                 integer,
    "limit"              integer,
    detail               text           COLLATE "C" NOT NULL DEFAULT '',
    acknowledged_by      text,
    acknowledged_at      timestamptz,
    acknowledged_until   timestamptz,             -- null: for as long as the alarm is open
    seen_at              timestamptz,             -- first acknowledged; stays when an acknowledgement expires
    snoozed_by           text,
    snoozed_until        timestamptz,
    assigned_to          text           NOT NULL DEFAULT '',
    note                 text           NOT NULL DEFAULT '',
    tier                 smallint       NOT NULL DEFAULT 0,
    kafka_topic          text           COLLATE "C" NOT NULL, -- of the latest transition
    kafka_partition      integer        NOT NULL,
    kafka_offset         bigint         NOT NULL,
    episode_first_offset bigint         NOT NULL, -- of the reading that raised the latest episode
    episode_last_offset  bigint,                  -- of the reading that ended it
    CONSTRAINT alarms_condition_known CHECK (condition IN ('rate_high', 'rate_low', 'bad_signal', 'silent', 'outage', 'lag')),
    CONSTRAINT alarms_priority_not_below_current CHECK (priority >= current_priority),
    CONSTRAINT alarms_active_or_cleared CHECK (active = (cleared_at IS NULL) AND active = (episode_last_offset IS NULL)),
    CONSTRAINT alarms_active_is_open CHECK (NOT active OR closed_at IS NULL),
    CONSTRAINT alarms_stale_is_active CHECK (active OR NOT stale),
    CONSTRAINT alarms_latched_is_unseen CHECK (active OR closed_at IS NOT NULL OR (priority = 'high' AND seen_at IS NULL)),
    CONSTRAINT alarms_closed_by_when_closed CHECK (closed_by IS NULL OR closed_at IS NOT NULL),
    CONSTRAINT alarms_acknowledged_by_someone CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL)),
    CONSTRAINT alarms_acknowledged_is_seen CHECK (acknowledged_at IS NULL OR seen_at IS NOT NULL),
    CONSTRAINT alarms_until_when_acknowledged CHECK (acknowledged_until IS NULL OR acknowledged_at IS NOT NULL),
    CONSTRAINT alarms_snoozed_by_someone CHECK ((snoozed_until IS NULL) = (snoozed_by IS NULL))
) WITH (fillfactor = 70);

CREATE UNIQUE INDEX idx_alarms_open ON alarms (subject, condition) WHERE closed_at IS NULL;
CREATE INDEX idx_alarms_subject ON alarms (subject, condition, cleared_at); -- finds what to reopen, and a person's alarms
CREATE INDEX idx_alarms_raised ON alarms (raised_at, alarm_id);             -- pages of all alarms

CREATE TABLE alarm_events (
    event_id        uuid        PRIMARY KEY, -- derived from what caused it, so that the same transition is stored once
    alarm_id        uuid        NOT NULL,
    version         bigint      NOT NULL,    -- of the alarm after the event: 1, 2, 3 without a gap
    kind            text        COLLATE "C" NOT NULL,
    at              timestamptz NOT NULL,    -- by the reading's own time, or when the operator acted
    recorded_at     timestamptz NOT NULL DEFAULT now(),
    actor           text,                    -- null for the detector and for time
    priority        alarm_priority,
    since           timestamptz,
    value           integer,
    peak            integer,
    "limit"         integer,
    detail          text        COLLATE "C" NOT NULL DEFAULT '',
    until           timestamptz,             -- of acknowledged and snoozed
    assignee        text,                    -- of assigned
    tier            smallint,                -- of escalated
    note            text        NOT NULL DEFAULT '',
    kafka_topic     text        COLLATE "C", -- of the reading, null for operators and time
    kafka_partition integer,
    kafka_offset    bigint,
    CONSTRAINT alarm_events_one_per_version UNIQUE (alarm_id, version),
    CONSTRAINT alarm_events_kind_known CHECK (kind IN (
        'raised', 'recurred', 'reopened', 'worsened', 'eased', 'cleared', 'stale', 'fresh',
        'acknowledgement_expired', 'snooze_ended', 'escalated',
        'acknowledged', 'snoozed', 'assigned', 'commented', 'closed')),
    CONSTRAINT alarm_events_operator_has_a_name CHECK (
        (kind IN ('acknowledged', 'snoozed', 'assigned', 'commented', 'closed')) = (actor IS NOT NULL))
);

CREATE INDEX idx_alarm_events_recorded ON alarm_events (recorded_at); -- alarms per hour, time to acknowledge

-- History is append-only for every role, the owner included. The one way out is drop_closed_alarms, which sets the setting
-- below for its own transaction. A mistake cannot pass it; an owner who means to can, as it could drop the table.
CREATE FUNCTION refuse_history_change() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('heartbeat.dropping_closed_alarms', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation', HINT = 'closed alarms leave through drop_closed_alarms';
END
$$;

CREATE TRIGGER alarm_events_append_only BEFORE UPDATE OR DELETE ON alarm_events
    FOR EACH ROW EXECUTE FUNCTION refuse_history_change();
CREATE TRIGGER alarm_events_no_truncate BEFORE TRUNCATE ON alarm_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_history_change();
CREATE TRIGGER alarms_no_delete BEFORE DELETE ON alarms
    FOR EACH ROW EXECUTE FUNCTION refuse_history_change();
CREATE TRIGGER alarms_no_truncate BEFORE TRUNCATE ON alarms
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_history_change();
-- Also where session_replication_role silences ordinary triggers.
ALTER TABLE alarm_events ENABLE ALWAYS TRIGGER alarm_events_append_only, ENABLE ALWAYS TRIGGER alarm_events_no_truncate;
ALTER TABLE alarms ENABLE ALWAYS TRIGGER alarms_no_delete, ENABLE ALWAYS TRIGGER alarms_no_truncate;

-- Drops alarms that were closed before a time, with their history, at most 10,000 at once, and returns how many. It runs with its owner's rights, so
-- that no role needs the right to delete.
CREATE FUNCTION drop_closed_alarms(closed_before timestamptz) RETURNS bigint LANGUAGE plpgsql
    SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    dropped bigint;
BEGIN
    IF closed_before > now() - interval '1 hour' THEN
        RAISE EXCEPTION 'drop_closed_alarms(%): alarms closed within the last hour stay', closed_before
            USING ERRCODE = 'invalid_parameter_value'; -- one of them may be reopened
    END IF;
    PERFORM set_config('heartbeat.dropping_closed_alarms', 'on', true);
    WITH gone AS (
        DELETE FROM alarms
         WHERE alarm_id IN (SELECT alarm_id FROM alarms WHERE closed_at < closed_before LIMIT 10000)
        RETURNING alarm_id),
    history AS (
        DELETE FROM alarm_events USING gone WHERE alarm_events.alarm_id = gone.alarm_id)
    SELECT count(*) INTO dropped FROM gone;
    PERFORM set_config('heartbeat.dropping_closed_alarms', '', true);
    RETURN dropped;
END
$$;
REVOKE ALL ON FUNCTION drop_closed_alarms(timestamptz) FROM PUBLIC;

-- Open alarms, worst first: priority, then unacknowledged, then age.
CREATE VIEW vw_open_alarms AS
SELECT alarm_id, subject, condition, priority, current_priority,
       CASE WHEN active THEN 'active' ELSE 'latched' END AS phase,
       stale, acknowledged, snoozed, raised_at, active_since, cleared_at, value, peak, "limit", detail,
       acknowledged_by, acknowledged_at, acknowledged_until, snoozed_by, snoozed_until, assigned_to, note,
       tier, recurrences, version
  FROM (SELECT *,
               acknowledged_at IS NOT NULL AND (acknowledged_until IS NULL OR acknowledged_until > now()) AS acknowledged,
               snoozed_until IS NOT NULL AND snoozed_until > now() AS snoozed
          FROM alarms
         WHERE closed_at IS NULL) AS open
 ORDER BY priority DESC, acknowledged, raised_at;

CREATE VIEW vw_alarm_history AS
SELECT event.alarm_id, event.version, alarm.subject, alarm.condition, event.kind, event.at, event.recorded_at, event.actor,
       event.priority, event.value, event.peak, event."limit", event.detail, event.until, event.assignee, event.tier, event.note,
       event.kafka_topic, event.kafka_partition, event.kafka_offset
  FROM alarm_events AS event
  JOIN alarms AS alarm ON alarm.alarm_id = event.alarm_id
 ORDER BY event.recorded_at DESC, event.alarm_id, event.version DESC;
