-- Messages that are withdrawn, destinations that keep the state of alarms, and incidents of storms.
--
-- Why an event stays in the queue until its message is taken: a message that no receiver has taken is withdrawn when more is to be
-- told of its alarm, and the events of both become one message.
-- Why a receiver of states has a table of its own: it is told again what it was told, each minute, without any event.

ALTER TABLE notification_queue
    ADD COLUMN delivery_id    uuid,                                        -- the message that has the event; null while it waits
    ADD COLUMN failed_over    boolean NOT NULL DEFAULT false,              -- the next tier was told
    ADD COLUMN undelivered_to text    COLLATE "C" NOT NULL DEFAULT '';     -- of an event that was routed to another destination before

CREATE INDEX idx_notification_queue_delivery ON notification_queue (delivery_id) WHERE delivery_id IS NOT NULL;

ALTER TABLE notification_told
    ADD COLUMN incident uuid; -- the storm that it was told of in; null: by itself

ALTER TABLE notification_destinations
    ADD COLUMN incident      uuid,                                         -- of the latest storm
    ADD COLUMN planned_at    timestamptz,                                  -- in a storm: when what waits was looked at last
    ADD COLUMN posted_at     timestamptz,                                  -- when all states were posted last
    ADD COLUMN posting_until timestamptz,                                  -- lease of the process that posts
    ADD COLUMN posting_by    text        COLLATE "C",
    ADD COLUMN failures      integer     NOT NULL DEFAULT 0,               -- in a row
    ADD COLUMN next_post_at  timestamptz,
    ADD COLUMN code          integer,                                      -- of the last post
    ADD COLUMN error         text        NOT NULL DEFAULT '';

ALTER TABLE deliveries
    ADD COLUMN calls    boolean NOT NULL DEFAULT true,                     -- asks somebody to look, so it ends with the answer
    ADD COLUMN refused  integer NOT NULL DEFAULT 0,                        -- attempts that have certainly not been taken
    ADD COLUMN incident uuid,
    DROP CONSTRAINT deliveries_state_known,
    ADD CONSTRAINT deliveries_state_known CHECK (state IN ('pending', 'sent', 'dead', 'withdrawn')),
    ADD CONSTRAINT deliveries_refused_attempts CHECK (refused <= attempts);

-- Alarms of which a destination keeps the state.
CREATE TABLE notification_states (
    destination text        COLLATE "C" NOT NULL,
    alarm_id    uuid        NOT NULL,
    cohort      text        NOT NULL,                   -- as it was when the alarm was routed: it identifies the alarm there
    routed_at   timestamptz NOT NULL,
    version     bigint      NOT NULL,                   -- of the latest event
    posted      bigint,                                 -- the version that the destination has
    ended_at    timestamptz,                            -- when a post first found the alarm closed
    failed_over boolean     NOT NULL DEFAULT false,     -- the next tier was told
    PRIMARY KEY (destination, alarm_id)
);

CREATE INDEX idx_notification_states_alarm ON notification_states (alarm_id);
CREATE INDEX idx_notification_states_due ON notification_states (destination) WHERE posted IS NULL OR posted < version;
