import type { Context } from "../../context";
import type { AlarmPage } from "../../alarms/api";
import type { OpenAlarm } from "../../alarms/status";
import { get } from "../../api";
import { count, duration } from "../../format";
import { h, replace, setText } from "../../element";
import { alarmSymbol } from "../../glyph";
import { filling } from "../../look";
import { amend, href } from "../../router";
import { customerName, parseCustomer } from "../../state";
import { CONDITIONS, PRIORITIES, PRIORITY_TEXT, comparison, openAlarm, statusOf, statusText, subjectHref } from "../../alarms/status";
import { VirtualList } from "../../virtual";

const PAGE = 200;
const MOST = 20_000;
const STATES = [["all", "All"], ["open", "Open"], ["active", "Active"], ["latched", "Ended, unseen"], ["closed", "Closed"]] as const;
const SPANS = [["", "Any time"], ["3600", "Last hour"], ["43200", "Last 12 h"], ["86400", "Last 24 h"], ["604800", "Last 7 d"], ["2592000", "Last 30 d"]] as const;

/** The filter's fields and what they are in the address of the page. */
const FIELDS = ["state", "condition", "priority", "customer", "within"] as const;

/** The list of alarms with its filter. */
export function alarmHistory(root: HTMLElement, context: Context): void {
  const { feed, clock, route, signal } = context;
  let alarms: OpenAlarm[] = [];
  let next: string | null = null;
  let asked = new AbortController();
  let loading = false;
  const status = h("span", { class: "muted", role: "status" });
  const error = h("p", { class: "error", role: "alert" });
  const download = h("a", { class: "button", download: true }, "Download CSV");
  const list = new VirtualList<OpenAlarm>({
    label: "Alarms", columns: ["Raised", "Lasted", "Alarm", "Value", "Customer", "State"], signal,
    row: (alarm, cells) => fill(alarm, cells, context),
    more: () => void more(),
  });
  const pick = (name: string, label: string, options: readonly (readonly [string, string])[]): HTMLElement =>
    h("label", {}, h("span", { class: "visually-hidden" }, label),
      h("select", { name }, ...options.map(([value, text]) => h("option", { value, selected: value === (route.query.get(name) ?? options[0]![0]) }, text))));
  const form = h("form", { class: "toolbar filter", role: "search", "aria-label": "Filter alarms", onsubmit: (event: Event) => event.preventDefault(), onchange: () => load() },
    pick("state", "State", STATES),
    pick("condition", "Condition", [["", "Every condition"], ...Object.entries(CONDITIONS)]),
    pick("priority", "Priority", [["", "Every priority"], ...PRIORITIES.map((priority) => [priority, PRIORITY_TEXT[priority]] as const)]),
    h("input", { type: "search", name: "customer", placeholder: "Customer", "aria-label": "Customer", value: route.query.get("customer") ?? "", autocomplete: "off", spellcheck: "false", maxlength: 14 }),
    pick("within", "Time", SPANS));

  const query = (): URLSearchParams => {
    const fields = new FormData(form);
    const value = (name: string): string => String(fields.get(name) ?? "").trim();
    const search = new URLSearchParams({ state: value("state") });
    for (const name of ["condition", "priority"]) if (value(name)) search.set(name, value(name));
    const customer = parseCustomer(value("customer"));
    if (value("customer")) search.set("subject", customer === undefined ? value("customer") : customerName(customer));
    if (value("within")) search.set("from", new Date(feed.now - Number(value("within")) * 1000).toISOString());
    return search;
  };
  const load = (): void => {
    asked.abort();
    asked = new AbortController();
    loading = false;
    const fields = new FormData(form);
    amend(href("alarms", "", Object.fromEntries(FIELDS.flatMap((name) => (fields.get(name) ? [[name, String(fields.get(name))]] : [])))));
    const exported = query();
    exported.set("format", "csv");
    exported.set("download", "1");
    download.href = `api/v1/alarms?${exported}`;
    next = "";
    alarms = [];
    void more();
  };
  const more = async (): Promise<void> => {
    if (loading || next === null || alarms.length >= MOST) return;
    loading = true;
    const mine = asked;
    try {
      const search = query();
      search.set("limit", String(PAGE));
      if (next) search.set("after", next);
      const page = await get<AlarmPage>(`alarms?${search}`, AbortSignal.any([signal, mine.signal]));
      next = page.next;
      alarms = alarms.concat(page.alarms.map(openAlarm));
      setText(error, "");
    } catch (cause) {
      if (mine.signal.aborted || signal.aborted) return;
      next = null;
      setText(error, cause instanceof Error ? cause.message : String(cause));
    }
    loading = false;
    list.show(alarms);
    setText(status, `${count(alarms.length)}${next === null ? "" : "+"} listed`);
  };
  const changed = (): void => {
    // What changed is shown in place; a new alarm appears with the next look at the top.
    alarms = alarms.map((alarm) => feed.alarms.find(alarm.alarm_id) ?? alarm);
    if (list.atTop && !loading && alarms.length <= PAGE) load();
    else list.show(alarms);
  };
  let due: number | undefined;
  feed.on("alarms", () => (due ??= setTimeout(() => ((due = undefined), changed()), 500)), signal);
  feed.on("link", () => list.refresh(), signal);
  clock.onChange(() => list.refresh(), signal);
  signal.addEventListener("abort", () => {
    clearTimeout(due);
    asked.abort();
  });
  list.emptyText = "No alarm matches.";
  replace(root,
    h("div", { class: "toolbar" }, h("h1", {}, "Alarms"), form, status, h("span", { class: "spacer" }), h("a", { class: "button", href: href("limits") }, "Limits"), download),
    error,
    h("section", { class: "panel list-panel" }, list.element));
  load();
}

function fill(alarm: OpenAlarm, cells: readonly HTMLElement[], { feed, clock }: Context): void {
  const [raised, lasted, what, value, who, state] = cells as [HTMLElement, HTMLElement, HTMLElement, HTMLElement, HTMLElement, HTMLElement];
  const status = statusOf(alarm, feed.now);
  const key = `${alarm.alarm_id} ${alarm.version} ${status} ${clock.utc}`;
  if (raised.dataset["key"] !== key) {
    raised.dataset["key"] = key;
    replace(raised, h("a", { href: href("alarms", alarm.alarm_id) }, h("span", { class: "day" }, clock.day(alarm.raised) + " "), clock.time(alarm.raised)));
    replace(what, alarmSymbol({ condition: alarm.condition, status: filling(status), priority: alarm.priority }),
      h("b", {}, CONDITIONS[alarm.condition]), " ", h("span", { class: `priority priority-${alarm.priority}` }, PRIORITY_TEXT[alarm.priority]));
    const { value: measured, limit } = comparison(alarm);
    setText(value, `${measured} ${limit}`.trim());
    replace(who, h("a", { href: subjectHref(alarm) }, alarm.subject));
  }
  setText(lasted, duration((alarm.cleared_at ? Date.parse(alarm.cleared_at) : feed.now) - alarm.raised));
  setText(state, [statusText(alarm, feed.now, clock), alarm.note].filter(Boolean).join(" · "));
}
