import type { AlarmCounts, LimitTrial, LimitTrialResult } from "./api";
import type { Context } from "../context";
import { get, post } from "../api";
import { h, replace, setText } from "../element";
import { count, rate } from "../format";
import { poll } from "../poll";
import { href } from "../router";
import { fieldValue, hoursText, limitFields, whose } from "./limits";

type Proposed = LimitTrial["limits"][number];

const WHILE_RUNNING = 1000;
const OTHERWISE = 15_000; // another viewer may start one
const SPANS = [[1, "1 hour"], [6, "6 hours"], [24, "24 hours"], [72, "3 days"], [168, "7 days"]] as const;
const KINDS = [["rate_high", "Rate high"], ["rate_low", "Rate low"], ["bad_signal", "Bad signal"]] as const;

/** A dry run: limits over stored readings, before they are set. The server does one at a time, and everybody sees it. */
export function limitTrial(context: Context): HTMLElement {
  const { feed, signal } = context;
  const fields = limitFields(context, ["fleet", "cohort", "person"]);
  const error = h("p", { class: "error", role: "alert" });
  const outcome = h("div", { class: "trial" });
  const others = h("ul", { class: "trial-limits", "aria-label": "Limits to try together" });
  let proposed: object[] = [];
  let shown = ""; // what outcome shows
  let running = false;
  const show = (trial: LimitTrial | null): void => {
    running = trial?.state === "running";
    submit.disabled = running;
    const text = JSON.stringify(trial);
    if (text === shown) return;
    shown = text;
    drawTrial(outcome, context, trial, cancel);
  };
  const attempt = async (send: () => Promise<LimitTrial>): Promise<boolean> => {
    setText(error, "");
    try {
      show(await send());
      return true;
    } catch (cause) {
      setText(error, cause instanceof Error ? cause.message : String(cause));
      return false;
    } finally {
      again();
    }
  };
  const cancel = (id: number): void => void attempt(() => post<LimitTrial>(`limits/trial/${id}/cancel`));
  const list = (): void => replace(others, ...proposed.map((one, i) => h("li", {}, describe(one as Proposed), " ", h("button", {
    type: "button", class: "quiet", "aria-label": `Leave out ${describe(one as Proposed)}`,
    onclick: () => {
      proposed = proposed.filter((_, other) => other !== i);
      list();
    },
  }, "Leave out"))));
  const add = (): void => {
    if (!form.reportValidity()) return;
    proposed = [...proposed, fields.read(form)];
    fields.reset(form);
    list();
  };
  const start = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const to = feed.now;
    const from = to - Number(fieldValue(form, "span")) * 3_600_000;
    await attempt(() => post<LimitTrial>("limits/trial", { limits: [...proposed, fields.read(form)], from: new Date(from).toISOString(), to: new Date(to).toISOString() }));
  };
  const submit = h("button", { type: "submit", class: "primary" }, "Try limits");
  const form = h("form", { class: "toolbar trial-form", "aria-label": "Try limits", onsubmit: (event: SubmitEvent) => void start(event) },
    ...fields.elements,
    h("label", { class: "field" }, "Over the last", h("select", { name: "span" }, ...SPANS.map(([hours, text]) => h("option", { value: hours, selected: hours === 24 }, text)))),
    h("button", { type: "button", onclick: add }, "Add another limit"), submit);
  const again = poll(() => (running ? WHILE_RUNNING : OTHERWISE), (stop) => get<{ trial: LimitTrial | null }>("limits/trial", stop), ({ trial }) => show(trial),
    (cause) => setText(error, cause instanceof Error ? cause.message : String(cause)), signal);
  context.clock.onChange(() => {
    shown = "";
    again();
  }, signal);
  return h("section", { class: "panel history limits", "aria-label": "Try limits" },
    h("h2", {}, "Try limits"),
    h("p", {}, "A dry run over the readings that are stored and that Kafka still has: how many alarms a day there would have been with other limits, and whose. No limit is set."),
    h("div", { class: "limit-list" }, form, others, error, outcome));
}

function describe(limit: Proposed): string {
  const values = [limit.low && `low ${limit.low}`, limit.high && `high ${limit.high}`].filter(Boolean).join(", ");
  return `${whose(limit)}: ${values || "no value"}${limit.hours ? `, ${hoursText(limit)}` : ""}`;
}

