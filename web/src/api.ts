/** The answers of the API, see internal/web/openapi.json. Times are RFC 3339. */
export interface Totals {
  readonly valid_records: number;
  readonly anomaly_records: number;
  readonly anomalies_last_5_min: number;
  readonly active_customers_last_60_min: number;
  readonly dead_letters: number;
  readonly dead_letters_pending: number;
  readonly data_incidents: number;
  readonly database_bytes: number;
}

export interface Partition {
  readonly log: string;
  readonly topic: string;
  readonly partition: number;
  readonly first_offset: number;
  readonly next_offset: number;
  readonly stored: number;
  readonly anomalies: number;
  readonly dead_lettered: number;
  readonly skipped: number;
  readonly lost: number;
  readonly unaccounted: number;
  readonly owner: string;
  readonly updated_at: string | null; // null where no consumer ever claimed the partition
  readonly current: boolean;
  readonly end_offset: number | null;
  readonly lag: number | null;
  readonly rate: number | null;
  readonly stalled_since: string | null;
  readonly reason: string;
}

export type Level = "ok" | "warn" | "down";

export interface Component {
  readonly name: string;
  readonly level: Level;
  readonly detail: string;
  readonly action: string;
  readonly since: string;
}

export interface PipelineStatus {
  readonly at: string;
  readonly totals: Totals | null;
  readonly stored_per_second: number | null;
  readonly lag: number | null;
  readonly unaccounted: number;
  readonly partitions: readonly Partition[];
  readonly health: readonly Component[];
}

export interface Bucket {
  readonly at: string;
  readonly valid: number;
  readonly bradycardia: number;
  readonly tachycardia: number;
  readonly invalid: number;
  readonly avg_bpm: number | null;
  readonly min_bpm: number | null;
  readonly max_bpm: number | null;
  readonly latency_p50_ms: number | null;
  readonly latency_p95_ms: number | null;
}

export interface Second extends Omit<Bucket, "latency_p50_ms" | "latency_p95_ms"> {
  readonly delay_ms: number;
  readonly slowest_ms: number;
}

export interface Trend {
  readonly range: Range;
  readonly step_seconds: number;
  readonly from: string;
  readonly to: string;
  readonly buckets: readonly Bucket[];
  readonly seconds: readonly Second[];
  readonly lag: readonly { readonly at: string; readonly lag: number }[];
}

export type Range = "15m" | "1h" | "24h" | "7d";
export const RANGES: readonly { readonly name: Range; readonly label: string; readonly seconds: number }[] = [
  { name: "15m", label: "15 min", seconds: 900 },
  { name: "1h", label: "1 h", seconds: 3600 },
  { name: "24h", label: "24 h", seconds: 86_400 },
  { name: "7d", label: "7 d", seconds: 604_800 },
];

export interface Anomaly {
  readonly anomaly_id: number;
  readonly customer_id: string;
  readonly heart_rate: number;
  readonly anomaly_type: string;
  readonly event_timestamp: string;
  readonly ingestion_timestamp: string;
}

export interface AlertPage {
  readonly alerts: readonly Anomaly[];
  readonly next: string | null;
}

/** What a customer's latest device says of itself; null: nothing. */
export interface Device {
  readonly device_id: string | null;
  readonly battery: number | null;
  readonly contact: boolean | null;
  readonly steps: number | null;
}

export interface Customer {
  readonly customer_id: string;
  readonly live: { readonly heart_rate: number; readonly state: string; readonly event_timestamp: string; readonly since: string } | null;
  readonly stored: { readonly heart_rate: number; readonly class: string; readonly event_timestamp: string; readonly last_seen_at: string } & Device | null;
}

export interface Readings {
  readonly from: string;
  readonly to: string;
  readonly truncated: boolean;
  readonly readings: readonly { readonly event_timestamp: string; readonly heart_rate: number; readonly class: string }[];
}

export interface Minutes {
  readonly from: string;
  readonly to: string;
  readonly step_seconds: number;
  readonly minutes: readonly {
    readonly at: string;
    readonly avg_bpm: number | null;
    readonly min_bpm: number | null;
    readonly max_bpm: number | null;
    readonly reading_count: number;
    readonly anomaly_count: number;
  }[];
}

export interface DeadLetter {
  readonly dead_letter_id: number;
  readonly kafka_topic: string;
  readonly kafka_partition: number;
  readonly kafka_offset: number;
  readonly kafka_timestamp: string | null;
  readonly reason: string;
  readonly detail: string;
  readonly customer_id: string | null;
  readonly raw_length: number;
  readonly recorded_at: string;
  readonly replayed_at: string | null;
}

export interface RawDeadLetter extends DeadLetter {
  readonly raw_key: string;
  readonly raw_value: string;
  readonly raw_sha256: string;
}

export interface DeadLetterPage {
  readonly reasons: readonly { readonly reason: string; readonly total: number; readonly pending: number }[];
  readonly dead_letters: readonly DeadLetter[];
  readonly next: number | null;
}

export interface Delivery {
  readonly delivery_id: string;
  readonly destination: string;
  readonly type: string;
  readonly priority: string;
  readonly alarms: number;
  readonly state: "pending" | "sent" | "dead" | "withdrawn";
  readonly attempts: number;
  readonly code: number | null;
  readonly error: string;
  readonly created_at: string;
  readonly next_attempt_at: string | null;
  readonly ended_at: string | null;
}

export interface Destination {
  readonly name: string;
  readonly queued: number;
  readonly pending: number;
  readonly dead: number;
  readonly oldest: string | null;
  readonly storm: boolean;
  readonly disabled_since: string | null;
  readonly error: string;
}

export interface DeliveryPage {
  readonly destinations: readonly Destination[];
  readonly deliveries: readonly Delivery[];
  readonly unrouted_events: number;
}

export interface Table {
  readonly table: string;
  readonly partition: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly rows_estimate: number;
  readonly bytes: number;
}

export interface Incident {
  readonly incident_id: number;
  readonly kind: string;
  readonly log: string;
  readonly partition: number;
  readonly from_offset: number;
  readonly to_offset: number;
  readonly detail: string;
  readonly recorded_at: string;
}

export interface Session {
  readonly sign_in_needed: boolean;
  readonly password: boolean; // there are users, who sign in with name and password
  readonly token: boolean;
  readonly signed_in: boolean;
  readonly version: string;
}

/** An error that the server reports. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, detail: string) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

const TIMEOUT = 20_000;

async function request<T>(method: string, path: string, signal: AbortSignal | undefined, body?: unknown): Promise<T> {
  const limit = AbortSignal.timeout(TIMEOUT);
  let response: Response;
  try {
    response = await fetch("api/v1/" + path, {
      method,
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      ...(body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, "unreachable", "The console's server cannot be reached. The page tries again by itself.");
  }
  if (response.ok) return (await response.json()) as T;
  const problem = (await response.json().catch(() => ({}))) as { code?: string; detail?: string };
  throw new Problem(response.status, problem.code ?? "unknown", problem.detail ?? `The server answered ${response.status}.`);
}

export function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return request<T>("GET", path, signal);
}

export function post<T>(path: string, body?: unknown): Promise<T> {
  return request<T>("POST", path, undefined, body ?? {});
}

export function remove<T>(path: string): Promise<T> {
  return request<T>("DELETE", path, undefined);
}

export type Role = "viewer" | "operator" | "admin";

/** Who looks at the console. */
export interface Me {
  readonly name: string;
  readonly role: Role;
}
