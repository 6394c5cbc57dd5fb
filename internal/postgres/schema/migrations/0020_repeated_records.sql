-- A record that carries the id of an earlier one of its partition is the same reading, sent again: it is not stored.

-- The ids that records are compared with. A batch adds a row if records with ids came; the next owner of the partition reads them.
CREATE TABLE repeat_windows (
    kafka_topic     text    COLLATE "C" NOT NULL,
    kafka_partition integer             NOT NULL,
    last_offset     bigint              NOT NULL, -- of the batch
    id_count        integer             NOT NULL CHECK (id_count > 0),
    held            integer             NOT NULL, -- ids in the window since this batch: the last ones, of this row and of those before
    ids             bytea               NOT NULL CHECK (octet_length(ids) = 24 * id_count), -- each 16 bytes, and Unix milliseconds in 8
    PRIMARY KEY (kafka_topic, kafka_partition, last_offset)
);
ALTER TABLE repeat_windows ALTER COLUMN ids SET STORAGE EXTERNAL; -- hashes do not compress

-- The records that were dropped. They count as skipped in ingest_progress.
CREATE TABLE repeated_records (
    kafka_topic     text    COLLATE "C" NOT NULL,
    kafka_partition integer             NOT NULL,
    kafka_offset    bigint              NOT NULL,
    recorded_at     timestamptz         NOT NULL DEFAULT now(),
    PRIMARY KEY (kafka_topic, kafka_partition, kafka_offset)
);
