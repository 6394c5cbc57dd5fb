// Alarms for tests, written as the consumer writes them: a row and the first event of its history.
import { spawnSync } from "node:child_process";

/** Runs statements in the system's database and returns the rows as lines. */
export function sql(system, text) {
  const result = spawnSync("psql", ["-h", "127.0.0.1", "-p", String(system.postgres), "-U", "heartbeat_user", "-d", "heartbeat_db", "-v", "ON_ERROR_STOP=1", "-qAt"],
    { input: text, env: { ...process.env, PGPASSWORD: "heartbeat_pass" }, encoding: "utf8" });
  if (result.status !== 0) throw new Error(`psql: ${result.error ?? result.stderr}`);
  return result.stdout.trim();
}

/** Raises an alarm for each customer of a range. Those that ended are latched. */
export function raise(system, { from, to = from, condition = "rate_high", priority = "high", value = 192, limit = 180, ago = "3 minutes", ended = false }) {
  sql(system, `
WITH fresh AS (
  INSERT INTO alarms (alarm_id, version, subject, condition, priority, current_priority, active, raised_at, active_since, onset_at, cleared_at,
                      value, peak, "limit", kafka_topic, kafka_partition, kafka_offset, episode_first_offset, episode_last_offset)
  SELECT gen_random_uuid(), 1, 'CUST_' || lpad(n::text, 5, '0'), '${condition}', '${priority}', '${priority}', ${!ended},
         at, at, at - interval '15 seconds', ${ended ? "at + interval '40 seconds'" : "NULL"}, ${value}, ${value}, ${limit},
         'heartbeat-events', 0, n, n, ${ended ? "n" : "NULL"}
    FROM generate_series(${from}, ${to}) AS n, LATERAL (SELECT now() - interval '${ago}' - n * interval '1 second' / 100 AS at) AS t
  RETURNING *)
INSERT INTO alarm_events (event_id, alarm_id, version, kind, at, priority, since, value, peak, "limit", kafka_topic, kafka_partition, kafka_offset)
SELECT gen_random_uuid(), alarm_id, 1, 'raised', raised_at, priority, onset_at, value, peak, "limit", kafka_topic, kafka_partition, kafka_offset
  FROM fresh`);
}

/** Closes what is open, as the end of the conditions does. */
export function closeAll(system) {
  sql(system, `UPDATE alarms SET active = false, stale = false, cleared_at = coalesce(cleared_at, now()), closed_at = now(), episode_last_offset = coalesce(episode_last_offset, kafka_offset), version = version + 1 WHERE closed_at IS NULL`);
}
