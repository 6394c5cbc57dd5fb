import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Clock } from "./format";
import { short } from "./format";
import { h, rem, replace, setText } from "./element";
import { lone } from "./gaps";
import { shape, symbol } from "./glyph";
import type { State } from "./state";

export interface Line {
  readonly label: string;
  readonly color: string; // a custom property of the style sheet
  readonly width?: number;
  readonly dash?: number[];
  readonly fill?: string;
  readonly points?: uPlot.Series.Points;
  readonly mark?: State; // each value is drawn as this state's shape, without a line
  readonly format?: (n: number) => string;
}

export interface LimitLine {
  readonly at: number;
  readonly label: string;
}

export interface Moment {
  readonly at: number; // Unix seconds
  readonly label: string;
  readonly color: string; // a custom property of the style sheet
  readonly dashed: boolean;
}

export interface Spec {
  readonly title: string;
  readonly unit: string;
  readonly lines: readonly Line[];
  readonly bands?: readonly { readonly between: [number, number]; readonly color: string }[];
  readonly limits?: readonly LimitLine[];
  readonly range?: uPlot.Scale.Range;
  readonly sync?: string;
}

/** Marks are drawn this much smaller than a legend's symbol. */
const MARK_SCALE = 0.75;

/** The words beside moments take at most this many rows, so that the trace stays in view. */
const MOST_MOMENT_ROWS = 4;

/** A tall chart has no more ticks than one reads at a glance. */
const MOST_TICKS = 12;

/** A point without a value is a gap in the line where it is null, and nothing at all where it is undefined. */
export type Column = readonly (number | null | undefined)[];

/** A time series with a title, a legend that follows the pointer, and words for those who do not see it. */
export class Chart {
  readonly element: HTMLElement;
  readonly #spec: Spec;
  readonly #clock: Clock;
  readonly #box = h("div", { class: "chart-box" });
  readonly #empty = h("p", { class: "chart-empty" }, "Loading…");
  readonly #words = h("p", { class: "visually-hidden" });
  readonly #readout = h("div", { class: "readout", hidden: true });
  readonly #reset: HTMLButtonElement;
  #plot: uPlot | undefined;
  #data: uPlot.AlignedData = [[]];
  #window: [number, number] | undefined;
  #zoomed = false;
  #limitLines: readonly LimitLine[];
  #moments: readonly Moment[] = [];
  #rem = 16;

