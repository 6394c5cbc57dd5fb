import type { Context } from "../../context";
import type { AlarmWithHistory } from "../../alarms/api";
import type { OpenAlarm } from "../../alarms/status";
import { get } from "../../api";
import { duration } from "../../format";
import { h, replace, setText } from "../../element";
import { alarmSymbol } from "../../glyph";
import { filling } from "../../look";
import { href } from "../../router";
import { actionButtons } from "../../alarms/buttons";
import { historyTable } from "../../alarms/history";
import { CONDITIONS, PRIORITY_TEXT, comparison, openAlarm, peakText, statusOf, statusText, subjectHref } from "../../alarms/status";

/** One alarm: its state, what to do about it, and all that happened to it. */
export function oneAlarm(root: HTMLElement, context: Context, id: string): void {
  const { feed, clock, signal } = context;
  const head = h("div", { class: "vital vital-alarm" });
  const pairs = h("dl", { class: "pairs panel alarm-details" });
  const history = h("div", {});
  const error = h("p", { class: "error", role: "alert" });
  let alarm: OpenAlarm | undefined;
  let version = 0;
  const buttons = actionButtons(context, () => alarm);
  const show = (): void => {
    if (!alarm) return;
    const status = statusOf(alarm, feed.now);
    const { value, limit } = comparison(alarm);
    replace(head,
      alarmSymbol({ condition: alarm.condition, status: filling(status), priority: alarm.priority }),
      h("span", { class: "vital-state" }, h("b", {}, CONDITIONS[alarm.condition]), h("span", { class: `priority priority-${alarm.priority}` }, PRIORITY_TEXT[alarm.priority])),
      h("a", { class: "vital-state", href: subjectHref(alarm) }, alarm.subject),
      value !== "" && h("span", { class: "vital-state" }, h("b", {}, value), limit),
      peakText(alarm) && h("span", { class: "vital-state muted" }, peakText(alarm)),
      h("b", { class: "vital-state" }, statusText(alarm, feed.now, clock)));
    const until = alarm.cleared_at ? Date.parse(alarm.cleared_at) : feed.now;
    const details: readonly (readonly [string, string | undefined])[] = [
      ["Condition began", clock.date(alarm.onset_at)],
      ["Raised", clock.date(alarm.raised_at)],
      ["Raised last", alarm.recurrences ? `${clock.date(alarm.active_since)}, ${alarm.recurrences + 1} times in all` : undefined],
      ["Ended", alarm.cleared_at && clock.date(alarm.cleared_at)],
      ["Lasted", duration(until - Date.parse(alarm.active_since))],
      ["Assigned to", alarm.assigned_to],
      ["Last note", alarm.note],
    ];
    replace(pairs, ...details.flatMap(([name, text]) => (text ? [h("dt", {}, name), h("dd", {}, text)] : [])));
    buttons.show();
  };
  const load = async (): Promise<void> => {
    try {
      const found = await get<AlarmWithHistory>(`alarms/${encodeURIComponent(id)}`, signal);
      alarm = openAlarm(found);
      version = found.version;
      replace(history, historyTable(found.history, clock));
      setText(error, "");
      show();
    } catch (cause) {
      if (!signal.aborted) setText(error, cause instanceof Error ? cause.message : String(cause));
    }
  };
  feed.on("alarms", () => {
    const now = feed.alarms.find(id);
    if (alarm && (now ? now.version !== version : !alarm.closed_at)) void load();
  }, signal);
  feed.on("link", show, signal);
  clock.onChange(() => void load(), signal);
  replace(root,
    h("div", { class: "toolbar" }, h("h1", {}, "Alarm"), h("a", { href: href("alarms") }, "All alarms")),
    head, buttons.element, error, pairs,
    h("section", { class: "panel history" }, h("h2", {}, "History"), history));
  void load();
}
