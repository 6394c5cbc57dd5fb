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

/** A state's shape, centred on 0 in a box of 16. */
export function shape(state: State): Path2D {
  const path = new Path2D();
  path.addPath(new Path2D(SHAPES[state]), new DOMMatrix([1, 0, 0, 1, -8, -8]));
  return path;
}

/** The colours of a state's cell, as the style sheet defines them. */
export interface Ink {
  readonly fill: string;
  readonly mark: string;
}

export function inkOf(state: State, style: CSSStyleDeclaration): Ink {
  const name = info(state).name.replaceAll("_", "-");
  return { fill: style.getPropertyValue(`--cell-${name}`).trim(), mark: style.getPropertyValue(`--mark-${name}`).trim() };
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

/** Draws a state's cell and returns its pixels, row by row. */
export function pixels(state: State, width: number, height: number, ink: Ink): Uint32Array {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  if (ink.fill !== "transparent") {
    context.fillStyle = ink.fill;
    context.fillRect(0, 0, width, height);
  }
  const size = Math.min(width, height);
  if (size >= 5) {
    context.fillStyle = ink.mark;
    context.translate((width - size) / 2, (height - size) / 2);
    context.scale(size / 16, size / 16);
    context.fill(new Path2D(SHAPES[state]), "evenodd");
  } else if (state === State.Never) {
    context.fillStyle = ink.mark;
    context.fillRect(width >> 1, height >> 1, 1, 1);
  }
  return new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
}