  constructor(spec: Spec, clock: Clock, signal: AbortSignal) {
    this.#spec = spec;
    this.#limitLines = spec.limits ?? [];
    this.#clock = clock;
    this.#reset = h("button", { type: "button", class: "quiet chart-reset", hidden: true, onclick: () => this.#unzoom() }, "Whole range");
    this.element = h("figure", { class: "chart panel" },
      h("figcaption", {}, h("span", { class: "chart-title" }, spec.title), h("span", { class: "muted" }, spec.unit), ...legend(spec), h("span", { class: "spacer" }), this.#reset),
      this.#box, this.#empty, this.#words);
    this.#box.append(this.#readout);
    const observer = new ResizeObserver(() => this.#resize());
    observer.observe(this.#box);
    signal.addEventListener("abort", () => {
      observer.disconnect();
      this.#plot?.destroy();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#rebuild(), { signal });
    clock.onChange(() => this.#rebuild(), signal);
  }

  /** Shows columns over x in Unix seconds, in a window of time. Nothing in them is shown as the words given. */
  show(x: readonly number[], columns: readonly Column[], window: [number, number], nothing: string): void {
    this.#data = [x as number[], ...columns] as uPlot.AlignedData;
    this.#window = window;
    const empty = !columns.some((column) => column.some((value) => value !== null && value !== undefined));
    setText(this.#empty, empty ? nothing : "");
    this.#empty.hidden = !empty;
    this.#describe(columns);
    if (!this.#plot) this.#rebuild();
    else {
      this.#plot.setData(this.#data, false);
      if (!this.#zoomed) this.#plot.setScale("x", { min: window[0], max: window[1] });
      else this.#plot.redraw();
    }
  }

  /** Draws other limits than those of the beginning. */
  set limits(lines: readonly LimitLine[]) {
    this.#limitLines = lines;
    this.#plot?.redraw();
  }

  /** Draws moments as upright lines with a word. */
  set moments(moments: readonly Moment[]) {
    this.#moments = moments;
    this.#plot?.redraw();
  }

  fail(why: string): void {
    setText(this.#empty, why);
    this.#empty.hidden = false;
  }

  #unzoom(): void {
    this.#zoomed = false;
    this.#reset.hidden = true;
    if (this.#window) this.#plot?.setScale("x", { min: this.#window[0], max: this.#window[1] });
  }

  #describe(columns: readonly Column[]): void {
    const parts = this.#spec.lines.map((line, i) => {
      const known = (columns[i] ?? []).filter((value): value is number => value !== null && value !== undefined);
      if (known.length === 0) return "";
      const [min, max] = known.reduce(([lo, hi], v) => [Math.min(lo, v), Math.max(hi, v)], [Infinity, -Infinity]);
      return `${line.label}: now ${short(known.at(-1)!)}, from ${short(min)} to ${short(max)}`;
    });
    setText(this.#words, `${this.#spec.title} in ${this.#spec.unit}. ${parts.filter(Boolean).join(". ")}`);
  }

  #resize(): void {
    const width = this.#box.clientWidth;
    if (rem() !== this.#rem) this.#rebuild();
    else if (width > 0) this.#plot?.setSize({ width, height: this.#height() });
  }

  #height(): number {
    return Math.max(this.#box.clientHeight, 120);
  }

  #rebuild(): void {
    if (!this.#window || this.#box.clientWidth === 0) return;
    this.#plot?.destroy();
    this.#rem = rem();
    const style = getComputedStyle(this.#box);
    const color = (name: string): string => style.getPropertyValue(name).trim();
    this.#plot = new uPlot(this.#options(color, style.fontFamily), this.#data, this.#box);
    this.#plot.setScale("x", { min: this.#window[0], max: this.#window[1] });
  }

  #options(color: (name: string) => string, family: string): uPlot.Options {
    const scale = this.#rem / 16;
    const axis: uPlot.Axis = {
      stroke: color("--muted"), font: `${11 * scale}px ${family}`, grid: { stroke: color("--grid"), width: 1 }, ticks: { stroke: color("--grid"), size: 4 },
    };
    const utc = this.#clock.utc;
    const dateOf = (at: number): Date => (utc ? uPlot.tzDate(new Date(at * 1000), "UTC") : new Date(at * 1000));
    return {
      width: this.#box.clientWidth,
      height: this.#height(),
      padding: [8 * scale, 20 * scale, 0, 0],
      legend: { show: false },
      cursor: {
        points: { size: 7 }, drag: { x: true, y: false, setScale: true }, y: false,
        ...(this.#spec.sync ? { sync: { key: this.#spec.sync } } : {}),
      },
      tzDate: dateOf,
      scales: { x: { time: true }, y: { range: this.#spec.range ?? fromZero } },
      axes: [
        { ...axis, size: 26 * scale, space: 70 * scale, values: timeLabels(dateOf) },
        { ...axis, size: 46 * scale, space: (_plot, _axis, _min, _max, height) => Math.max(28 * scale, height / MOST_TICKS), values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : short(tick))) },
      ],
      series: [{}, ...this.#spec.lines.map((line) => series(line, color, scale))],
      bands: (this.#spec.bands ?? []).map((band) => ({ series: band.between, fill: color(band.color) })),
      hooks: {
        setCursor: [(plot) => this.#point(plot)],
        setSelect: [(plot) => this.#selected(plot)],
        draw: [(plot) => this.#limits(plot, color), (plot) => this.#marks(plot, color), (plot) => this.#drawMoments(plot, color)],
      },
    };
  }

  #selected(plot: uPlot): void {
    if (plot.select.width < 4) return;
    this.#zoomed = true;
    this.#reset.hidden = false;
  }

  /** Writes what is under the pointer. */
  #point(plot: uPlot): void {
    const i = plot.cursor.idx;
    const left = plot.cursor.left ?? -1;
    this.#readout.hidden = i === null || i === undefined || left < 0;
    if (this.#readout.hidden) return;
    const rows = this.#spec.lines.flatMap((line, n) => {
      const value = this.#data[n + 1]?.[i!];
      if (value === null || value === undefined) return [];
      return [h("span", { class: "readout-row" }, swatch(line), line.label, h("b", {}, (line.format ?? short)(value)))];
    });
    replace(this.#readout, h("span", { class: "muted" }, this.#clock.date(this.#data[0][i!]! * 1000)), ...rows);
    const x = left + plot.over.offsetLeft;
    const flip = x > this.#box.clientWidth / 2;
    this.#readout.style.transform = flip ? `translate(calc(${x - 12}px - 100%), 8px)` : `translate(${x + 12}px, 8px)`;
  }

  #limits(plot: uPlot, color: (name: string) => string): void {
    const c = plot.ctx;
    const { left, width } = plot.bbox;
    c.save();
    c.strokeStyle = c.fillStyle = color("--limit");
    c.lineWidth = devicePixelRatio;
    c.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
    for (const limit of this.#limitLines) {
      const y = Math.round(plot.valToPos(limit.at, "y", true));
      if (y < plot.bbox.top || y > plot.bbox.top + plot.bbox.height) continue;
      c.beginPath();
      c.moveTo(left, y);
      c.lineTo(left + width, y);
      c.stroke();
      c.textAlign = "left";
      c.textBaseline = "bottom";
      c.fillText(limit.label, left + 4 * devicePixelRatio, y - 2 * devicePixelRatio);
    }
    c.restore();
  }

  #drawMoments(plot: uPlot, color: (name: string) => string): void {
    const c = plot.ctx;
    const { left, width, top, height } = plot.bbox;
    c.save();
    c.lineWidth = 1.5 * devicePixelRatio;
    c.textAlign = "left";
    c.textBaseline = "top";
    const rows: number[] = []; // where the last word of each row ends
    const line = 13 * (this.#rem / 16) * devicePixelRatio;
    const moments = [...this.#moments].sort((a, b) => a.at - b.at);
    for (const moment of moments) {
      const x = Math.round(plot.valToPos(moment.at, "x", true));
      if (x < left || x > left + width) continue;
      c.strokeStyle = c.fillStyle = color(moment.color);
      c.setLineDash(moment.dashed ? [4 * devicePixelRatio, 3 * devicePixelRatio] : []);
      c.beginPath();
      c.moveTo(x, top);
      c.lineTo(x, top + height);
      c.stroke();
      const wide = c.measureText(moment.label).width + 8 * devicePixelRatio;
      const start = Math.min(x + 4 * devicePixelRatio, left + width - wide);
      const free = rows.findIndex((end) => end <= start);
      const row = free >= 0 ? free : rows.length;
      if (row >= MOST_MOMENT_ROWS) continue; // the line alone
      rows[row] = start + wide;
      c.fillStyle = color("--panel"); // the word stays readable on the trace
      c.fillRect(start - 2 * devicePixelRatio, top + line * row + devicePixelRatio, wide - 4 * devicePixelRatio, line);
      c.fillStyle = color(moment.color);
      c.fillText(moment.label, start, top + 2 * devicePixelRatio + line * row);
    }
    c.restore();
  }

  #marks(plot: uPlot, color: (name: string) => string): void {
    const [c, scale] = [plot.ctx, devicePixelRatio * MARK_SCALE * (this.#rem / 16)];
    const { min = 0, max = 0 } = plot.scales["x"] as { min?: number; max?: number };
    this.#spec.lines.forEach((line, n) => {
      if (line.mark === undefined) return;
      const path = shape(line.mark);
      c.save();
      c.fillStyle = color(line.color);
      this.#data[0].forEach((at, i) => {
        const value = this.#data[n + 1]?.[i];
        if (value === null || value === undefined || at < min || at > max) return;
        c.setTransform(scale, 0, 0, scale, plot.valToPos(at, "x", true), plot.valToPos(value, "y", true));
        c.fill(path, "evenodd");
      });
      c.restore();
    });
  }
}

function series(line: Line, color: (name: string) => string, scale: number): uPlot.Series {
  const stroke = color(line.color);
  return {
    label: line.label,
    stroke,
    width: line.mark === undefined ? scale * (line.width ?? 1.5) : 0,
    spanGaps: false,
    points: line.points ?? { show: false, size: 4 * scale, width: 0, filter: (plot, n) => lone(plot.data[n]!) },
    ...(line.dash ? { dash: line.dash } : {}),
    ...(line.fill ? { fill: color(line.fill) } : {}),
  };
}

function legend(spec: Spec): Element[] {
  return spec.lines.length < 2 || spec.bands ? [] : spec.lines.map((line) => h("span", { class: "legend" }, swatch(line), line.label));
}

function swatch(line: Line): Element {
  if (line.mark !== undefined) return symbol(line.mark);
  const mark = h("span", { class: `swatch${line.dash ? " swatch-dashed" : ""}`, "aria-hidden": "true" });
  mark.style.color = `var(${line.color})`;
  return mark;
}

function fromZero(_: uPlot, min: number | null, max: number | null): uPlot.Range.MinMax {
  return [Math.min(0, min ?? 0), max === null || max <= 0 ? 1 : max * 1.08];
}

const pad = (n: number): string => String(n).padStart(2, "0");

/** Hours and minutes; the day where it begins; seconds where the steps are that short. */
function timeLabels(dateOf: (tick: number) => Date): uPlot.Axis.DynamicValues {
  return (_plot, ticks, _axis, _space, step) =>
    ticks.map((tick) => {
      const at = dateOf(tick);
      const time = `${pad(at.getHours())}:${pad(at.getMinutes())}`;
      if (step >= 86_400 || (step >= 3600 && time === "00:00")) return `${pad(at.getDate())}.${pad(at.getMonth() + 1)}.`;
      return step < 60 ? `${time}:${pad(at.getSeconds())}` : time;
    });
}
