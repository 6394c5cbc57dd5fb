import type { Context } from "../context";
import type { OpenAlarm } from "./status";
import { brief, duration } from "../format";
import { h, replace, setText } from "../element";
import { filling } from "../look";
import { alarmSymbol } from "../glyph";
import { go, href } from "../router";
import { VirtualList } from "../virtual";
import { CONDITIONS, PRIORITY_TEXT, comparison, peakText, statusOf, statusText, subjectHref } from "./status";

/** The rows that are chosen, shared by the lists of a page. */
export class Selection {
  readonly ids = new Set<string>();
  onChange: () => void = () => {};

  toggle(id: string, to = !this.ids.has(id)): void {
    if (to) this.ids.add(id);
    else this.ids.delete(id);
    this.onChange();
  }

  clear(): void {
    this.ids.clear();
    this.onChange();
  }
}

export interface ListOptions {
  readonly id: string;
  readonly label: string;
  readonly selection: Selection;
  readonly mayAct: boolean;
  /** Called with a command and the alarm of the current row. */
  readonly command: (name: Command, alarm: OpenAlarm) => void;
  readonly busy: (id: string) => boolean;
}

export type Command = "ack" | "snooze" | "comment" | "assign" | "close";
export const KEYS: Readonly<Record<string, Command>> = { a: "ack", s: "snooze", n: "comment", t: "assign", c: "close" };

/** A grid of open alarms. Arrow keys move, space selects, and a letter acts on what is selected or else on the current row. */
export class AlarmList {
  readonly #list: VirtualList<OpenAlarm>;
  readonly #options: ListOptions;
  readonly #context: Context;
  #alarms: readonly OpenAlarm[] = [];
  #current: string | undefined;
  /** When the pointer last moved over the rows. */
  pointed = 0;

