import { describe, expect, test } from "vitest";
import { Fleet, arrange } from "./fleet";
import { State } from "./state";
import { Group, lookOf } from "./look";
import { openAlarm } from "./alarms/status";
import type { Alarm } from "./alarms/api";
import { SMALLEST_PITCH, fittingPitch } from "./pitch";
import { lone, withGaps } from "./gaps";
import { parseCustomer } from "./state";

/** A frame with short changes: customer and rate. */
function frame(from: number, ...changes: readonly [number, number][]) {
  const bytes: number[] = [];
  let before = 0;
  for (const [customer, rate] of changes) {
    let gap = (customer - before) * 2 + 1;
    for (; gap > 127; gap = Math.floor(gap / 128)) bytes.push((gap % 128) + 128);
    bytes.push(gap, rate);
    before = customer;
  }
  return { t: 1000, from, to: from + 1, n: 0, untracked: 0, rate: 0, counts: [], c: btoa(String.fromCharCode(...bytes)) };
}

function alarm(priority: Alarm["priority"]) {
  return openAlarm({
    alarm_id: "0b54b2f0-5a3c-5d0c-9d5e-0c4f1d3a7e21", version: 1, subject: "CUST_00004", condition: "rate_high", priority, current_priority: priority,
    active: true, raised_at: "2026-02-20T12:00:00Z", active_since: "2026-02-20T12:00:00Z", onset_at: "2026-02-20T12:00:00Z",
  });
}

describe("Fleet", () => {
  test("expects the pool and takes in strangers", () => {
    const fleet = new Fleet();
    fleet.reset(3);
    fleet.apply(frame(0, [2, 75], [900_000, 200]));
    expect([fleet.size, fleet.seen, fleet.counts[State.Never]]).toEqual([4, 2, 2]);
    expect(fleet.name(fleet.find(900_000)!)).toBe("CUST_900000");
    expect(fleet.find(77)).toBeUndefined();
  });

  test("counts by state and remembers since when", () => {
    const fleet = new Fleet();
    fleet.reset(2);
    fleet.apply(frame(0, [1, 30]));
    fleet.apply({ ...frame(1, [1, 75]), t: 5000 });
    expect(fleet.counts[State.Bradycardia]).toBe(0);
    expect(fleet.counts[State.Resting]).toBe(1);
    expect(fleet.sinces[0]).toBe(5000);
    expect(fleet.changed).toEqual([0]);
  });
});

describe("arrange", () => {
  const fleet = new Fleet();
  fleet.reset(5);
  fleet.apply(frame(0, [1, 75], [2, 20], [3, 220], [4, 75], [70, 50]));
  fleet.mark(4, lookOf(alarm("high"), 0));
  fleet.mark(1, lookOf({ ...alarm("high"), acknowledgedUntil: Infinity }, 0));
  fleet.mark(70, lookOf(alarm("low"), 0));
  const names = (slots: Int32Array) => [...slots].map((slot) => fleet.ids[slot]);

  test("puts the worst alarms first, then anomalies, and keeps the order of ids among equals", () => {
    expect(names(arrange(fleet, "worst", new Set()))).toEqual([4, 1, 70, 2, 3, 5]);
  });
  test("shows only what was chosen", () => {
    expect(names(arrange(fleet, "worst", new Set([Group.Low, Group.High])))).toEqual([4, 70]);
    expect(names(arrange(fleet, "id", new Set([Group.Never])))).toEqual([5]);
  });
  test("goes by id", () => {
    expect(names(arrange(fleet, "id", new Set()))).toEqual([1, 2, 3, 4, 5, 70]);
  });
  test("counts customers by what they show", () => {
    expect([Group.High, Group.Acknowledged, Group.Low, Group.Anomaly, Group.None, Group.Never].map((group) => fleet.groups[group])).toEqual([1, 1, 1, 2, 0, 1]);
    fleet.mark(4, undefined);
    expect([fleet.groups[Group.High], fleet.groups[Group.None]]).toEqual([0, 1]);
    fleet.mark(4, lookOf(alarm("high"), 0));
    fleet.apply(frame(1, [4, 220]));
    expect(fleet.groups[Group.High]).toBe(1);
  });
});

describe("fittingPitch", () => {
  test.each([[1064, 620, 10_000], [390, 500, 10_000], [1064, 620, 100_000], [1064, 620, 250_000], [3800, 2000, 10_000], [100, 100, 1]])("%i×%i holds %i cells", (width, height, cells) => {
    const pitch = fittingPitch(width, height, cells, 24);
    const fits = (p: number) => Math.floor(width / p) * Math.floor(height / p) >= cells;
    expect(pitch === SMALLEST_PITCH || fits(pitch)).toBe(true);
    expect(pitch === 24 || !fits(pitch + 1)).toBe(true);
  });
});

describe("withGaps", () => {
  test("breaks the line where readings are missing and nowhere else", () => {
    const { at, column } = withGaps([0, 1, 2, 10, 11], (x) => x, 5);
    expect(at).toEqual([0, 1, 2, 6, 10, 11]);
    expect(column((x) => x)).toEqual([0, 1, 2, null, 10, 11]);
  });
});

describe("lone", () => {
  test.each([
    [[1, null, 2, 3, null, 4], [0, 5]],
    [[null, 1, undefined, null, 2, undefined, 3], [1]],
    [[1, 2, 3], []],
    [[], []],
  ])("finds in %j the values that no line reaches", (values, places) => expect(lone(values)).toEqual(places));
});

describe("parseCustomer", () => {
  test.each([["42", 42], ["CUST_00042", 42], [" cust_123456 ", 123456], ["cust00042", 42]])("reads %s", (text, id) => expect(parseCustomer(text)).toBe(id));
  test.each(["", "CUST_", "x42", "1234567890", "-1", "4 2"])("refuses %j", (text) => expect(parseCustomer(text)).toBeUndefined());
});
