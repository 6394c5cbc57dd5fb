-- Privileges of each role. The owner of the database applies this after each migration; it grants what is listed here and revokes
-- everything else.
--
--   heartbeat_owner      owns the schema; only migrate acts as it
--   heartbeat_ingest     stores readings: consume, deadletter, import
--   heartbeat_dashboard  reads what the console shows and signs people in: serve, verify, export
--   heartbeat_operator   does that, acts on alarms and sets limits: serve
--   heartbeat_notify     escalates alarms and delivers messages: notify
--   heartbeat_gateway    reads who may send readings over HTTP, and whose: ingest
--   heartbeat_grafana    reads what dashboards show, and no message as it came from a device
--
-- The tables that are partitioned by time belong to heartbeat_ingest: partitions come and go while it stores, and only the
-- owner of a table may add or drop one. Roles belong to the server, not to a database: a server that holds several
-- Heartbeat databases or schemas shares them.

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['heartbeat_owner', 'heartbeat_ingest', 'heartbeat_dashboard', 'heartbeat_operator', 'heartbeat_notify',
                                   'heartbeat_gateway', 'heartbeat_grafana'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        END IF;
        -- Changing an object's owner requires membership in the new owner.
        IF NOT pg_has_role(current_user, role, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO CURRENT_USER', role);
        END IF;
        EXECUTE format('REVOKE ALL ON FUNCTION drop_closed_alarms(timestamptz) FROM %I', role);
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), role);
    END LOOP;
    -- A database that other applications share keeps its public rights: they are not ours to revoke.
    IF NOT EXISTS (SELECT FROM pg_class AS class
                    WHERE class.relkind IN ('r', 'p', 'v', 'm', 'f')
                      AND class.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
                      AND class.relnamespace::regnamespace::text !~ '^pg_(toast|temp)'
                      AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = class.oid AND deptype = 'e')
                      AND (class.relnamespace <> current_schema()::regnamespace
                           OR (SELECT relname FROM pg_class AS root WHERE root.oid = coalesce(pg_partition_root(class.oid), class.oid))
                              <> ALL (string_to_array(current_setting('heartbeat.objects'), ',')))) THEN
        EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
        EXECUTE format('REVOKE ALL ON SCHEMA %I FROM PUBLIC', current_schema());
    END IF;
    EXECUTE format('GRANT CREATE ON SCHEMA %I TO heartbeat_owner, heartbeat_ingest', current_schema());
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO heartbeat_ingest', current_database());
END
$$;

GRANT heartbeat_ingest TO heartbeat_owner; -- for the views, which read with their owner's rights

DO $$
DECLARE
    object record;
BEGIN
    FOR object IN
        SELECT class.oid::regclass AS name, class.relkind, class.relowner,
               CASE WHEN coalesce(pg_partition_root(class.oid), class.oid)
                         IN ('heartbeat_records'::regclass, 'heartbeat_anomalies'::regclass, 'pipeline_metrics'::regclass)
                    THEN 'heartbeat_ingest'
                    ELSE 'heartbeat_owner'
               END AS owner
          FROM pg_class AS class
         WHERE class.relnamespace = current_schema()::regnamespace
           AND class.relkind IN ('r', 'p', 'v')
           AND (SELECT relname FROM pg_class AS root WHERE root.oid = coalesce(pg_partition_root(class.oid), class.oid))
               = ANY (string_to_array(current_setting('heartbeat.objects'), ',')) -- others are not ours
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM heartbeat_owner, heartbeat_ingest, heartbeat_dashboard, heartbeat_operator, heartbeat_notify, heartbeat_gateway, heartbeat_grafana', object.name);
        IF object.relowner <> object.owner::regrole THEN
            EXECUTE format('ALTER %s %s OWNER TO %I', CASE object.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, object.name, object.owner);
        END IF;
        -- The owner needs all rights, which the REVOKE above removed.
        EXECUTE format('GRANT ALL ON %s TO %I', object.name, object.owner);
        -- Nothing that is read for a person needs the sessions, who read whose data, or the hashes of tokens.
        IF object.name NOT IN ('console_users'::regclass, 'console_sessions'::regclass, 'audited_reads'::regclass, 'devices'::regclass) THEN
            EXECUTE format('GRANT SELECT ON %s TO heartbeat_dashboard, heartbeat_operator', object.name);
        END IF;
    END LOOP;
END
$$;

GRANT SELECT, INSERT, UPDATE ON ingest_progress, customer_state, retired_rows TO heartbeat_ingest;
GRANT SELECT, INSERT, UPDATE, DELETE ON fleet_minute TO heartbeat_ingest; -- minutes go with the readings they count
GRANT SELECT, INSERT, UPDATE, DELETE ON silences TO heartbeat_ingest;
GRANT SELECT, INSERT, DELETE ON repeat_windows, repeated_records TO heartbeat_ingest;
GRANT SELECT, INSERT ON dead_letters, data_incidents TO heartbeat_ingest;
GRANT UPDATE (replayed_at) ON dead_letters TO heartbeat_ingest;
GRANT SELECT ON schema_migrations, vw_customer_bpm_summary, vw_recent_anomalies, vw_pipeline_summary TO heartbeat_ingest;

