import type { Context } from "../../context";
import type { DeadLetter, DeadLetterPage, RawDeadLetter } from "../../api";
import { get, post } from "../../api";
import { bytes, count } from "../../format";
import { h, replace, setText } from "../../element";
import { poll } from "../../poll";

const EVERY = 5000;
const NUMBERS = new Set(["Number", "Partition", "Offset", "Size"]);
const COLUMNS = ["Number", "Recorded", "Reason", "Detail", "Customer", "Partition", "Offset", "Size", "State", "Bytes"];

/** Records that are not readings: how many for which reason, each with its bytes, and replay. */
export function deadLetters(context: Context): HTMLElement {
  const { signal } = context;
  let reason = "";
  const chips = h("div", { class: "chips", role: "group", "aria-label": "Reason" });
  const body = h("tbody", {});
  const note = h("p", { class: "muted", role: "status" });
  const table = h("div", { class: "scroll-x scroll-y", hidden: true, tabindex: "0", role: "region", "aria-label": "List of dead letters" },
    h("table", { id: "dead-letters" }, h("thead", {}, h("tr", {}, ...COLUMNS.map((text) => h("th", { scope: "col", class: NUMBERS.has(text) && "number" }, text)))), body));
  const dialog = h("dialog", { class: "letter", "aria-labelledby": "letter-title" });
  const again = poll(
    () => EVERY,
    (stop) => get<DeadLetterPage>(`dead-letters?limit=50${reason ? `&reason=${reason}` : ""}`, stop),
    (page) => {
      reasons(chips, page, reason, (to) => {
        reason = to;
        again();
      });
      replace(body, ...page.dead_letters.map((letter) => row(letter, context, () => void open(dialog, letter.dead_letter_id, context, again))));
      table.hidden = page.dead_letters.length === 0;
      setText(note, page.dead_letters.length === 0 ? "None. Whatever is not a valid reading would be kept here with its reason." : page.next === null ? "" : "The newest 50 are shown.");
    },
    (cause) => setText(note, cause instanceof Error ? cause.message : String(cause)),
    signal,
  );
  signal.addEventListener("abort", () => dialog.close());
  return h("section", { class: "panel", "aria-label": "Dead letters" },
    h("h2", {}, "Dead letters"), chips, table, note, dialog);
}

function reasons(chips: HTMLElement, page: DeadLetterPage, chosen: string, pick: (reason: string) => void): void {
  const focused = (document.activeElement as HTMLElement | null)?.dataset["reason"];
  const total = page.reasons.reduce((sum, r) => sum + r.total, 0);
  const all = [{ reason: "", total, pending: 0 }, ...page.reasons];
  replace(chips, ...all.map((r) => h("button", {
    type: "button", class: "chip", "aria-pressed": String(r.reason === chosen), "data-reason": r.reason || "all", onclick: () => pick(r.reason),
  }, h("span", { class: "chip-label" }, r.reason || "all"), h("span", { class: "chip-count" }, count(r.total)))));
  if (focused) chips.querySelector<HTMLElement>(`[data-reason="${focused}"]`)?.focus();
}

function row(letter: DeadLetter, { clock }: Context, show: () => void): HTMLElement {
  return h("tr", {},
    h("td", { class: "number" }, String(letter.dead_letter_id)), h("td", {}, clock.date(letter.recorded_at)), h("td", {}, h("code", {}, letter.reason)),
    h("td", { class: "detail" }, letter.detail), h("td", {}, letter.customer_id ?? "–"), h("td", { class: "number" }, String(letter.kafka_partition)),
    h("td", { class: "number" }, count(letter.kafka_offset)), h("td", { class: "number" }, bytes(letter.raw_length)), h("td", {}, letter.replayed_at ? "replayed" : "waiting"),
    h("td", {}, h("button", { type: "button", class: "quiet", "aria-label": `Show dead letter ${letter.dead_letter_id}`, onclick: show }, "Show")));
}

/** Shows a dead letter's bytes and lets the viewer try again. */
async function open(dialog: HTMLDialogElement, id: number, { clock, feed, signal }: Context, changed: () => void): Promise<void> {
  const outcome = h("p", { role: "status" });
  const content = h("div", {}, h("p", { class: "muted" }, "Loading…"));
  const replay = h("button", { type: "button", hidden: true }, "Replay");
  replace(dialog, h("h2", { id: "letter-title" }, `Dead letter ${id}`), content, outcome,
    h("div", { class: "buttons" }, replay, h("button", { type: "button", onclick: () => dialog.close() }, "Close")));
  dialog.showModal();
  try {
    const letter = await get<RawDeadLetter>(`dead-letters/${id}`, signal);
    replace(content, details(letter, clock.date(letter.recorded_at)));
    replay.hidden = letter.replayed_at !== null || feed.hello?.replay !== true;
    if (feed.hello?.replay !== true) setText(outcome, `To replay it: heartbeat deadletter replay ${id}`);
  } catch (cause) {
    setText(outcome, cause instanceof Error ? cause.message : String(cause));
  }
  replay.addEventListener("click", () => {
    replay.disabled = true;
    post<{ outcome: string; detail: string }>(`dead-letters/${id}/replay`).then(
      (result) => setText(outcome, `${result.outcome.replaceAll("_", " ")}. ${result.detail}`),
      (cause: unknown) => setText(outcome, cause instanceof Error ? cause.message : String(cause)),
    ).finally(() => {
      replay.disabled = false;
      changed();
    });
  });
}

function details(letter: RawDeadLetter, recorded: string): HTMLElement {
  const value = Uint8Array.from(atob(letter.raw_value), (c) => c.charCodeAt(0));
  const key = new TextDecoder().decode(Uint8Array.from(atob(letter.raw_key), (c) => c.charCodeAt(0)));
  const pair = (name: string, text: string): HTMLElement[] => [h("dt", {}, name), h("dd", {}, text)];
  return h("div", {},
    h("dl", { class: "pairs" },
      ...pair("Reason", letter.reason), ...pair("Detail", letter.detail),
      ...pair("Record", `${letter.kafka_topic}, partition ${letter.kafka_partition}, offset ${letter.kafka_offset}`), ...pair("Recorded", recorded),
      ...pair("Key", key || "none"), ...pair("Size", `${count(letter.raw_length)} bytes${letter.raw_length > value.length ? `, the first ${count(value.length)} are kept` : ""}`),
      ...pair("SHA-256", letter.raw_sha256)),
    h("h3", {}, "As text"), h("pre", { class: "raw", tabindex: "0" }, value.length === 0 ? "(no value)" : new TextDecoder().decode(value.subarray(0, 4096))),
    h("h3", {}, "As bytes"), h("pre", { class: "raw", tabindex: "0" }, hex(value.subarray(0, 512))));
}

function hex(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let i = 0; i < bytes.length; i += 16) {
    const part = [...bytes.subarray(i, i + 16)];
    const codes = part.map((b) => b.toString(16).padStart(2, "0")).join(" ").padEnd(47);
    lines.push(`${i.toString(16).padStart(6, "0")}  ${codes}  ${part.map((b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : "·")).join("")}`);
  }
  return lines.join("\n");
}
