import type { AlarmLook, Look } from "./look";
import type { Condition } from "./alarms/api";
import { alarmOf } from "./look";
import { State, info } from "./state";
import { svg } from "./element";

/** Paths in a box of 16: a shape for each state, so that colour never says it alone. */
const SHAPES: Readonly<Record<State, string>> = {
  [State.Never]: "M6.5 8a1.5 1.5 0 1 0 3 0a1.5 1.5 0 1 0-3 0z",
  [State.Resting]: "",
  [State.Low]: "M2 12h12v3h-12z",
  [State.Elevated]: "M2 1h12v3h-12z",
  [State.VeryHigh]: "M2 1h12v3h-12zM2 6h12v3h-12z",
  [State.Invalid]: "M3 4.8L4.8 3 8 6.2 11.2 3 13 4.8 9.8 8 13 11.2 11.2 13 8 9.8 4.8 13 3 11.2 6.2 8z",
  [State.Silent]: "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11zM8 5.2a2.8 2.8 0 1 1 0 5.6a2.8 2.8 0 1 1 0-5.6z",
  [State.Bradycardia]: "M2 4h12L8 13.5z",
  [State.Tachycardia]: "M2 12h12L8 2.5z",
};

/** The shape of an alarm's condition, in the same box. */
const CONDITION_SHAPES: Readonly<Record<Condition, string>> = {
  rate_high: SHAPES[State.Tachycardia],
  rate_low: SHAPES[State.Bradycardia],
  bad_signal: SHAPES[State.Invalid],
  silent: SHAPES[State.Silent],
  outage: "M6.5 2h3v8h-3zM6.5 11.5h3v3h-3z",
  lag: "M3 2h3.5v12H3zM9.5 2H13v12H9.5z",
};

/** The frame around an alarm that ended unseen. */
const FRAME = "M0 0h16v16h-16zM2.2 2.2v11.6h11.6v-11.6z";
const INNER = 0.62; // size of the shape inside the frame

/** A state's shape, centred on 0 in a box of 16. */
export function shape(state: State): Path2D {
  const path = new Path2D();
  path.addPath(new Path2D(SHAPES[state]), new DOMMatrix([1, 0, 0, 1, -8, -8]));
  return path;
}

/** The colours of a cell, as the style sheet defines them. */
export interface Ink {
  readonly fill: string;
  readonly mark: string;
  readonly text: string;
}

export function inkOf(look: Look, style: CSSStyleDeclaration): Ink {
  const color = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const alarm = alarmOf(look);
  if (alarm?.status === "unacknowledged") {
    return { fill: color(`alarm-${alarm.priority}`), mark: color(`on-alarm-${alarm.priority}`), text: color(`on-alarm-${alarm.priority}`) };
  }
  if (alarm) return { fill: color("cell-seen"), mark: color(`ink-${alarm.priority}`), text: color(`ink-${alarm.priority}`) };
  if (look >= State.Invalid) return { fill: color("cell-resting"), mark: color("mark-anomaly"), text: color("text-resting") };
  const name = info(look).name.replaceAll("_", "-");
  return { fill: color(`cell-${name}`), mark: color(`mark-${name}`), text: color(`text-${name}`) };
}

/** A state's symbol as an element, for legends and lists; its label stands beside it. */
export function symbol(state: State): SVGElement {
  const name = info(state).name.replaceAll("_", "-");
  return svg(
    "svg",
    { viewBox: "0 0 16 16", class: `symbol symbol-${name}`, "aria-hidden": "true", focusable: "false" },
    svg("rect", { width: 16, height: 16, rx: 2, class: "symbol-fill" }),
    svg("path", { d: SHAPES[state], class: "symbol-mark", "fill-rule": "evenodd" }),
  );
}

/** An alarm's symbol as an element: colour by priority, shape by condition, filled while it needs a person, framed when it ended unseen. */
export function alarmSymbol({ condition, status, priority }: AlarmLook): SVGElement {
  const box = svg("svg", { viewBox: "0 0 16 16", class: `symbol alarm-symbol alarm-${priority} alarm-${status}`, "aria-hidden": "true", focusable: "false" },
    svg("rect", { width: 16, height: 16, rx: status === "ended" ? 0 : 2, class: "symbol-fill" }));
  if (status === "ended") box.append(svg("path", { d: FRAME, class: "symbol-mark", "fill-rule": "evenodd" }));
  const move = status === "ended" ? `translate(${8 - 8 * INNER} ${8 - 8 * INNER}) scale(${INNER})` : "";
  box.append(svg("path", { d: CONDITION_SHAPES[condition], class: "symbol-mark", "fill-rule": "evenodd", ...(move ? { transform: move } : {}) }));
  return box;
}

/** The symbol of what a cell shows. */
export function lookSymbol(look: Look): SVGElement {
  const alarm = alarmOf(look);
  if (alarm) return alarmSymbol(alarm);
  if (look < State.Invalid) return symbol(look);
  return svg("svg", { viewBox: "0 0 16 16", class: "symbol symbol-anomaly", "aria-hidden": "true", focusable: "false" },
    svg("rect", { width: 16, height: 16, rx: 2, class: "symbol-fill" }),
    svg("path", { d: SHAPES[look as State], class: "symbol-mark", "fill-rule": "evenodd", transform: SMALL }));
}

/** An anomaly without an alarm is a small mark in the middle of a cell. */
const SMALL_SCALE = 0.45;
const SMALL = `translate(${8 - 8 * SMALL_SCALE} ${8 - 8 * SMALL_SCALE}) scale(${SMALL_SCALE})`;

/** Draws a cell and returns its pixels, row by row. */
export function pixels(look: Look, width: number, height: number, ink: Ink): Uint32Array {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  if (ink.fill !== "transparent") {
    context.fillStyle = ink.fill;
    context.fillRect(0, 0, width, height);
  }
  const size = Math.min(width, height);
  context.fillStyle = ink.mark;
  if (size >= 5) {
    context.translate((width - size) / 2, (height - size) / 2);
    context.scale(size / 16, size / 16);
    draw(context, look);
  } else if (look === State.Never) {
    context.fillRect(width >> 1, height >> 1, 1, 1);
  } else if (alarmOf(look) && alarmOf(look)!.status !== "unacknowledged") {
    context.fillRect(0, 0, width, Math.ceil(height / 2)); // too small for a shape: half a cell
  }
  return new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
}

function draw(context: OffscreenCanvasRenderingContext2D, look: Look): void {
  const alarm = alarmOf(look);
  const scale = alarm ? (alarm.status === "ended" ? INNER : 1) : look >= State.Invalid ? SMALL_SCALE : 1;
  if (alarm?.status === "ended") context.fill(new Path2D(FRAME), "evenodd");
  context.translate(8 - 8 * scale, 8 - 8 * scale);
  context.scale(scale, scale);
  context.fill(new Path2D(alarm ? CONDITION_SHAPES[alarm.condition] : SHAPES[look as State]), "evenodd");
}
