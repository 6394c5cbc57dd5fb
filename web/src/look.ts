import type { Condition, Priority } from "./alarms/api";
import type { OpenAlarm, Status } from "./alarms/status";
import { CONDITIONS, PRIORITIES, statusOf } from "./alarms/status";
import { STATES, State } from "./state";

/**
 * What a cell of the wall shows, as a small number: below FIRST the state of a customer without an alarm, from FIRST on the
 * worst open alarm of one. Priority gives the colour, condition the shape, status the way it is filled.
 */
export type Look = number;

const CONDITION_NAMES = Object.keys(CONDITIONS) as Condition[];
const STATUSES = ["unacknowledged", "ended", "acknowledged"] as const;
export const FIRST = STATES.length;
export const LOOKS = FIRST + CONDITION_NAMES.length * STATUSES.length * PRIORITIES.length;

export interface AlarmLook {
  readonly condition: Condition;
  readonly status: (typeof STATUSES)[number];
  readonly priority: Priority;
}

const ALARM_LOOKS: readonly AlarmLook[] = CONDITION_NAMES.flatMap((condition) =>
  STATUSES.flatMap((status) => PRIORITIES.map((priority) => ({ condition, status, priority }))));

/** What the look says of an alarm; undefined for a customer without one. */
export function alarmOf(look: Look): AlarmLook | undefined {
  return ALARM_LOOKS[look - FIRST];
}

export function lookOf(alarm: OpenAlarm, now: number): Look {
  const status = STATUSES.indexOf(filling(statusOf(alarm, now)));
  return FIRST + (CONDITION_NAMES.indexOf(alarm.condition) * STATUSES.length + status) * PRIORITIES.length + PRIORITIES.indexOf(alarm.priority);
}

/** A snoozed alarm is filled as an acknowledged one: a person has dealt with it for now. */
export function filling(status: Status): AlarmLook["status"] {
  return status === "unacknowledged" || status === "ended" ? status : "acknowledged";
}

/** The groups of looks that people count and filter by, ascending in urgency. */
export const enum Group {
  Never,
  None,
  Silent,
  Anomaly,
  Acknowledged,
  Low,
  Medium,
  Ended,
  High,
}

export interface GroupInfo {
  readonly group: Group;
  readonly name: string;
  readonly label: string;
  readonly title: string;
  readonly example: Look; // for the legend
}

const example = (condition: Condition, status: AlarmLook["status"], priority: Priority): Look =>
  FIRST + ALARM_LOOKS.findIndex((look) => look.condition === condition && look.status === status && look.priority === priority);

/** From the most to the least urgent. */
export const GROUPS: readonly GroupInfo[] = [
  { group: Group.High, name: "high", label: "High", title: "A high alarm that is not acknowledged", example: example("rate_high", "unacknowledged", "high") },
  { group: Group.Ended, name: "ended", label: "Ended, unseen", title: "A high alarm that ended before a person saw it", example: example("rate_high", "ended", "high") },
  { group: Group.Medium, name: "medium", label: "Medium", title: "A medium alarm that is not acknowledged", example: example("silent", "unacknowledged", "medium") },
  { group: Group.Low, name: "low", label: "Low", title: "A low alarm that is not acknowledged", example: example("bad_signal", "unacknowledged", "low") },
  { group: Group.Acknowledged, name: "acknowledged", label: "Acknowledged", title: "An alarm that is acknowledged or snoozed", example: example("rate_high", "acknowledged", "high") },
  { group: Group.Anomaly, name: "anomaly", label: "Anomaly", title: "No alarm; the newest reading is an anomaly", example: State.Tachycardia },
  { group: Group.Silent, name: "silent", label: "Silent", title: "Silent without an open alarm: an outage holds the personal one back", example: State.Silent },
  { group: Group.None, name: "none", label: "No alarm", title: "No alarm, and the newest reading is normal", example: State.Resting },
  { group: Group.Never, name: "never_seen", label: "Never seen", title: "No reading yet", example: State.Never },
];

const STATE_GROUP: Readonly<Record<State, Group>> = {
  [State.Never]: Group.Never,
  [State.Resting]: Group.None,
  [State.Low]: Group.None,
  [State.Elevated]: Group.None,
  [State.VeryHigh]: Group.None,
  [State.Invalid]: Group.Anomaly,
  [State.Silent]: Group.Silent,
  [State.Bradycardia]: Group.Anomaly,
  [State.Tachycardia]: Group.Anomaly,
};

const OPEN_GROUP: Readonly<Record<Priority, Group>> = { high: Group.High, medium: Group.Medium, low: Group.Low };

function alarmGroup({ status, priority }: AlarmLook): Group {
  return status === "acknowledged" ? Group.Acknowledged : status === "ended" ? Group.Ended : OPEN_GROUP[priority];
}

/** The group of each look. */
export const GROUP_OF: readonly Group[] = [...STATES.map(({ state }) => STATE_GROUP[state]), ...ALARM_LOOKS.map(alarmGroup)];

/** The place of each look in a list with the worst first, from 0: priority, then unacknowledged, and states below all alarms. */
export const RANK_OF: readonly number[] = [
  ...STATES.map(({ state }) => 9 + Group.Acknowledged - STATE_GROUP[state]),
  ...ALARM_LOOKS.map(({ status, priority }) => PRIORITIES.indexOf(priority) * STATUSES.length + STATUSES.indexOf(status)),
];
export const RANKS = Math.max(...RANK_OF) + 1;
