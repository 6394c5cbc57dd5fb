import type { Alarm, AlarmPage } from "../../alarms/api";
import type { Context } from "../../context";
import type { Moment } from "../../chart";
import { get } from "../../api";
import { h, replace } from "../../element";
import { alarmSymbol } from "../../glyph";
import { filling } from "../../look";
import { href } from "../../router";
import { CONDITIONS, PRIORITY_TEXT, comparison, openAlarm, peakText, statusOf, statusText } from "../../alarms/status";

const SHOWN = 50; // on the trace
const LISTED = 3; // closed ones in words; the list of alarms has them all

/** A customer's alarms in words, and their moments for the trace. */
export function customerAlarms(context: Context, customer: string, mark: (moments: readonly Moment[]) => void): HTMLElement {
  const { feed, clock, signal } = context;
  const list = h("ul", { class: "customer-alarms", "aria-label": "Alarms" });
  let alarms: readonly Alarm[] = [];
  let known = "";
  const show = (): void => {
    const open = alarms.filter((alarm) => !alarm.closed_at);
    const rows = [...open, ...alarms.filter((alarm) => alarm.closed_at).slice(0, LISTED)].map((one) => {
      const alarm = openAlarm(one);
      const status = statusOf(alarm, feed.now);
      const { value, limit } = comparison(alarm);
      return h("li", {}, alarmSymbol({ condition: alarm.condition, status: filling(status), priority: alarm.priority }),
        h("a", { href: href("alarms", alarm.alarm_id) }, CONDITIONS[alarm.condition]), h("span", { class: `priority priority-${alarm.priority}` }, PRIORITY_TEXT[alarm.priority]),
        h("span", {}, [`${value} ${limit}`.trim(), peakText(alarm)].filter(Boolean).join(", ")), h("span", { class: "muted" }, `raised ${clock.date(alarm.raised_at)}`), h("b", {}, statusText(alarm, feed.now, clock)));
    });
    replace(list, ...(rows.length > 0 ? rows : [h("li", { class: "muted" }, "No alarm so far.")]),
      alarms.length > rows.length && h("li", {}, h("a", { href: href("alarms", "", { state: "all", customer }) }, "All alarms of this customer")));
  };
  const load = async (): Promise<void> => {
    try {
      alarms = (await get<AlarmPage>(`alarms?state=all&subject=${customer}&limit=${SHOWN}`, signal)).alarms;
      mark(alarms.flatMap(momentsOf));
      show();
    } catch (cause) {
      if (!signal.aborted) replace(list, h("li", { class: "error" }, cause instanceof Error ? cause.message : String(cause)));
    }
  };
  feed.on("alarms", () => {
    const now = feed.alarms.of(customer).map((alarm) => `${alarm.alarm_id} ${alarm.version}`).join();
    if (now === known) return;
    known = now;
    void load();
  }, signal);
  clock.onChange(show, signal);
  void load();
  return h("section", { class: "panel", "aria-label": "Alarms" }, list);
}

function momentsOf(alarm: Alarm): Moment[] {
  const name = CONDITIONS[alarm.condition].toLowerCase();
  const color = `--ink-${alarm.priority}`;
  const at = (time: string): number => Date.parse(time) / 1000;
  const began = at(alarm.onset_at) < at(alarm.active_since) - 1; // otherwise both are one line
  return [
    ...(began ? [{ at: at(alarm.onset_at), label: `${name} begins`, color, dashed: true }] : []),
    { at: at(alarm.active_since), label: `${name} raised`, color, dashed: false },
    ...(alarm.cleared_at ? [{ at: at(alarm.cleared_at), label: `${name} ended`, color, dashed: true }] : []),
  ];
}
