import type { Context } from "../../context";
import { duration } from "../../format";
import { h, replace, setText } from "../../element";
import { href } from "../../router";
import { State, info } from "../../state";
import { alarmSymbol, lookSymbol } from "../../glyph";
import { filling } from "../../look";
import { CONDITIONS, PRIORITY_TEXT, statusOf, statusText } from "../../alarms/status";

export interface Tooltip {
  readonly element: HTMLElement;
  readonly detail: HTMLElement; // the line over the wall for the cell in focus
  hover(slot: number | undefined, x: number, y: number): void;
  focus(slot: number | undefined): void;
}

/** Describes a cell: customer, state, and since when. Beside the pointer, and over the wall for the cell in focus. */
export function tooltip(context: Context): Tooltip {
  const { feed, signal } = context;
  const element = h("div", { class: "tooltip", hidden: true, "aria-hidden": "true" });
  const detail = h("div", { class: "wall-detail" });
  const touch = matchMedia("(hover: none)").matches;
  let hovered: number | undefined;
  let focused: number | undefined;
  const show = (): void => {
    element.hidden = hovered === undefined;
    if (hovered !== undefined) replace(element, ...lines(context, hovered));
    if (focused !== undefined) replace(detail, ...line(context, focused));
    else setText(detail, touch ? "Tap a cell to see who it is." : "Point at a cell, or use the arrow keys; + and − zoom, Enter opens.");
  };
  feed.on("frame", show, signal);
  show();
  return {
    element,
    detail,
    hover(slot, x, y) {
      hovered = slot;
      show();
      const left = Math.min(x + 14, innerWidth - element.offsetWidth - 8);
      const below = y + 18 + element.offsetHeight < innerHeight;
      element.style.transform = `translate(${Math.max(4, left)}px, ${below ? y + 14 : y - element.offsetHeight - 10}px)`;
    },
    focus(slot) {
      focused = slot;
      show();
    },
  };
}

function describe({ feed, clock }: Context, slot: number): { name: string; state: State; rate: string; since: string; read: string } {
  const fleet = feed.fleet;
  const state = fleet.states[slot]! as State;
  const known = state !== State.Never;
  return {
    name: fleet.name(slot),
    state,
    rate: known ? `${fleet.rates[slot]} bpm` : "no reading",
    since: known ? `since ${clock.time(fleet.sinces[slot]!)} (${duration(feed.now - fleet.sinces[slot]!)})` : "",
    read: known ? `last reading ${duration(feed.now - fleet.times[slot]!)} ago` : "",
  };
}

function alarms({ feed, clock }: Context, customer: string): HTMLElement[] {
  return feed.alarms.of(customer).map((alarm) => h("span", { class: "state strong" },
    alarmSymbol({ condition: alarm.condition, status: filling(statusOf(alarm, feed.now)), priority: alarm.priority }),
    `${PRIORITY_TEXT[alarm.priority]} ${CONDITIONS[alarm.condition]}: ${statusText(alarm, feed.now, clock)}`));
}

function lines(context: Context, slot: number): HTMLElement[] {
  const f = describe(context, slot);
  return [
    h("strong", {}, f.name),
    ...alarms(context, f.name),
    h("span", { class: "state" }, lookSymbol(f.state), `${info(f.state).label} · ${f.rate}`),
    h("span", {}, f.since),
    h("span", {}, f.read),
  ];
}

function line(context: Context, slot: number): HTMLElement[] {
  const f = describe(context, slot);
  return [
    h("strong", {}, h("a", { href: href("customer", f.name) }, f.name)),
    ...alarms(context, f.name),
    h("span", { class: "state" }, lookSymbol(f.state), info(f.state).label),
    h("span", { class: "strong" }, f.rate),
    h("span", {}, f.since),
    h("span", {}, f.read),
  ];
}
