-- Delivery of alarms to people: what a notifier has routed, what waits to be grouped, and the messages with their attempts.
--
-- Why a mark on the history and not a cursor: transactions commit in another order than they began, so a cursor by time or number
-- would pass over events. Why a partial index: it holds only what is not routed yet, nearly nothing.
-- Why the bytes of a message are stored: a message that is sent again must be the same, or its receiver could not tell.

-- What was stored before this migration is history and calls no one.
ALTER TABLE alarm_events ADD COLUMN routed_at timestamptz DEFAULT now();
ALTER TABLE alarm_events ALTER COLUMN routed_at DROP DEFAULT;
CREATE INDEX idx_alarm_events_unrouted ON alarm_events (recorded_at) WHERE routed_at IS NULL;

-- As before, but an event may get its mark, once.
CREATE OR REPLACE FUNCTION refuse_history_change() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('heartbeat.dropping_closed_alarms', true) = 'on' THEN
        RETURN OLD;
    END IF;
    IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'alarm_events' THEN
        IF OLD.routed_at IS NULL AND NEW.routed_at IS NOT NULL THEN
            OLD.routed_at := NEW.routed_at;
            IF OLD IS NOT DISTINCT FROM NEW THEN
                RETURN NEW;
            END IF;
        END IF;
    END IF;
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation', HINT = 'closed alarms leave through drop_closed_alarms';
END
$$;

-- One row for each destination that was ever used. Names come from the notifier's file, so nothing refers to them.
CREATE TABLE notification_destinations (
    name            text        COLLATE "C" NOT NULL PRIMARY KEY,
    storm           boolean     NOT NULL DEFAULT false, -- digests only
    digest_at       timestamptz,                        -- when the last digest was made
    disabled_at     timestamptz,                        -- the receiver said that it is gone
    disabled_reason text        NOT NULL DEFAULT ''
);

-- Events that are routed and wait to be grouped into messages.
CREATE TABLE notification_queue (
    item_id     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    destination text        COLLATE "C" NOT NULL,
    event_id    uuid        NOT NULL,
    alarm_id    uuid        NOT NULL,
    version     bigint      NOT NULL,
    kind        text        COLLATE "C" NOT NULL,
    tier        smallint    NOT NULL,
    at          timestamptz NOT NULL,
    queued_at   timestamptz NOT NULL,
    CONSTRAINT notification_queue_once UNIQUE (destination, event_id)
);

CREATE INDEX idx_notification_queue_alarm ON notification_queue (alarm_id); -- the end of an alarm goes where its raise waits

-- Who was sent a message about an alarm, and so hears of its end. A table and not a search in deliveries: a digest has thousands of alarms.
CREATE TABLE notification_told (
    alarm_id    uuid NOT NULL,
    destination text COLLATE "C" NOT NULL,
    PRIMARY KEY (alarm_id, destination)
);

CREATE TABLE deliveries (
    delivery_id     uuid           PRIMARY KEY,
    sequence        bigint         GENERATED ALWAYS AS IDENTITY,
    destination     text           COLLATE "C" NOT NULL,
    type            text           COLLATE "C" NOT NULL,
    priority        alarm_priority NOT NULL,
    alarm_ids       uuid[]         NOT NULL,
    raises          integer        NOT NULL,   -- raises that the message tells of
    body            bytea          NOT NULL,
    created_at      timestamptz    NOT NULL,
    state           text           COLLATE "C" NOT NULL DEFAULT 'pending',
    attempts        integer        NOT NULL DEFAULT 0,
    next_attempt_at timestamptz    NOT NULL,
    leased_until    timestamptz,
    leased_by       text           COLLATE "C",
    ended_at        timestamptz,               -- sent or given up
    code            integer,                   -- of the last attempt, such as 503; null where no answer came
    error           text           NOT NULL DEFAULT '',
    CONSTRAINT deliveries_state_known CHECK (state IN ('pending', 'sent', 'dead')),
    CONSTRAINT deliveries_ended CHECK ((state = 'pending') = (ended_at IS NULL)),
    CONSTRAINT deliveries_leased_by_someone CHECK ((leased_until IS NULL) = (leased_by IS NULL))
);

CREATE INDEX idx_deliveries_pending ON deliveries (destination, sequence) WHERE state = 'pending'; -- in order per alarm
CREATE INDEX idx_deliveries_created ON deliveries (destination, created_at);                       -- throttle, storms and lists
