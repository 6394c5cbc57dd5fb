-- The views that people's dashboards and scripts rely on.

CREATE VIEW vw_customer_bpm_summary AS
SELECT customer_id,
       date_trunc('minute', event_timestamp) AS minute_bucket,
       round(avg(heart_rate), 1)             AS avg_bpm,
       min(heart_rate)                       AS min_bpm,
       max(heart_rate)                       AS max_bpm,
       count(*)                              AS reading_count
  FROM heartbeat_records
 WHERE event_timestamp >= now() - interval '60 minutes'
 GROUP BY customer_id, date_trunc('minute', event_timestamp);

CREATE VIEW vw_recent_anomalies AS
SELECT customer_id, heart_rate, anomaly_type, event_timestamp, ingestion_timestamp
  FROM heartbeat_anomalies
 WHERE event_timestamp >= now() - interval '30 minutes'
 ORDER BY event_timestamp DESC;

-- Exact, from the counters that commit with the rows: counting hundreds of millions of rows would take minutes.
CREATE VIEW vw_pipeline_summary AS
SELECT counted.metric,
       (counted.total - coalesce((SELECT sum(row_count) FROM retired_rows WHERE table_name = counted.table_name), 0))::bigint AS total
  FROM (SELECT 'valid_records' AS metric, 'heartbeat_records' AS table_name, coalesce(sum(stored), 0) AS total FROM ingest_progress
        UNION ALL
        SELECT 'anomaly_records', 'heartbeat_anomalies', coalesce(sum(anomalies), 0) FROM ingest_progress) AS counted;
