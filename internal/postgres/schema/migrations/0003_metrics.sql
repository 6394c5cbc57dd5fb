-- Alerts and statistics snapshots. An alert row names the anomaly that raised it, so that "an alert if and only if
-- its reading is stored" can be proved row by row; a snapshot names none. Partitioned by day, for retention by DROP.

CREATE TABLE pipeline_metrics (
    metric_id       bigint           GENERATED ALWAYS AS IDENTITY (CACHE 1000),
    recorded_at     timestamptz      NOT NULL DEFAULT now(),
    metric_value    double precision NOT NULL,
    kafka_offset    bigint,
    event_timestamp timestamptz, -- of the anomaly: tells whether retention may have dropped it
    kafka_partition integer,
    metric_name     text             COLLATE "C" NOT NULL,
    metric_unit     text             COLLATE "C" NOT NULL,
    kafka_topic     text             COLLATE "C"
) PARTITION BY RANGE (recorded_at);

-- A few names, each growing at its end: the cheapest shape a btree has.
CREATE INDEX idx_pipeline_metrics_name_ts ON pipeline_metrics (metric_name, recorded_at);

DO $$
DECLARE
    first_day constant timestamptz := date_trunc('day', now(), 'UTC') - interval '24 hours';
BEGIN
    EXECUTE format('CREATE TABLE pipeline_metrics_history PARTITION OF pipeline_metrics FOR VALUES FROM (MINVALUE) TO (%L)',
                   first_day);
    CREATE TABLE pipeline_metrics_future PARTITION OF pipeline_metrics DEFAULT;
END
$$;
