import type { Me } from "../api";
import type { Alarm, AlarmEvent, AlarmWithHistory } from "./api";
import type { Clock } from "../format";
import type { OpenAlarm } from "./status";
import { Problem, get, post } from "../api";
import { CONDITIONS, EVENTS } from "./status";

export interface Action {
  readonly kind: "ack" | "snooze" | "close" | "assign" | "comment";
  readonly note?: string;
  readonly for_seconds?: number;
  readonly assignee?: string;
}

/** What became of an action on one alarm. */
export interface Outcome {
  readonly alarm: OpenAlarm;
  readonly after?: Alarm;
  readonly refused?: string;
}

interface Result {
  readonly alarm_id: string;
  readonly alarm?: Alarm;
  readonly code?: string;
  readonly error?: string;
}

/** How many alarms one request names, so that it stays within the server's time for a request. */
const AT_ONCE = 100;
/** Who was first is looked up for this many alarms, one request each. */
const MOST_EXPLAINED = 5;
const CONFLICTS: readonly string[] = ["version_conflict", "alarm_closed"];

export function mayAct(me: Me): boolean {
  return me.role !== "viewer";
}

/** Does an action to alarms as they were on the screen. The server refuses what the viewer has not seen, and says who was first. */
export async function act(alarms: readonly OpenAlarm[], { kind, ...fields }: Action, clock: Clock): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (let i = 0; i < alarms.length; i += AT_ONCE) {
    const some = alarms.slice(i, i + AT_ONCE);
    const results = await send(some, kind, fields);
    for (const alarm of some) {
      const result = results.find((one) => one.alarm_id === alarm.alarm_id);
      if (result?.alarm) outcomes.push({ alarm, after: result.alarm });
      else outcomes.push({ alarm, refused: await explain(alarm, result, outcomes.filter((o) => o.refused).length < MOST_EXPLAINED, clock) });
    }
  }
  return outcomes;
}

async function send(alarms: readonly OpenAlarm[], kind: string, fields: object): Promise<readonly Result[]> {
  const [only] = alarms;
  try {
    if (alarms.length > 1) {
      const expected = alarms.map((alarm) => ({ alarm_id: alarm.alarm_id, expected_version: alarm.version }));
      return (await post<{ results: Result[] }>(`alarms/${kind}`, { ...fields, alarms: expected })).results;
    }
    return [{ alarm_id: only!.alarm_id, alarm: await post<Alarm>(`alarms/${only!.alarm_id}/${kind}`, { ...fields, expected_version: only!.version }) }];
  } catch (error) {
    const [code, text] = error instanceof Problem ? [error.code, error.message] : ["unknown", String(error)];
    return alarms.map((alarm) => ({ alarm_id: alarm.alarm_id, code, error: text }));
  }
}

export function nameOf(alarm: Alarm): string {
  return `${alarm.subject}, ${CONDITIONS[alarm.condition].toLowerCase()}`;
}

async function explain(alarm: OpenAlarm, result: Result | undefined, look: boolean, clock: Clock): Promise<string> {
  const said = result?.error ?? "The server gave no answer.";
  if (!look || !CONFLICTS.includes(result?.code ?? "")) return `${nameOf(alarm)}: ${said}`;
  try {
    const { history } = await get<AlarmWithHistory>(`alarms/${alarm.alarm_id}`);
    const first = history.find((event) => event.version > alarm.version && concerns(event));
    return `${nameOf(alarm)}: ${first ? whoWasFirst(first, clock) : said}`;
  } catch {
    return `${nameOf(alarm)}: ${said}`;
  }
}

function concerns(event: AlarmEvent): boolean {
  return (event.actor !== undefined && event.kind !== "commented") || ["worsened", "recurred", "reopened", "cleared"].includes(event.kind);
}

function whoWasFirst(event: AlarmEvent, clock: Clock): string {
  const when = clock.time(event.recorded_at ?? event.at);
  if (event.actor) return `${event.actor} was first: ${EVENTS[event.kind].toLowerCase()} at ${when}.`;
  return `${EVENTS[event.kind].toLowerCase()} at ${when}, after what you saw. Look again.`;
}
