/** The states of a customer, in the order in which the server counts them: ascending urgency. */
export const enum State {
  Never,
  Resting,
  Low,
  Elevated,
  VeryHigh,
  Invalid,
  Silent,
  Bradycardia,
  Tachycardia,
}

export type Priority = "none" | "low" | "medium" | "high";

export interface StateInfo {
  readonly state: State;
  readonly name: string; // in the API
  readonly label: string;
  readonly range: string;
  readonly priority: Priority; // as IEC 60601-1-8 colours alarms
}

export const STATES: readonly StateInfo[] = [
  { state: State.Never, name: "never_seen", label: "Never seen", range: "no reading yet", priority: "none" },
  { state: State.Resting, name: "resting", label: "Resting", range: "60–100 bpm", priority: "none" },
  { state: State.Low, name: "low", label: "Low", range: "40–59 bpm", priority: "none" },
  { state: State.Elevated, name: "elevated", label: "Elevated", range: "101–140 bpm", priority: "none" },
  { state: State.VeryHigh, name: "very_high", label: "Very high", range: "141–180 bpm", priority: "none" },
  { state: State.Invalid, name: "invalid", label: "Sensor error", range: "0 or below, above 300", priority: "low" },
  { state: State.Silent, name: "silent", label: "Silent", range: "not heard for long", priority: "medium" },
  { state: State.Bradycardia, name: "bradycardia", label: "Bradycardia", range: "below 40 bpm", priority: "high" },
  { state: State.Tachycardia, name: "tachycardia", label: "Tachycardia", range: "181–300 bpm", priority: "high" },
];

/** States from the most to the least urgent. */
export const WORST_FIRST: readonly StateInfo[] = STATES.toReversed();

export function info(state: State): StateInfo {
  return STATES[state] ?? STATES[0]!;
}

export function stateOf(rate: number): State {
  if (rate <= 0 || rate > 300) return State.Invalid;
  if (rate < 40) return State.Bradycardia;
  if (rate < 60) return State.Low;
  if (rate <= 100) return State.Resting;
  if (rate <= 140) return State.Elevated;
  if (rate <= 180) return State.VeryHigh;
  return State.Tachycardia;
}

/** The class of an anomaly, as tables and the API name it, as a state. */
export function stateOfClass(name: string): State {
  return STATES.find((s) => s.name === name.toLowerCase())?.state ?? State.Resting;
}

export function needsAttention(state: State): boolean {
  return state >= State.Invalid;
}

export function customerName(id: number): string {
  return "CUST_" + String(id).padStart(5, "0");
}

/** Reads "42", "cust_42" or "CUST_00042"; undefined when it is none of these. */
export function parseCustomer(text: string): number | undefined {
  const match = /^(?:cust_?)?0*(\d{1,9})$/i.exec(text.trim());
  return match ? Number(match[1]) : undefined;
}
