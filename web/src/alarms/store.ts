import type { Alarm, AlarmChange } from "./api";
import type { OpenAlarm } from "./status";
import { isAcknowledged, openAlarm, worstFirst } from "./status";

/** How many alarms there are, for headlines. */
export interface Counts {
  readonly unacknowledged: number;
  readonly high: number; // unacknowledged
  readonly open: number;
}

/** The open alarms as the server last said. Nothing else changes them. */
export class AlarmStore {
  /** False before the first event of the stream. */
  known = false;
  total = 0;
  readonly #open = new Map<string, OpenAlarm>();
  readonly #subjects = new Map<string, Map<string, OpenAlarm>>();
  #sorted: { readonly now: number; readonly until: number; readonly alarms: OpenAlarm[] } | undefined;

  get size(): number {
    return this.#open.size;
  }

  find(id: string): OpenAlarm | undefined {
    return this.#open.get(id);
  }

  of(subject: string): OpenAlarm[] {
    return [...(this.#subjects.get(subject)?.values() ?? [])];
  }

  subjects(): Iterable<string> {
    return this.#subjects.keys();
  }

  /** Takes in an event of the stream and returns the subjects whose alarms may have changed. */
  apply(change: AlarmChange): Set<string> {
    const subjects = new Set<string>();
    if (change.reset) {
      for (const subject of this.#subjects.keys()) subjects.add(subject);
      this.#open.clear();
      this.#subjects.clear();
    }
    this.known = true;
    this.total = change.total;
    for (const alarm of change.open) subjects.add(this.#put(alarm));
    for (const id of change.closed) {
      const held = this.#open.get(id);
      if (held) subjects.add(this.#remove(held));
    }
    this.#sorted = undefined;
    return subjects;
  }

  /** Takes in the server's answer to an action. */
  take(alarm: Alarm): void {
    this.#sorted = undefined;
    const held = this.#open.get(alarm.alarm_id);
    if (alarm.closed_at && held) this.#remove(held);
    else if (!alarm.closed_at) this.#put(alarm);
  }

  /** All open alarms, worst first. */
  sorted(now: number): readonly OpenAlarm[] {
    if (this.#sorted && now >= this.#sorted.now && now < this.#sorted.until) return this.#sorted.alarms;
    const alarms = [...this.#open.values()].sort(worstFirst(now));
    let until = Infinity; // when an acknowledgement or a snooze ends next
    for (const { acknowledgedUntil, snoozedUntil } of alarms) {
      if (acknowledgedUntil > now && acknowledgedUntil < until) until = acknowledgedUntil;
      if (snoozedUntil > now && snoozedUntil < until) until = snoozedUntil;
    }
    this.#sorted = { now, until, alarms };
    return alarms;
  }

  counts(now: number): Counts {
    let [unacknowledged, high] = [0, 0];
    for (const alarm of this.#open.values()) {
      if (isAcknowledged(alarm, now)) continue;
      unacknowledged++;
      if (alarm.priority === "high") high++;
    }
    return { unacknowledged, high, open: Math.max(this.total, this.size) };
  }

  #put(alarm: Alarm): string {
    const held = this.#open.get(alarm.alarm_id);
    if (held && held.version > alarm.version) return held.subject;
    const open = openAlarm(alarm);
    this.#open.set(alarm.alarm_id, open);
    const all = this.#subjects.get(alarm.subject) ?? new Map<string, OpenAlarm>();
    this.#subjects.set(alarm.subject, all.set(alarm.alarm_id, open));
    return alarm.subject;
  }

  #remove(alarm: OpenAlarm): string {
    this.#open.delete(alarm.alarm_id);
    const all = this.#subjects.get(alarm.subject);
    all?.delete(alarm.alarm_id);
    if (all?.size === 0) this.#subjects.delete(alarm.subject);
    return alarm.subject;
  }
}