function drawTrial(outcome: HTMLElement, { clock }: Context, trial: LimitTrial | null, cancel: (id: number) => void): void {
  if (!trial) return replace(outcome);
  const what = `${trial.limits.map(describe).join("; ")} (${trial.by})`;
  if (trial.state === "running") {
    let progress = outcome.querySelector("progress");
    if (!progress) {
      progress = h("progress", { "aria-label": "Readings judged" });
      replace(outcome, h("p", { role: "status" }, `Trying ${what}`), h("div", { class: "toolbar trial-progress" }, progress, h("span", {}),
        h("button", { type: "button", onclick: () => cancel(trial.trial_id) }, "Cancel")));
    }
    progress.max = Math.max(trial.records, 1);
    progress.value = trial.read;
    setText(progress.nextElementSibling!, trial.records === 0 ? "looking for the readings" : `${count(trial.read)} of ${count(trial.records)} readings`);
    return;
  }
  const heading = h("p", { role: "status" }, h("b", {}, `${trial.state === "done" ? "Tried" : trial.state === "failed" ? "Not tried" : "Cancelled"}: `), what);
  if (trial.error) return replace(outcome, heading, h("p", { class: "error" }, trial.error));
  if (!trial.result) return replace(outcome, heading);
  if (trial.result.readings === 0) {
    const why = trial.result.cut ? "Kafka's retention has deleted them." : "none was stored, or its topic is gone.";
    return replace(outcome, heading, h("p", { class: "error" }, `Kafka has no stored reading from ${clock.date(trial.from)} to ${clock.date(trial.to)}: ${why}`));
  }
  replace(outcome, heading, ...facts(trial.result, (text) => clock.date(text)), perDay(trial.result), changes(trial, trial.result));
}

/** What was read, and what to know about it. */
function facts(r: LimitTrialResult, date: (text: string) => string): HTMLElement[] {
  const lines = [`${count(r.readings)} readings of ${count(r.customers)} customers, ${date(r.from)} to ${date(r.to)}, in ${rate(r.seconds)} s.`];
  if (r.cut) lines.push("Kafka no longer has all readings of the time: what its retention has deleted is missing.");
  if (r.undecided > 0) lines.push(`Of ${count(r.undecided)} customers the log has too few readings to compare them with what is stored.`);
  const all = lines.map((line) => h("p", { class: "muted" }, line));
  if (r.differences > 0) {
    all.push(h("p", { class: "error" }, `The limits in force give other alarms than those stored, ${count(r.differences)} differ: heartbeat verify --replay names them.`));
  }
  return all;
}

function perDay(r: LimitTrialResult): HTMLElement {
  const row = (name: string, alarms: AlarmCounts): HTMLElement => h("tr", {}, h("th", { scope: "row" }, name),
    ...[total(alarms), ...KINDS.map(([kind]) => alarms[kind])].map((n) => h("td", { class: "number" }, rate(r.days > 0 ? n / r.days : 0))));
  return table("Alarms a day", ["Alarms a day", "All", ...KINDS.map(([, text]) => text)], [row("now", r.now), row("proposed", r.proposed)]);
}

function changes(trial: LimitTrial, r: LimitTrialResult): HTMLElement {
  if (r.changed.length === 0) return h("p", {}, "No customer has more or fewer alarms.");
  const cell = (now: number, then: number): HTMLElement => h("td", { class: "number" }, now === then ? count(now) : `${count(now)} → ${count(then)}`);
  const rows = r.changed.map((one) => h("tr", {}, h("th", { scope: "row" }, h("a", { href: href("customer", one.customer_id) }, one.customer_id)),
    cell(total(one.now), total(one.proposed)), ...KINDS.map(([kind]) => cell(one.now[kind], one.proposed[kind]))));
  const more = trial.changed - r.changed.length;
  return h("div", {}, h("p", {}, `The alarms of ${trial.changed === 1 ? "one customer" : `${count(trial.changed)} customers`} change${more > 0 ? `; the ${count(r.changed.length)} with the largest change are listed` : ""}:`),
    table("Customers whose alarms change", ["Customer", "Alarms", ...KINDS.map(([, text]) => text)], rows, "scroll-x scroll-y"));
}

function table(name: string, columns: readonly string[], rows: readonly HTMLElement[], scroll = "scroll-x"): HTMLElement {
  return h("div", { class: scroll, tabindex: "0", role: "region", "aria-label": name },
    h("table", {}, h("thead", {}, h("tr", {}, ...columns.map((text, i) => h("th", { scope: "col", class: i > 0 && "number" }, text)))), h("tbody", {}, ...rows)));
}

function total(alarms: AlarmCounts): number {
  return alarms.rate_high + alarms.rate_low + alarms.bad_signal;
}