  constructor(context: Context, options: ListOptions) {
    this.#context = context;
    this.#options = options;
    this.#list = new VirtualList<OpenAlarm>({
      label: options.label, grid: options.id, signal: context.signal, more: () => {},
      columns: ["", "Alarm", "Customer", "Value", "Since", "State", ""],
      row: (alarm, cells) => this.#fill(alarm, cells),
      decorate: (alarm, row) => this.#decorate(alarm, row),
    });
    const { scroller } = this.#list;
    scroller.setAttribute("aria-describedby", "alarm-keys");
    const listen = { signal: context.signal };
    scroller.addEventListener("click", (event) => this.#click(event), listen);
    scroller.addEventListener("dblclick", (event) => this.#open(this.#list.indexOf(event.target as Element)), listen);
    scroller.addEventListener("keydown", (event) => this.#key(event), listen);
    scroller.addEventListener("focus", () => this.#moveTo(this.#index), listen);
    scroller.addEventListener("blur", () => this.#list.refresh(), listen);
    scroller.addEventListener("pointermove", () => (this.pointed = Date.now()), listen);
    scroller.addEventListener("pointerleave", () => (this.pointed = 0), listen);
  }

  get element(): HTMLElement {
    return this.#list.element;
  }

  focus(): void {
    this.#list.scroller.focus();
  }

  show(alarms: readonly OpenAlarm[]): void {
    this.#alarms = alarms;
    this.#list.show(alarms);
  }

  refresh(): void {
    this.#list.refresh();
  }

  set emptyText(text: string) {
    this.#list.emptyText = text;
  }

  get #index(): number {
    return Math.max(0, this.#alarms.findIndex((alarm) => alarm.alarm_id === this.#current));
  }

  #moveTo(index: number): void {
    const alarm = this.#alarms[Math.min(Math.max(index, 0), this.#alarms.length - 1)];
    this.#current = alarm?.alarm_id;
    if (alarm) this.#list.reveal(this.#alarms.indexOf(alarm));
  }

  #open(index: number | undefined): void {
    const alarm = index === undefined ? undefined : this.#alarms[index];
    if (alarm) go(href("alarms", alarm.alarm_id));
  }

  #click(event: Event): void {
    const target = event.target as Element;
    const index = this.#list.indexOf(target);
    const alarm = index === undefined ? undefined : this.#alarms[index];
    if (!alarm || target.closest("a")) return;
    this.#current = alarm.alarm_id;
    const command = target.closest<HTMLElement>("[data-command]")?.dataset["command"] as Command | "select" | undefined;
    if (command === "select") this.#options.selection.toggle(alarm.alarm_id);
    else if (command) this.#options.command(command, alarm);
    this.#list.refresh();
  }

  #key(event: KeyboardEvent): void {
    const index = this.#index;
    const alarm = this.#alarms[index];
    if (event.altKey || event.metaKey || !alarm) return;
    if (event.ctrlKey) {
      if (event.key !== "a" || !this.#options.mayAct) return;
      for (const one of this.#alarms) this.#options.selection.ids.add(one.alarm_id);
      this.#options.selection.onChange();
      event.preventDefault();
      return;
    }
    const page = this.#list.page;
    const moves: Record<string, number> = { ArrowDown: index + 1, ArrowUp: index - 1, PageDown: index + page, PageUp: index - page, Home: 0, End: this.#alarms.length - 1 };
    const to = moves[event.key];
    const command = KEYS[event.key.toLowerCase()];
    if (to !== undefined) {
      if (event.shiftKey && this.#options.mayAct) this.#options.selection.toggle(alarm.alarm_id, true);
      this.#moveTo(to);
      if (event.shiftKey && this.#options.mayAct && this.#current) this.#options.selection.toggle(this.#current, true);
    } else if (event.key === " " && this.#options.mayAct) this.#options.selection.toggle(alarm.alarm_id);
    else if (event.key === "Escape") this.#options.selection.clear();
    else if (event.key === "Enter") this.#open(index);
    else if (command && this.#options.mayAct) this.#options.command(command, alarm);
    else return;
    this.#list.refresh();
    event.preventDefault();
  }

  #decorate(alarm: OpenAlarm, row: HTMLElement): void {
    const { scroller } = this.#list;
    const now = this.#context.feed.now;
    const current = alarm.alarm_id === this.#current;
    const selected = String(this.#options.selection.ids.has(alarm.alarm_id));
    if (row.ariaSelected !== selected) row.ariaSelected = selected;
    const looks = `virtual-row alarm-row alarm-row-${statusOf(alarm, now)} alarm-row-${alarm.priority}${current ? " current" : ""}`;
    if (row.className !== looks) row.className = looks;
    if (current && document.activeElement === scroller) scroller.setAttribute("aria-activedescendant", row.id);
  }

  #fill(alarm: OpenAlarm, cells: readonly HTMLElement[]): void {
    const { feed, clock } = this.#context;
    const now = feed.now;
    const [select, what, who, value, since, state, buttons] = cells as [HTMLElement, HTMLElement, HTMLElement, HTMLElement, HTMLElement, HTMLElement, HTMLElement];
    const { mayAct, busy, selection } = this.#options;
    const status = statusOf(alarm, now);
    const selected = selection.ids.has(alarm.alarm_id);
    once(select, `${alarm.subject} ${selected} ${mayAct}`, () => mayAct && [
      h("button", { type: "button", class: "tick", tabindex: "-1", role: "checkbox", "aria-checked": String(selected), "aria-label": `Select ${alarm.subject}`, "data-command": "select" }, selected ? "✓" : "")]);
    once(what, `${alarm.condition} ${alarm.priority} ${status}`, () => [
      alarmSymbol({ condition: alarm.condition, status: filling(status), priority: alarm.priority }),
      h("span", { class: "two" }, h("b", {}, CONDITIONS[alarm.condition]), h("span", { class: `priority priority-${alarm.priority}` }, PRIORITY_TEXT[alarm.priority]))]);
    const extra = [alarm.assigned_to ? `→ ${alarm.assigned_to}` : "", alarm.recurrences ? `${alarm.recurrences + 1}× raised` : ""].filter(Boolean).join(" · ");
    once(who, `${alarm.subject} ${extra}`, () => [h("span", { class: "two" }, h("a", { href: subjectHref(alarm), tabindex: "-1" }, alarm.subject), h("span", { class: "muted" }, extra))]);
    const { value: measured, limit } = comparison(alarm);
    once(value, `${measured} ${limit} ${peakText(alarm)}`, () => [h("span", { class: "two" }, h("span", {}, h("b", { class: "measured" }, measured), " ", limit), h("span", { class: "muted" }, peakText(alarm)))]);
    once(since, `${alarm.active_since} ${clock.utc}`, () => [h("span", { class: "two" }, h("b", { class: "age" }), h("span", { class: "muted" }, `since ${clock.time(alarm.active_since)}`))]);
    setText(since.querySelector(".age")!, alarm.active ? duration(now - Date.parse(alarm.active_since)) : `lasted ${brief(Date.parse(alarm.cleared_at ?? alarm.active_since) - Date.parse(alarm.active_since))}`);
    once(state, `${alarm.note ?? ""}`, () => [h("span", { class: "two" }, h("span", { class: "state-text" }), h("span", { class: "muted note" }, alarm.note ?? ""))]);
    setText(state.querySelector(".state-text")!, statusText(alarm, now, clock));
    const working = busy(alarm.alarm_id);
    once(buttons, `${alarm.alarm_id} ${status} ${working} ${mayAct}`, () => mayAct && status !== "closed" && [
      command("ack", status === "ended" ? "Seen" : "Acknowledge", status === "acknowledged" || working, "A"),
      status !== "ended" && command("snooze", "Snooze", working, "S"),
      command("comment", "Note", working, "N"),
      command("assign", "Assign", working, "T")]);
  }
}

function command(name: Command, text: string, disabled: boolean, key: string): HTMLElement {
  return h("button", { type: "button", tabindex: "-1", class: name === "ack" ? "primary" : "quiet", "data-command": name, disabled, title: `${text} (${key})` }, text);
}

/** Fills a cell again only where its key differs: rows are refreshed each second, and a button must not vanish under a press. */
function once(cell: HTMLElement, key: string, fill: () => readonly (Node | false)[] | false): void {
  if (cell.dataset["key"] === key) return;
  cell.dataset["key"] = key;
  replace(cell, ...(fill() || []));
}
