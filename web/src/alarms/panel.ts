import type { Context } from "../context";
import type { Action, Outcome } from "./actions";
import type { Command } from "./list";
import type { OpenAlarm } from "./status";
import { count } from "../format";
import { h, setText } from "../element";
import { act, mayAct, nameOf } from "./actions";
import { question } from "./dialog";
import { AlarmList, Selection } from "./list";
import { openAlarm } from "./status";

/** Rows stand still while the pointer rests on them: an alarm that comes must not slip under a press. */
const HOLD = 4000;
const SHOWN_MESSAGES = 3;
const ANNOUNCE_EVERY = 30_000;

const DONE: Readonly<Record<Action["kind"], string>> = {
  ack: "acknowledged", snooze: "snoozed", close: "closed", assign: "assigned", comment: "noted",
};

/** The open alarms, worst first, with what to do about them; those that ended unseen stand apart. */
export function alarmPanel(context: Context): HTMLElement {
  const { feed, clock, me, signal } = context;
  const allowed = mayAct(me);
  const selection = new Selection();
  const busy = new Set<string>();
  const headline = h("h2", { class: "headline", id: "headline" }, "Waiting for the first alarms…");
  const subline = h("p", { class: "muted subline" });
  const done = h("p", { class: "done", role: "status" });
  const refused = h("p", { class: "error", role: "alert", id: "refused" });
  const spoken = h("p", { class: "visually-hidden", role: "status" });
  let announced = 0;

  const chosen = (alarm?: OpenAlarm): OpenAlarm[] => {
    const ids = selection.ids.size > 0 && (!alarm || selection.ids.has(alarm.alarm_id)) ? [...selection.ids] : alarm ? [alarm.alarm_id] : [];
    return ids.flatMap((id) => feed.alarms.find(id) ?? []);
  };
  const run = async (name: Command, alarm?: OpenAlarm): Promise<void> => {
    const alarms = chosen(alarm); // as they are on the screen now: the server refuses what changes meanwhile
    if (alarms.length === 0 || !allowed) return;
    const focused = document.activeElement;
    const action = await question(name, alarms, me.name);
    if (focused instanceof HTMLElement) focused.focus();
    if (!action) return;
    for (const one of alarms) busy.add(one.alarm_id);
    setText(refused, "");
    setText(done, alarms.length > 1 ? `${count(alarms.length)} alarms…` : "");
    refresh();
    const outcomes = await act(alarms, action, clock);
    for (const { alarm: { alarm_id }, after } of outcomes) {
      busy.delete(alarm_id);
      selection.ids.delete(alarm_id);
      if (after) feed.answered(after);
    }
    selection.onChange();
    report(outcomes, action, done, refused);
    refresh();
  };
  const options = { selection, mayAct: allowed, busy: (id: string) => busy.has(id), command: (name: Command, alarm: OpenAlarm) => void run(name, alarm) };
  const active = new AlarmList(context, { ...options, id: "open", label: "Open alarms, worst first" });
  const ended = new AlarmList(context, { ...options, id: "ended", label: "Alarms that ended unseen" });
  const endedCount = h("h3", { class: "section" });
  const endedPart = h("section", { class: "ended", hidden: true, "aria-label": "Ended, unseen" }, endedCount, ended.element);
  const bar = actionBar(allowed, selection, () => [active, ended].forEach((list) => list.refresh()), (name) => void run(name));
  let shown: OpenAlarm[] = [];

  const refresh = (): void => {
    const now = feed.now;
    const { unacknowledged, high, open } = feed.alarms.counts(now);
    const held = Date.now() - Math.max(active.pointed, ended.pointed) < HOLD;
    const all = held ? hold(shown, (id) => feed.alarms.find(id)) : [...feed.alarms.sorted(now)];
    const fresh = held ? feed.alarms.size - all.filter((alarm) => !alarm.closed_at).length : 0;
    shown = all;
    const latched = all.filter((alarm) => !alarm.active && (!alarm.closed_at || held));
    active.show(all.filter((alarm) => alarm.active));
    ended.show(latched);
    endedPart.hidden = latched.length === 0;
    setText(endedCount, `Ended, unseen: ${count(latched.length)}`);
    if (!feed.alarms.known) return;
    const text = unacknowledged === 0 ? (open === 0 ? "No open alarm" : "All alarms are acknowledged") : `${count(unacknowledged)} need${unacknowledged === 1 ? "s" : ""} attention`;
    setText(headline, text);
    headline.dataset["level"] = high > 0 ? "high" : unacknowledged > 0 ? "some" : "none";
    const parts = [`${count(high)} high`, `${count(unacknowledged - high)} other`, `${count(open - unacknowledged)} acknowledged`];
    const more = feed.alarms.total > feed.alarms.size ? `; the list shows the worst ${count(feed.alarms.size)}` : "";
    setText(subline, fresh > 0 ? `${count(fresh)} new: shown as soon as the pointer rests elsewhere` : open === 0 ? "" : parts.join(" · ") + more);
    active.emptyText = open === 0 ? "No alarm is open." : "No alarm is active.";
    if (Date.now() - announced > ANNOUNCE_EVERY) {
      announced = Date.now();
      setText(spoken, `${text}. ${parts.join(", ")}.`);
    }
  };
  let frame = 0;
  const soon = (): void => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      refresh();
    });
  };
  selection.onChange = () => {
    bar.show(selection.ids.size);
    [active, ended].forEach((list) => list.refresh());
  };
  feed.on("alarms", soon, signal);
  feed.on("link", soon, signal); // ages, and acknowledgements that expire
  clock.onChange(soon, signal);
  signal.addEventListener("abort", () => cancelAnimationFrame(frame));
  refresh();
  return h("section", { class: "panel alarm-panel", "aria-label": "Alarms" },
    h("div", { class: "alarm-head" }, headline, subline, h("span", { class: "spacer" }), bar.element),
    done, refused,
    h("p", { id: "alarm-keys", class: `muted keys${allowed ? "" : " keys-viewer"}` }, allowed
      ? "↑ ↓ move · space selects · A acknowledge · S snooze · N note · T assign · C close · Enter opens"
      : `${me.name || "You"} may look but not act: that needs the role operator.`),
    active.element, endedPart, spoken);
}