-- Alarms: history only grows, and drop_closed_alarms is the only way out. It runs with the rights of heartbeat_owner.
ALTER FUNCTION drop_closed_alarms(timestamptz) OWNER TO heartbeat_owner;
GRANT SELECT, INSERT, UPDATE ON alarms, detector_states TO heartbeat_ingest;
GRANT SELECT, INSERT ON alarm_events TO heartbeat_ingest;
GRANT SELECT ON detection_limits, cohort_members TO heartbeat_ingest;
GRANT EXECUTE ON FUNCTION drop_closed_alarms(timestamptz) TO heartbeat_ingest;

-- Operators: what a person or the passing of time may change, and no more.
GRANT UPDATE (version, closed_at, closed_by, acknowledged_by, acknowledged_at, acknowledged_until, seen_at, snoozed_by, snoozed_until,
              assigned_to, note, tier) ON alarms TO heartbeat_operator;
GRANT INSERT (event_id, alarm_id, version, kind, at, actor, until, assignee, tier, note) ON alarm_events TO heartbeat_operator;
GRANT INSERT (scope, cohort, customer_id, low, high, hours_from, hours_to, hours_offset, author, reason, effective_from, ends_at)
   ON detection_limits TO heartbeat_operator;
GRANT UPDATE (ends_at, ended_by, ended_at, end_reason) ON detection_limits TO heartbeat_operator;
GRANT INSERT (customer_id, effective_from, cohort, author) ON cohort_members TO heartbeat_operator;

GRANT UPDATE (state, calls, ended_at, attempts, refused, next_attempt_at, created_at, leased_until, leased_by) ON deliveries TO heartbeat_operator;
GRANT UPDATE (disabled_at, disabled_reason) ON notification_destinations TO heartbeat_operator;

-- Notifiers: what the passing of time may change, and messages. They need no note, and no reading.
GRANT SELECT (alarm_id, version, subject, condition, priority, active, active_since, cleared_at, closed_at, value, peak, "limit",
              acknowledged_at, acknowledged_by, acknowledged_until, snoozed_by, snoozed_until, tier) ON alarms TO heartbeat_notify;
GRANT UPDATE (version, acknowledged_by, acknowledged_at, acknowledged_until, snoozed_by, snoozed_until, tier) ON alarms TO heartbeat_notify;
GRANT SELECT (event_id, alarm_id, version, kind, at, recorded_at, tier, kafka_topic, routed_at), INSERT (event_id, alarm_id, version, kind, at, tier),
      UPDATE (routed_at) ON alarm_events TO heartbeat_notify;
GRANT SELECT ON cohort_members, schema_migrations TO heartbeat_notify;
GRANT SELECT, INSERT, UPDATE ON notification_destinations TO heartbeat_notify;
GRANT SELECT, INSERT, UPDATE, DELETE ON notification_queue, notification_states TO heartbeat_notify;
GRANT SELECT, INSERT, DELETE ON notification_told TO heartbeat_notify;
GRANT SELECT, INSERT, UPDATE, DELETE ON deliveries TO heartbeat_notify;

-- Gateways: the tokens and the cohorts. Devices change through the device command alone, which acts as the owner.
GRANT SELECT ON devices, cohort_members TO heartbeat_gateway;

-- Signing in. Users, their roles and passwords change through the user command alone, which acts as the owner.
GRANT SELECT ON console_users TO heartbeat_dashboard, heartbeat_operator;
GRANT UPDATE (last_sign_in_at) ON console_users TO heartbeat_dashboard, heartbeat_operator;
GRANT SELECT, INSERT (session_hash, user_name, expires_at), UPDATE (last_seen_at), DELETE ON console_sessions
   TO heartbeat_dashboard, heartbeat_operator;
GRANT INSERT (actor, method, subject, route) ON audited_reads TO heartbeat_dashboard, heartbeat_operator;

GRANT SELECT (alarm_id, version, subject, condition, priority, current_priority, active, stale, raised_at, active_since, onset_at, cleared_at,
              closed_at, closed_by, recurrences, value, peak, "limit", detail, acknowledged_by, acknowledged_at, acknowledged_until, seen_at,
              snoozed_by, snoozed_until, assigned_to, tier) ON alarms TO heartbeat_grafana;
GRANT SELECT (event_id, alarm_id, version, kind, at, recorded_at, actor, priority, since, value, peak, "limit", detail, until, assignee, tier)
   ON alarm_events TO heartbeat_grafana; -- not the notes
GRANT SELECT (delivery_id, destination, type, priority, raises, calls, created_at, state, attempts, refused, ended_at, code, error)
   ON deliveries TO heartbeat_grafana; -- not the bytes
GRANT SELECT ON heartbeat_records, pipeline_metrics, fleet_minute, customer_state, ingest_progress, data_incidents, silences,
                vw_customer_bpm_summary, vw_recent_anomalies, vw_pipeline_summary TO heartbeat_grafana;
GRANT SELECT (anomaly_id, event_timestamp, ingestion_timestamp, kafka_offset, kafka_partition, heart_rate, customer_id,
              kafka_topic, anomaly_type) ON heartbeat_anomalies TO heartbeat_grafana;
GRANT SELECT (dead_letter_id, kafka_topic, kafka_partition, kafka_offset, kafka_timestamp, reason, recorded_at, replayed_at)
   ON dead_letters TO heartbeat_grafana;

-- A second safeguard against writes, and a limit for expensive queries.
ALTER ROLE heartbeat_dashboard SET default_transaction_read_only = on;
ALTER ROLE heartbeat_gateway SET default_transaction_read_only = on;
ALTER ROLE heartbeat_grafana SET default_transaction_read_only = on;
ALTER ROLE heartbeat_grafana SET statement_timeout = '10s';
