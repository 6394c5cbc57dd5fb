import type { Range } from "./api";
import { RANGES } from "./api";
import { h } from "./element";

export function rangeOf(text: string | null): Range {
  return RANGES.find((range) => range.name === text)?.name ?? "15m";
}

export function secondsOf(range: Range): number {
  return RANGES.find((one) => one.name === range)!.seconds;
}

/** Lets the viewer choose how far back to look. */
export function rangePicker(chosen: Range, pick: (range: Range) => void): HTMLElement {
  return h("fieldset", { class: "segments" },
    h("legend", { class: "visually-hidden" }, "Range"),
    ...RANGES.map((range) => h("label", {},
      h("input", { type: "radio", name: "range", value: range.name, checked: range.name === chosen, onchange: () => pick(range.name) }),
      h("span", {}, range.label))));
}
