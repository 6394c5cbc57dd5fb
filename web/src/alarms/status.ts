import type { Alarm, Condition, EventKind, Priority } from "./api";
import type { Clock } from "../format";
import { brief } from "../format";
import { href } from "../router";

/** An open alarm with its times as Unix milliseconds, which a list compares again and again. */
export interface OpenAlarm extends Alarm {
  readonly raised: number;
  readonly acknowledgedUntil: number; // 0 without an acknowledgement, Infinity for one without an end
  readonly snoozedUntil: number;
}

export const CONDITIONS: Readonly<Record<Condition, string>> = {
  rate_high: "Rate high",
  rate_low: "Rate low",
  bad_signal: "Bad signal",
  silent: "Silent",
  outage: "Outage",
  lag: "Lag",
};

const UNITS: Readonly<Partial<Record<Condition, string>>> = { bad_signal: " %", outage: " %", lag: " s" };

/** The page of an alarm's subject: a customer's, or for the conditions of the fleet, whose subject is the topic, the pipeline's. */
export function subjectHref({ condition, subject }: Alarm): string {
  return condition === "outage" || condition === "lag" ? href("pipeline") : href("customer", subject);
}

/** From the most to the least urgent. */
export const PRIORITIES: readonly Priority[] = ["high", "medium", "low"];
export const PRIORITY_TEXT: Readonly<Record<Priority, string>> = { high: "HIGH", medium: "MEDIUM", low: "LOW" };

export type Status = "unacknowledged" | "acknowledged" | "snoozed" | "ended" | "closed";

export function openAlarm(alarm: Alarm): OpenAlarm {
  return {
    ...alarm,
    raised: Date.parse(alarm.raised_at),
    acknowledgedUntil: alarm.acknowledged_at ? (alarm.acknowledged_until ? Date.parse(alarm.acknowledged_until) : Infinity) : 0,
    snoozedUntil: alarm.snoozed_until ? Date.parse(alarm.snoozed_until) : 0,
  };
}

export function isAcknowledged(alarm: OpenAlarm, now: number): boolean {
  return alarm.acknowledgedUntil > now;
}

/** Ended is the state of an open alarm that is over and that no person has seen. */
export function statusOf(alarm: OpenAlarm, now: number): Status {
  if (alarm.closed_at) return "closed";
  if (!alarm.active) return "ended";
  if (isAcknowledged(alarm, now)) return "acknowledged";
  return alarm.snoozedUntil > now ? "snoozed" : "unacknowledged";
}

const RANK: Readonly<Record<Priority, number>> = { high: 0, medium: 1, low: 2 };

/** The order of lists: by priority, then unacknowledged, then age. */
export function worstFirst(now: number): (a: OpenAlarm, b: OpenAlarm) => number {
  return (a, b) =>
    RANK[a.priority] - RANK[b.priority] || Number(isAcknowledged(a, now)) - Number(isAcknowledged(b, now)) || a.raised - b.raised ||
    (a.alarm_id < b.alarm_id ? -1 : 1);
}

/** The state of an alarm in words. */
export function statusText(alarm: OpenAlarm, now: number, clock: Clock): string {
  switch (statusOf(alarm, now)) {
    case "closed":
      return `Closed ${clock.time(alarm.closed_at!)}${alarm.closed_by ? ` by ${alarm.closed_by}` : ""}`;
    case "ended":
      return `Ended ${brief(now - Date.parse(alarm.cleared_at ?? alarm.raised_at))} ago, unseen`;
    case "acknowledged":
      return `Acknowledged by ${alarm.acknowledged_by}${Number.isFinite(alarm.acknowledgedUntil) ? `, ${brief(alarm.acknowledgedUntil - now)} left` : ""}`;
    case "snoozed":
      return `Snoozed by ${alarm.snoozed_by} until ${clock.time(alarm.snoozedUntil)}`;
    case "unacknowledged":
      return `Not acknowledged${alarm.stale ? ", no signal" : ""}`;
  }
}

/** What was measured against the limit in force: "192", "over 180"; "97", "limit 180" where the limit is kept again. An alarm that ended shows its worst value. */
export function comparison(alarm: Alarm): { value: string; limit: string } {
  const { limit, condition } = alarm;
  const value = alarm.active || !hasPeak(alarm) ? alarm.value : alarm.peak;
  if (value === undefined) return { value: "", limit: alarm.detail === "stuck" ? "stuck value" : "" };
  const unit = UNITS[condition] ?? "";
  if (limit === undefined) return { value: String(value), limit: unit ? "% unusable" : "bpm" };
  const [side, beyond] = condition === "rate_low" ? ["under", value < limit] : ["over", value > limit];
  return { value: String(value), limit: `${beyond ? side : "limit"} ${limit}${unit}` };
}

/** The other value of the alarm: the worst while it lasts, the last one after its end. */
export function peakText(alarm: Alarm): string {
  if (!hasPeak(alarm) || alarm.peak === alarm.value) return "";
  if (!alarm.active) return `${alarm.value} at its end`;
  return `${alarm.condition === "rate_low" ? "lowest" : "peak"} ${alarm.peak}`;
}

function hasPeak({ peak, condition }: Alarm): boolean {
  return peak !== undefined && condition !== "bad_signal";
}

export const EVENTS: Readonly<Record<EventKind, string>> = {
  raised: "Raised",
  recurred: "Raised again while open",
  reopened: "Raised again after its end",
  worsened: "Became worse",
  eased: "Eased",
  cleared: "Ended",
  stale: "Signal lost",
  fresh: "Signal back",
  acknowledgement_expired: "Acknowledgement expired",
  snooze_ended: "Snooze ended",
  escalated: "Escalated",
  acknowledged: "Acknowledged",
  snoozed: "Snoozed",
  assigned: "Assigned",
  commented: "Note",
  closed: "Closed",
};

/** The longest snooze in minutes, as the server has it. */
export const LONGEST_SNOOZE: Readonly<Record<Priority, number>> = { high: 15, medium: 240, low: 1440 };
