/** Alarms and limits as the API and the stream have them, see internal/web/openapi.json. A field that is absent has no value. */
export type Condition = "rate_high" | "rate_low" | "bad_signal" | "silent" | "outage" | "lag";
export type Priority = "high" | "medium" | "low";

/** The part of an alarm that the stream carries. */
export interface Alarm {
  readonly alarm_id: string;
  readonly version: number;
  readonly subject: string;
  readonly condition: Condition;
  readonly priority: Priority; // the highest of the alarm
  readonly current_priority: Priority;
  readonly active: boolean;
  readonly stale?: boolean;
  readonly raised_at: string;
  readonly active_since: string;
  readonly onset_at: string;
  readonly cleared_at?: string;
  readonly closed_at?: string;
  readonly closed_by?: string;
  readonly recurrences?: number;
  readonly value?: number;
  readonly peak?: number;
  readonly limit?: number;
  readonly detail?: string;
  readonly acknowledged_by?: string;
  readonly acknowledged_at?: string;
  readonly acknowledged_until?: string;
  readonly snoozed_by?: string;
  readonly snoozed_until?: string;
  readonly assigned_to?: string;
  readonly note?: string;
  readonly tier?: number;
}

export type EventKind =
  | "raised" | "recurred" | "reopened" | "worsened" | "eased" | "cleared" | "stale" | "fresh"
  | "acknowledgement_expired" | "snooze_ended" | "escalated"
  | "acknowledged" | "snoozed" | "assigned" | "commented" | "closed";

export interface AlarmEvent {
  readonly event_id: string;
  readonly version: number;
  readonly kind: EventKind;
  readonly at: string;
  readonly recorded_at?: string;
  readonly actor?: string;
  readonly priority?: Priority;
  readonly value?: number;
  readonly peak?: number;
  readonly limit?: number;
  readonly until?: string;
  readonly assignee?: string;
  readonly tier?: number;
  readonly note?: string;
}

export interface AlarmWithHistory extends Alarm {
  readonly history: readonly AlarmEvent[];
}

export interface AlarmPage {
  readonly alarms: readonly Alarm[];
  readonly next: string | null;
}

/** An event of the stream. The first one of a connection resets the list. */
export interface AlarmChange {
  readonly sequence: number;
  readonly reset: boolean;
  readonly total: number; // open alarms, of which the list may hold fewer
  readonly open: readonly Alarm[];
  readonly closed: readonly string[];
}

/** Limits from a customer's own readings, with what they are derived from. Rates are medians of short stretches of time. */
export interface Suggestion {
  readonly low: number;
  readonly high: number;
  readonly hours?: string;
  readonly utc_offset?: number;
  readonly enough: boolean; // false: low and high are 0
  readonly evidence: { readonly days: number; readonly p0_1: number; readonly p1: number; readonly p50: number; readonly p99: number; readonly p99_9: number };
}

export interface Limit {
  readonly limit_id: number;
  readonly scope: "fleet" | "cohort" | "person";
  readonly cohort?: string;
  readonly customer_id?: string;
  readonly low?: number;
  readonly high?: number;
  readonly hours?: string;
  readonly utc_offset?: number;
  readonly author: string;
  readonly reason: string;
  readonly made_at: string;
  readonly effective_from: string;
  readonly ends_at?: string;
  readonly ended_by?: string;
  readonly end_reason?: string;
}

/** How often alarms are opened, by condition. */
export interface AlarmCounts {
  readonly rate_high: number;
  readonly rate_low: number;
  readonly bad_signal: number;
}

/** A dry run of limits over stored readings. */
export interface LimitTrial {
  readonly trial_id: number;
  readonly by: string;
  readonly limits: readonly Pick<Limit, "scope" | "cohort" | "customer_id" | "low" | "high" | "hours" | "utc_offset">[];
  readonly from: string;
  readonly to: string;
  readonly state: "running" | "done" | "failed" | "cancelled";
  readonly started_at: string;
  readonly read: number;
  readonly records: number;
  readonly error?: string;
  readonly changed: number; // customers, of whom the result names a thousand
  readonly result?: LimitTrialResult;
}

export interface LimitTrialResult {
  readonly from: string; // of the first reading
  readonly to: string;
  readonly days: number;
  readonly readings: number;
  readonly customers: number;
  readonly now: AlarmCounts;
  readonly proposed: AlarmCounts;
  readonly changed: readonly { readonly customer_id: string; readonly now: AlarmCounts; readonly proposed: AlarmCounts }[];
  readonly differences: number;
  readonly undecided: number;
  readonly cut: boolean; // Kafka no longer has all readings of the time
  readonly seconds: number;
}
