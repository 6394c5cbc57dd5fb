-- Where the detector stands with each customer: its state as of an offset, written beside batches a few at a time. Whoever
-- takes a partition over restores these and steps the log from the lowest of their offsets.
--
-- A table of its own and not columns of customer_state: the two are written at different times under different conditions, and a
-- state replaces the whole row. The customer is the key, so a state is found also after the number of partitions changed.

CREATE TABLE detector_states (
    customer_id     text        COLLATE "C" NOT NULL PRIMARY KEY,
    kafka_topic     text        COLLATE "C" NOT NULL,
    kafka_offset    bigint      NOT NULL, -- the first offset that the state does not contain
    kafka_partition integer     NOT NULL,
    stored_at       timestamptz NOT NULL DEFAULT now(),
    state           bytea       NOT NULL
) WITH (fillfactor = 50);