function hold(shown: readonly OpenAlarm[], find: (id: string) => OpenAlarm | undefined): OpenAlarm[] {
  return shown.map((alarm) => find(alarm.alarm_id) ?? (alarm.closed_at ? alarm : { ...alarm, closed_at: new Date().toISOString() }));
}

function report(outcomes: readonly Outcome[], action: Action, done: HTMLElement, refused: HTMLElement): void {
  const good = outcomes.filter((outcome) => outcome.after);
  const bad = outcomes.filter((outcome) => outcome.refused);
  const what = good.length === 1 ? nameOf(openAlarm(good[0]!.after!)) : `${count(good.length)} alarms`;
  setText(done, good.length === 0 ? "" : `${what}: ${DONE[action.kind]}.`);
  const rest = bad.length > SHOWN_MESSAGES ? ` And ${count(bad.length - SHOWN_MESSAGES)} more.` : "";
  setText(refused, bad.slice(0, SHOWN_MESSAGES).map((outcome) => outcome.refused).join(" ") + rest);
}

/** What can be done to all that are selected. */
function actionBar(allowed: boolean, selection: Selection, changed: () => void, run: (name: Command) => void): { element: HTMLElement; show: (n: number) => void } {
  const label = h("span", { class: "strong", role: "status" });
  const button = (name: Command, text: string): HTMLElement => h("button", { type: "button", onclick: () => run(name) }, text);
  const element = h("div", { class: "toolbar selection", hidden: true },
    label, button("ack", "Acknowledge"), button("snooze", "Snooze"), button("comment", "Note"), button("assign", "Assign"), button("close", "Close"),
    h("button", { type: "button", class: "quiet", onclick: () => (selection.clear(), changed()) }, "None"));
  return {
    element,
    show(n) {
      element.hidden = n === 0 || !allowed;
      setText(label, `${count(n)} selected`);
    },
  };
}
