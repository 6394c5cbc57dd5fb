-- Who has stored what: the database owns the offsets.
--
-- One row for each log (an unbroken sequence of offsets) and partition. A batch moves next_offset in the transaction
-- that stores its rows, under the condition that fence and next_offset are what its writer believes: that alone
-- keeps redelivery, zombies and unknown commits from storing anything twice.

CREATE TABLE ingest_progress (
    kafka_topic   text        COLLATE "C" NOT NULL, -- the log's label, as rows carry it: the topic's name, or name#2 and so on
    partition     integer     NOT NULL,
    topic_id      uuid        NOT NULL,
    topic_name    text        COLLATE "C" NOT NULL,
    incarnation   integer     NOT NULL,             -- the number in the label; the highest is the log in use
    first_offset  bigint      NOT NULL,
    next_offset   bigint      NOT NULL,
    leader_epoch  integer     NOT NULL DEFAULT -1,  -- of the record before next_offset, -1 when unknown
    fence         bigint      NOT NULL,             -- raised by each claim; only the last claimer may write
    state_from    bigint      NOT NULL,             -- first offset that customer_state does not cover yet
    stored        bigint      NOT NULL DEFAULT 0,   -- rows of heartbeat_records
    anomalies     bigint      NOT NULL DEFAULT 0,   -- rows of heartbeat_anomalies
    dead_lettered bigint      NOT NULL DEFAULT 0,   -- rows of dead_letters that were not replayed
    skipped       bigint      NOT NULL DEFAULT 0,   -- control records and records of aborted transactions
    lost          bigint      NOT NULL DEFAULT 0,   -- offsets that data_incidents accounts for
    owner         text        NOT NULL DEFAULT '',
    updated_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kafka_topic, partition),
    UNIQUE (topic_name, partition, incarnation),
    CONSTRAINT ingest_progress_every_offset_accounted_for CHECK (
        stored + anomalies + dead_lettered + skipped + lost = next_offset - first_offset)
) WITH (fillfactor = 20); -- updated by every batch: room on the page keeps the updates off the indexes

-- Rows that retention dropped, counted in the transaction that dropped them, so that the audit still adds up.
CREATE TABLE retired_rows (
    table_name      text        NOT NULL,
    kafka_topic     text        COLLATE "C" NOT NULL,
    kafka_partition integer     NOT NULL,
    row_count       bigint      NOT NULL,
    up_to           timestamptz NOT NULL, -- upper bound of the newest partition dropped
    PRIMARY KEY (table_name, kafka_topic, kafka_partition)
);

-- Losses that nobody could prevent.
CREATE TABLE data_incidents (
    incident_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text        NOT NULL,
    kafka_topic text        COLLATE "C" NOT NULL,
    partition   integer     NOT NULL,
    from_offset bigint      NOT NULL,
    to_offset   bigint      NOT NULL,
    detail      text        NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);

-- Records that are not readings, with their raw bytes and the reason.
CREATE TABLE dead_letters (
    dead_letter_id  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kafka_topic     text        COLLATE "C" NOT NULL,
    kafka_partition integer     NOT NULL,
    kafka_offset    bigint      NOT NULL,
    kafka_timestamp timestamptz,          -- null where the record's time is beyond what PostgreSQL can hold
    reason          text        COLLATE "C" NOT NULL,
    detail          text        NOT NULL,
    customer_id     text        COLLATE "C",
    raw_key         bytea,                -- first 64 KiB
    raw_value       bytea,                -- first 64 KiB, null where the record had none
    raw_length      bigint      NOT NULL, -- of the whole value
    raw_sha256      bytea       NOT NULL, -- of the whole value
    recorded_at     timestamptz NOT NULL DEFAULT now(),
    replayed_at     timestamptz
);

CREATE INDEX idx_dead_letters_reason ON dead_letters (reason, dead_letter_id DESC);
