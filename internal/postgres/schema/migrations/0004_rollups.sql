-- What dashboards read instead of raw rows. Both are moved by the transaction that stores the readings.

-- Counts of one minute of event time. One row per Kafka partition, so that writers never wait for each other.
CREATE TABLE fleet_minute (
    minute            timestamptz NOT NULL,
    kafka_topic       text        COLLATE "C" NOT NULL,
    kafka_partition   integer     NOT NULL,
    valid_count       bigint      NOT NULL,
    bpm_sum           bigint      NOT NULL, -- of valid readings, as are min and max
    bpm_min           integer,              -- null while there is none
    bpm_max           integer,
    bradycardia_count bigint      NOT NULL,
    tachycardia_count bigint      NOT NULL,
    invalid_count     bigint      NOT NULL,
    PRIMARY KEY (minute, kafka_topic, kafka_partition)
) WITH (fillfactor = 30); -- every batch updates the last minutes: room on the page keeps that off the index

-- The latest reading of each customer by its own time.
CREATE TABLE customer_state (
    customer_id     text        COLLATE "C" NOT NULL PRIMARY KEY,
    event_timestamp timestamptz NOT NULL,
    last_seen_at    timestamptz NOT NULL DEFAULT now(),
    kafka_offset    bigint      NOT NULL,
    kafka_partition integer     NOT NULL,
    heart_rate      integer     NOT NULL,
    class           text        COLLATE "C" NOT NULL,
    kafka_topic     text        COLLATE "C" NOT NULL,
    CONSTRAINT customer_state_class_known CHECK (class IN ('NORMAL', 'BRADYCARDIA', 'TACHYCARDIA', 'INVALID'))
) WITH (fillfactor = 50);
