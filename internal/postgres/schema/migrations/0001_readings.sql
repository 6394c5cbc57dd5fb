-- Readings and anomalies, one row for each valid event, partitioned by the hour of the event.
--
-- Why partitions: the customer index must fit in memory for the write rate to last, and old data must go by DROP.
-- Why no primary key: it would be a second index on every row. The progress row that each batch moves in the same
-- transaction makes (kafka_topic, kafka_partition, kafka_offset) unique, see 0002.
-- Why this order of columns: fixed widths first, widest first, so that no row carries padding in its middle. A record
-- of a five-digit customer is 88 bytes; with a 32-bit kafka_partition it would be 96, so a log's partition numbers end
-- at 32767, far beyond what Kafka runs.
--
-- Each table has a history partition below the hourly ones, which the maintenance adds ahead of time, and a default
-- partition, so that a row always has somewhere to go: without one, a stray clock would look like bad data.

CREATE TABLE heartbeat_records (
    record_id           bigint      GENERATED ALWAYS AS IDENTITY (CACHE 1000),
    event_timestamp     timestamptz NOT NULL,
    ingestion_timestamp timestamptz NOT NULL DEFAULT now(),
    kafka_offset        bigint      NOT NULL,
    kafka_partition     smallint    NOT NULL,
    heart_rate          smallint    NOT NULL,
    customer_id         text        COLLATE "C" NOT NULL,
    kafka_topic         text        COLLATE "C" NOT NULL,
    CONSTRAINT heartbeat_records_heart_rate_normal CHECK (heart_rate BETWEEN 40 AND 180),
    -- Exactly '^CUST_([0-9]{5}|[1-9][0-9]{5,8})$': CUST_ is left when the digits are cut off, and beyond five digits
    -- the first is not zero. The regular expression costs 0.75 microseconds a row, this 0.15.
    CONSTRAINT heartbeat_records_customer_id_wellformed CHECK (
        rtrim(convert_to(customer_id, 'UTF8'), '0123456789'::bytea) = 'CUST_'::bytea
        AND octet_length(customer_id) BETWEEN 10 AND 14
        AND (octet_length(customer_id) = 10 OR customer_id >= 'CUST_1'))
) PARTITION BY RANGE (event_timestamp);

-- Rows arrive nearly in the order of time: a summary of each block range finds a time span at no cost to the writer.
CREATE INDEX idx_heartbeat_event_ts ON heartbeat_records USING brin (event_timestamp);
CREATE INDEX idx_heartbeat_customer_ts ON heartbeat_records (customer_id, event_timestamp DESC);

CREATE TABLE heartbeat_anomalies (
    anomaly_id          bigint      GENERATED ALWAYS AS IDENTITY (CACHE 1000),
    event_timestamp     timestamptz NOT NULL,
    ingestion_timestamp timestamptz NOT NULL DEFAULT now(),
    kafka_offset        bigint      NOT NULL,
    kafka_partition     integer     NOT NULL,
    heart_rate          integer     NOT NULL,
    customer_id         text        COLLATE "C" NOT NULL,
    kafka_topic         text        COLLATE "C" NOT NULL,
    anomaly_type        text        COLLATE "C" NOT NULL,
    raw_message         text        NOT NULL,
    CONSTRAINT heartbeat_anomalies_type_known CHECK (anomaly_type IN ('BRADYCARDIA', 'TACHYCARDIA', 'INVALID')),
    CONSTRAINT heartbeat_anomalies_customer_id_wellformed CHECK (
        rtrim(convert_to(customer_id, 'UTF8'), '0123456789'::bytea) = 'CUST_'::bytea
        AND octet_length(customer_id) BETWEEN 10 AND 14
        AND (octet_length(customer_id) = 10 OR customer_id >= 'CUST_1'))
) PARTITION BY RANGE (event_timestamp);

-- A btree here, for "newest first" with a limit must not sort; anomalies are few enough to pay for it.
CREATE INDEX idx_anomaly_event_ts ON heartbeat_anomalies (event_timestamp DESC);
CREATE INDEX idx_anomaly_customer_type ON heartbeat_anomalies (customer_id, anomaly_type, event_timestamp DESC);

DO $$
DECLARE
    first_hour constant timestamptz := date_trunc('hour', now(), 'UTC') - interval '24 hours';
    parent text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['heartbeat_records', 'heartbeat_anomalies'] LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (MINVALUE) TO (%L)',
                       parent || '_history', parent, first_hour);
        EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', parent || '_future', parent);
    END LOOP;
END
$$;
