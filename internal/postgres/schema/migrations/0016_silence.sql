-- Silence: customers who are silent, and what each partition reports of it.
--
-- Why a table of silent customers beside their alarms: while an outage holds personal alarms back, the screen must still show
-- who is silent, and a consumer that takes a partition over must know whose alarm is due afterwards.
-- Why the reports are columns of ingest_progress: the fence there refuses those of a consumer that has lost its partition.

CREATE TABLE silences (
    customer_id     text        COLLATE "C" NOT NULL PRIMARY KEY,
    since           timestamptz NOT NULL, -- arrival of the latest reading
    kafka_topic     text        COLLATE "C" NOT NULL, -- of the latest reading
    kafka_partition integer     NOT NULL,
    kafka_offset    bigint      NOT NULL,
    found_at        timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE ingest_progress
    ADD COLUMN customers_heard   integer     NOT NULL DEFAULT 0,     -- within 15 min
    ADD COLUMN customers_watched integer     NOT NULL DEFAULT 0,     -- those of them whose silence is noticed
    ADD COLUMN customers_turned  integer     NOT NULL DEFAULT 0,     -- turned silent within a minute
    ADD COLUMN customers_silent  integer     NOT NULL DEFAULT 0,     -- turned silent within 15 min and not heard since
    ADD COLUMN behind            boolean     NOT NULL DEFAULT false, -- over 30 s
    ADD COLUMN reported_at       timestamptz;

-- Whoever takes a partition over watches its customers, those too of whom no reading comes.
CREATE INDEX idx_detector_states_partition ON detector_states (kafka_topic, kafka_partition, customer_id);
