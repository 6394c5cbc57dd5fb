import type uPlot from "uplot";
import type { Clock } from "../../format";
import type { Minutes, Readings } from "../../api";
import type { Moment } from "../../chart";
import { Chart } from "../../chart";
import { h } from "../../element";
import { withGaps } from "../../gaps";
import { State, stateOf, stateOfClass } from "../../state";

interface Point {
  readonly at: number; // Unix seconds
  readonly rate: number;
  readonly state: State;
}

const MOST_POINTS = 25_000;
const LOWEST = 0;
const HIGHEST = 220;
/** A gap is this many times the typical interval between readings. */
const GAP = 5;

/** The raw trace over the minutes. An anomaly is a mark of its own, a gap is a gap. */
export class Trace {
  readonly element: HTMLElement;
  readonly #raw: Chart;
  readonly #minutes: Chart;
  #points: Point[] = []; // oldest first
  #length = 900;

  constructor(clock: Clock, signal: AbortSignal) {
    const limits = limitLines(40, 180);
    const range = (_: uPlot, min: number | null, max: number | null): uPlot.Range.MinMax =>
      [Math.min(LOWEST, Math.max(min ?? 0, -40)), Math.max(HIGHEST, Math.min((max ?? 0) + 10, 420))];
    this.#raw = new Chart({
      title: "Raw trace", unit: "bpm, each reading", sync: "customer", limits, range,
      lines: [
        { label: "reading", color: "--line", width: 1.25, points: { show: true, size: 3, width: 0 } },
        { label: "tachycardia", color: "--series-tachycardia", mark: State.Tachycardia },
        { label: "bradycardia", color: "--series-bradycardia", mark: State.Bradycardia },
        { label: "sensor error", color: "--series-invalid", mark: State.Invalid },
      ],
    }, clock, signal);
    this.#minutes = new Chart({
      title: "Minute by minute", unit: "bpm of normal readings: average, and minimum to maximum", sync: "customer", limits, range,
      bands: [{ between: [1, 3], color: "--band" }],
      lines: [
        { label: "max", color: "--band-edge", width: 1 },
        { label: "average", color: "--line", width: 2, format: (n) => n.toFixed(1) },
        { label: "min", color: "--band-edge", width: 1 },
      ],
    }, clock, signal);
    this.element = h("div", { class: "charts charts-customer" }, this.#raw.element, this.#minutes.element);
  }

  show(readings: Readings | undefined, minutes: Minutes, now: number, length: number): void {
    this.#length = length;
    const window: [number, number] = [now - length, now];
    const stored = (readings?.readings ?? []).map((r) => ({
      at: Date.parse(r.event_timestamp) / 1000, rate: r.heart_rate, state: r.class === "NORMAL" ? stateOf(r.heart_rate) : stateOfClass(r.class),
    })).reverse();
    const last = stored.at(-1)?.at ?? 0;
    this.#points = stored.concat(this.#points.filter((p) => p.at > last + 1 && p.at >= window[0]));
    if (readings) this.#draw(now);
    else this.#raw.show([], [[], [], [], []], window, "The raw trace is drawn for up to 24 h; a week is too much for a screen. The minutes below cover it.");
    const m = withGaps(minutes.minutes, (x) => Date.parse(x.at) / 1000, minutes.step_seconds * 1.5);
    this.#minutes.show(m.at, [m.column((x) => x.max_bpm), m.column((x) => x.avg_bpm), m.column((x) => x.min_bpm)], window, "No normal reading in this range.");
  }

  /** Draws the limits in force. */
  limits(low: number, high: number): void {
    this.#raw.limits = this.#minutes.limits = limitLines(low, high);
  }

  /** Marks where alarms began and ended. */
  moments(moments: readonly Moment[]): void {
    this.#raw.moments = this.#minutes.moments = moments;
  }

  /** Adds a reading that just arrived. */
  add(at: number, rate: number, state: State): void {
    if (at <= (this.#points.at(-1)?.at ?? 0)) return;
    this.#points.push({ at, rate, state });
    if (this.#points.length > MOST_POINTS) this.#points = this.#points.slice(-MOST_POINTS + 1000);
    this.#draw(at);
  }

  #draw(now: number): void {
    const p = withGaps(this.#points, (x) => x.at, GAP * typicalInterval(this.#points));
    const only = (state: State) => p.column((x) => (x.state === state ? Math.min(Math.max(x.rate, -30), 400) : undefined));
    // The line leaves out what a sensor made up; that is no gap.
    const line = p.column((x) => (x.state === State.Invalid ? undefined : x.rate));
    this.#raw.show(p.at, [line, only(State.Tachycardia), only(State.Bradycardia), only(State.Invalid)], [now - this.#length, now], "No reading in this range.");
  }
}

function limitLines(low: number, high: number): { at: number; label: string }[] {
  return [{ at: low, label: `${low}: low limit` }, { at: high, label: `${high}: high limit` }];
}

/** The median time between readings, at least two seconds so that jitter is no gap. */
function typicalInterval(points: readonly Point[]): number {
  const gaps = points.slice(-500).map((p, i, all) => (i === 0 ? 0 : p.at - all[i - 1]!.at)).slice(1).sort((a, b) => a - b);
  return Math.max(2, gaps[gaps.length >> 1] ?? 2);
}
