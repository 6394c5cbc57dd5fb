import type { OpenAlarm } from "./status";
import type { Action } from "./actions";
import type { Command } from "./list";
import { h } from "../element";
import { nameOf } from "./actions";
import { LONGEST_SNOOZE } from "./status";

const REASONS = ["Being looked after", "Sensor is being changed", "Known exercise", "Called the person"] as const;
const MINUTES = [5, 15, 60, 240, 1440] as const;

function title(verb: string, alarms: readonly OpenAlarm[]): string {
  return `${verb} ${alarms.length === 1 ? nameOf(alarms[0]!) : `${alarms.length} alarms`}`;
}

function lengthText(minutes: number): string {
  return minutes < 60 ? `${minutes} min` : `${minutes / 60} h`;
}

/** Shows a dialog until it is answered or left; undefined when it is left. */
function ask<T>(heading: string, submit: string, fields: readonly Node[], read: () => T | undefined): Promise<T | undefined> {
  return new Promise((answer) => {
    let action: T | undefined;
    const dialog = h("dialog", { class: "letter ask", "aria-label": heading },
      h("form", {
        method: "dialog",
        onsubmit: (event: SubmitEvent) => {
          action = read();
          if (!action) event.preventDefault();
        },
      },
      h("h2", {}, heading), ...fields,
      h("div", { class: "buttons" }, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), h("button", { type: "submit", class: "primary" }, submit))));
    dialog.addEventListener("close", () => {
      dialog.remove();
      answer(action);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Asks how long and why. One press on a reason is enough: it snoozes for the length that is chosen. */
function askSnooze(alarms: readonly OpenAlarm[]): Promise<Action | undefined> {
  const longest = Math.min(...alarms.map((alarm) => LONGEST_SNOOZE[alarm.priority]));
  const lengths = MINUTES.filter((minutes) => minutes <= longest);
  const chosen = lengths.includes(15) ? 15 : lengths.at(-1);
  const reason = h("input", { name: "reason", required: true, maxlength: 500, autocomplete: "off", placeholder: "Why" });
  const choices = h("fieldset", { class: "segments" }, h("legend", { class: "field" }, "For"),
    ...lengths.map((minutes) => h("label", {}, h("input", { type: "radio", name: "minutes", value: minutes, checked: minutes === chosen }), h("span", {}, lengthText(minutes)))));
  const quick = h("div", { class: "chips" }, ...REASONS.map((text, i) => h("button", {
    type: "button", class: "chip", autofocus: i === 0,
    onclick: () => {
      reason.value = text;
      reason.form!.requestSubmit();
    },
  }, text)));
  return ask(title("Snooze", alarms), "Snooze", [choices, h("p", { class: "field" }, "Because"), quick, h("label", { class: "field" }, "or another reason", reason)], () => {
    const minutes = Number(choices.querySelector<HTMLInputElement>("input:checked")?.value);
    return reason.value.trim() ? { kind: "snooze", for_seconds: minutes * 60, note: reason.value.trim() } : undefined;
  });
}

function askNote(alarms: readonly OpenAlarm[]): Promise<Action | undefined> {
  const note = h("input", { name: "note", required: true, maxlength: 500, autocomplete: "off", autofocus: true });
  return ask(title("Note on", alarms), "Save", [h("label", { class: "field" }, "Note", note)], () => (note.value.trim() ? { kind: "comment", note: note.value.trim() } : undefined));
}

function askAssignee(alarms: readonly OpenAlarm[], me: string): Promise<Action | undefined> {
  const name = h("input", { name: "assignee", maxlength: 100, autocomplete: "off", autofocus: true, value: me });
  return ask(title("Assign", alarms), "Assign", [h("label", { class: "field" }, "To (empty takes the assignment back)", name)], () => ({ kind: "assign", assignee: name.value.trim() }));
}

/** Asks for a reason. */
export function askReason(heading: string, submit: string): Promise<string | undefined> {
  const reason = h("input", { name: "reason", required: true, maxlength: 500, autocomplete: "off", autofocus: true });
  return ask(heading, submit, [h("label", { class: "field" }, "Reason", reason)], () => reason.value.trim() || undefined);
}

/** Asks what else an action needs. Acknowledging and closing need nothing. */
export function question(name: Command, alarms: readonly OpenAlarm[], me: string): Promise<Action | undefined> {
  switch (name) {
    case "snooze":
      return askSnooze(alarms);
    case "comment":
      return askNote(alarms);
    case "assign":
      return askAssignee(alarms, me);
    default:
      return Promise.resolve({ kind: name });
  }
}
