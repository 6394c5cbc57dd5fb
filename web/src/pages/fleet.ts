import type { Context } from "../context";
import type { Order } from "../fleet";
import { arrange } from "../fleet";
import { duration } from "../format";
import { h, replace, setText } from "../element";
import { go, href } from "../router";
import { alarmPanel } from "../alarms/panel";
import { CONDITIONS, PRIORITY_TEXT, statusText } from "../alarms/status";
import { GROUPS, Group } from "../look";
import { State, info, parseCustomer } from "../state";
import { lookSymbol } from "../glyph";
import { Wall } from "../wall";
import { figures } from "./fleet/figures";
import { tooltip } from "./fleet/tooltip";

/** The open alarms, the wall of all customers beside them, and the totals above both. */
export function fleetPage(root: HTMLElement, context: Context): void {
  const { feed, signal } = context;
  const chosen = new Set<Group>();
  let order: Order = context.route.query.get("order") === "id" ? "id" : "worst";
  const wall = new Wall(feed.fleet, signal);
  const tip = tooltip(context);
  const empty = h("p", { class: "wall-empty" });
  const rearrange = (): void => {
    const slots = arrange(feed.fleet, order, chosen);
    wall.arrange(slots);
    setText(empty, emptyText(feed.frame !== undefined, feed.fleet.seen, slots.length, chosen.size));
    empty.hidden = empty.textContent === "";
  };

  wall.onHover = tip.hover;
  wall.onOpen = (slot) => go(href("customer", feed.fleet.name(slot)));
  wall.onFocus = (slot) => {
    tip.focus(slot);
    if (slot !== undefined) wall.describe(sentence(context, slot));
  };

  const filters = filterBar(context, chosen, rearrange);
  replace(
    root,
    h("h1", { class: "visually-hidden" }, "Fleet"),
    figures(context),
    alarmPanel(context),
    h("section", { class: "panel wall-panel", "aria-label": "Wall" },
      h("div", { class: "toolbar" }, filters.element),
      h("div", { class: "toolbar" },
        orderSwitch(order, (to) => ((order = to), rearrange())),
        zoomButtons(wall),
        searchForm(context, wall),
      ),
      tip.detail,
      h("div", { class: "wall-box" }, wall.element, empty),
    ),
    tip.element,
  );

  rearrange();
  let size = 0;
  feed.on("hello", rearrange, signal);
  feed.on("frame", () => {
    filters.show();
    const moving = (order === "worst" || chosen.size > 0) && feed.fleet.changed.length > 0;
    if (moving || feed.fleet.size !== size || feed.frame?.from === 0) {
      size = feed.fleet.size;
      rearrange();
    } else {
      wall.update(feed.fleet.changed);
    }
  }, signal);
  feed.on("link", () => (wall.stale = feed.frame !== undefined && feed.stale), signal);
}

function emptyText(connected: boolean, seen: number, shown: number, filters: number): string {
  if (!connected) return "Waiting for the first frame…";
  if (shown === 0 && filters > 0) return "No customer is in the chosen groups.";
  if (seen === 0) return "No reading has arrived yet. Start `heartbeat produce`, or point a device at the topic.";
  return "";
}

function sentence({ feed, clock }: Context, slot: number): string {
  const fleet = feed.fleet;
  const state = fleet.states[slot]! as State;
  if (state === State.Never) return `${fleet.name(slot)}: never seen`;
  const alarms = feed.alarms.of(fleet.name(slot)).map((alarm) =>
    `${PRIORITY_TEXT[alarm.priority]} alarm, ${CONDITIONS[alarm.condition]}, ${statusText(alarm, feed.now, clock)}; `).join("");
  return `${fleet.name(slot)}: ${alarms}${fleet.rates[slot]} bpm, ${info(state).label}, for ${duration(feed.now - fleet.sinces[slot]!)}, ` +
    `read ${duration(feed.now - fleet.times[slot]!)} ago`;
}

/** The legend, the counts and the filter in one. */
function filterBar({ feed }: Context, chosen: Set<Group>, changed: () => void): { element: HTMLElement; show: () => void } {
  const counts = new Map<Group, HTMLElement>();
  const buttons = GROUPS.map((s) => {
    const number = h("span", { class: "chip-count" }, "–");
    counts.set(s.group, number);
    const button = h("button", {
      type: "button", class: "chip", "aria-pressed": "false", title: `${s.title}. Show only these.`,
      "data-group": s.name,
      onclick: () => {
        if (!chosen.delete(s.group)) chosen.add(s.group);
        button.setAttribute("aria-pressed", String(chosen.has(s.group)));
        changed();
      },
    }, lookSymbol(s.example), h("span", { class: "chip-label" }, s.label), number);
    return button;
  });
  const show = (): void => {
    for (const [group, element] of counts) setText(element, feed.fleet.groups[group]!.toLocaleString("en"));
  };
  return { element: h("div", { class: "chips", role: "group", "aria-label": "Show only" }, ...buttons), show };
}

function orderSwitch(order: Order, pick: (order: Order) => void): HTMLElement {
  const option = (value: Order, text: string): HTMLElement =>
    h("label", {}, h("input", { type: "radio", name: "order", value, checked: value === order, onchange: () => pick(value) }), h("span", {}, text));
  return h("fieldset", { class: "segments" }, h("legend", { class: "visually-hidden" }, "Order"), option("worst", "Worst first"), option("id", "By id"));
}

function zoomButtons(wall: Wall): HTMLElement {
  const button = (text: string, label: string, to: () => number): HTMLButtonElement =>
    h("button", { type: "button", "aria-label": label, title: label, onclick: () => (wall.zoom = to()) }, text);
  const out = button("−", "Zoom out", () => wall.zoom - 1);
  const all = button("All", "All: show every customer", () => 0);
  wall.onZoom = (level) => (out.disabled = all.disabled = level === 0);
  out.disabled = all.disabled = true;
  return h("div", { class: "segments", role: "group", "aria-label": "Zoom" }, out, all, button("+", "Zoom in", () => wall.zoom + 1));
}

function searchForm({ feed }: Context, wall: Wall): HTMLElement {
  const input = h("input", { type: "search", id: "find", placeholder: "Find CUST_00042", "aria-label": "Find a customer by id", autocomplete: "off", spellcheck: "false", maxlength: 14 });
  const error = h("span", { class: "search-error", role: "status" });
  const find = (event: Event): void => {
    event.preventDefault();
    const id = parseCustomer(input.value);
    const slot = id === undefined ? undefined : feed.fleet.find(id);
    if (id === undefined) setText(error, "Not an id");
    else if (slot === undefined) setText(error, "Unknown");
    else if (!wall.focusOn(slot)) setText(error, "Filtered away");
    else {
      setText(error, "");
      wall.element.focus();
    }
  };
  return h("form", { class: "search", role: "search", onsubmit: find, oninput: () => setText(error, "") }, input, error);
}
