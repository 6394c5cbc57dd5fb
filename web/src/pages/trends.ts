import type { Context } from "../context";
import type { Bucket, Range, Trend } from "../api";
import { get } from "../api";
import { Chart } from "../chart";
import { donut } from "../donut";
import { h, replace, setText } from "../element";
import { withGaps } from "../gaps";
import { short } from "../format";
import { poll } from "../poll";
import { rangeOf, rangePicker, secondsOf } from "../ranges";
import { amend, href } from "../router";

/** Seconds without any reading after which the live line breaks off: a small fleet may be quiet for a while. */
const LONGEST_PAUSE = 10;

const ms = (n: number): string => `${short(Math.round(n * 10) / 10)} ms`;

/** The fleet over time. */
export function trendsPage(root: HTMLElement, { clock, route, signal }: Context): void {
  let range: Range = rangeOf(route.query.get("range"));
  const charts = build(clock, signal);
  const error = h("p", { class: "error", role: "alert" });
  const types = donut();
  const again = poll(
    () => (range === "15m" ? 2000 : 15_000),
    (stop) => get<Trend>(`trends?range=${range}`, stop),
    (trend) => {
      setText(error, "");
      show(charts, types, trend);
    },
    (cause) => {
      const why = cause instanceof Error ? cause.message : String(cause);
      setText(error, why);
      Object.values(charts).forEach((chart) => chart.fail("No data: see the message above."));
    },
    signal,
  );
  const picker = rangePicker(range, (to) => {
    range = to;
    amend(href("trends", "", { range }));
    charts.second.element.hidden = range !== "15m";
    again();
  });
  charts.second.element.hidden = range !== "15m";
  replace(
    root,
    h("div", { class: "toolbar" }, h("h1", {}, "Trends"), picker, error, h("span", { class: "spacer" }),
      h("span", { class: "muted" }, "Drag in a chart to zoom.")),
    h("div", { class: "charts" },
      charts.fleet.element, charts.second.element, types.element,
      charts.anomalies.element, charts.throughput.element, charts.latency.element, charts.lag.element),
  );
}

function build(clock: Context["clock"], signal: AbortSignal) {
  const sync = "trends";
  const bpm: { range: (plot: unknown, min: number | null, max: number | null) => [number, number] } = {
    range: (_, min, max) => [Math.floor(((min ?? 40) - 4) / 10) * 10, Math.ceil(((max ?? 180) + 4) / 10) * 10],
  };
  const band = [
    { label: "max", color: "--band-edge", width: 1 },
    { label: "average", color: "--line", width: 2, format: (n: number) => n.toFixed(1) },
    { label: "min", color: "--band-edge", width: 1 },
  ];
  const bands = [{ between: [1, 3] as [number, number], color: "--band" }];
  return {
    fleet: new Chart({ title: "Fleet heart rate", unit: "bpm by minute: average, min–max", lines: band, bands, sync, ...bpm }, clock, signal),
    second: new Chart({ title: "Fleet heart rate, live", unit: "bpm by second: average, min–max", lines: band, bands, sync, ...bpm }, clock, signal),
    anomalies: new Chart({
      title: "Anomalies", unit: "/min", sync,
      lines: [
        { label: "tachy", color: "--series-tachycardia" },
        { label: "brady", color: "--series-bradycardia", dash: [6, 3] },
        { label: "sensor", color: "--series-invalid", dash: [2, 2] },
      ],
    }, clock, signal),
    throughput: new Chart({
      title: "Throughput", unit: "readings per second", sync,
      lines: [{ label: "all", color: "--line", fill: "--fill" }],
    }, clock, signal),
    latency: new Chart({
      title: "Latency", unit: "ms, event to row", sync,
      lines: [{ label: "p95", color: "--line-2", dash: [6, 3], format: ms }, { label: "p50", color: "--line", format: ms }],
    }, clock, signal),
    lag: new Chart({
      title: "Lag", unit: "records waiting", sync,
      lines: [{ label: "lag", color: "--line", fill: "--fill" }],
    }, clock, signal),
  };
}

function show(charts: ReturnType<typeof build>, types: ReturnType<typeof donut>, trend: Trend): void {
  const to = Date.parse(trend.to) / 1000;
  const window: [number, number] = [to - secondsOf(trend.range), to];
  const step = trend.step_seconds;
  const b = trend.buckets;
  const { at, column } = withGaps(b, (x) => Date.parse(x.at) / 1000, 1.5 * step);
  // For the current step, the rate over the elapsed part, once that part is long enough.
  const perSecond = (bucket: Bucket, n: number): number | null => {
    const passed = Math.min(step, to - Date.parse(bucket.at) / 1000);
    return passed < step / 4 ? null : n / passed;
  };
  const perMinute = (bucket: Bucket, n: number): number | null => {
    const rate = perSecond(bucket, n);
    return rate === null ? null : 60 * rate;
  };
  const nothing = "No readings in this range.";
  charts.fleet.show(at, [column((x) => x.max_bpm), column((x) => x.avg_bpm), column((x) => x.min_bpm)], window, nothing);
  charts.anomalies.show(at, [column((x) => perMinute(x, x.tachycardia)), column((x) => perMinute(x, x.bradycardia)), column((x) => perMinute(x, x.invalid))], window, nothing);
  charts.throughput.show(at, [column((x) => perSecond(x, x.valid + x.bradycardia + x.tachycardia + x.invalid))], window, nothing);
  charts.latency.show(at, [column((x) => x.latency_p95_ms), column((x) => x.latency_p50_ms)], window, "No sample in this range.");
  const s = withGaps(trend.seconds, (x) => Date.parse(x.at) / 1000, LONGEST_PAUSE);
  charts.second.show(s.at, [s.column((x) => x.max_bpm), s.column((x) => x.avg_bpm), s.column((x) => x.min_bpm)], window, "Nothing received since the console started.");
  const l = withGaps(trend.lag, (p) => Date.parse(p.at) / 1000, 2.5 * Math.max(step, 60));
  charts.lag.show(l.at, [l.column((p) => p.lag)], window, "Not measured in this range.");
  const sum = (value: (x: (typeof b)[number]) => number): number => b.reduce((total, x) => total + value(x), 0);
  types.show([
    { label: "Tachycardia", value: sum((x) => x.tachycardia), color: "--series-tachycardia" },
    { label: "Bradycardia", value: sum((x) => x.bradycardia), color: "--series-bradycardia" },
    { label: "Sensor error", value: sum((x) => x.invalid), color: "--series-invalid" },
  ]);
}
