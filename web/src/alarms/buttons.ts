import type { Context } from "../context";
import type { Command } from "./list";
import type { OpenAlarm } from "./status";
import { h, setText } from "../element";
import { act, mayAct } from "./actions";
import { question } from "./dialog";
import { statusOf } from "./status";

const TEXT: readonly (readonly [Command, string])[] = [["ack", "Acknowledge"], ["snooze", "Snooze"], ["comment", "Note"], ["assign", "Assign"], ["close", "Close"]];

/** The actions on one alarm, for a page about it. */
export function actionButtons({ feed, clock, me }: Context, alarm: () => OpenAlarm | undefined): { element: HTMLElement; show: () => void } {
  const refused = h("span", { class: "error", role: "alert" });
  const run = async (name: Command): Promise<void> => {
    const before = alarm();
    const action = before && (await question(name, [before], me.name));
    if (!before || !action) return;
    const [outcome] = await act([before], action, clock);
    setText(refused, outcome?.refused ?? "");
    if (outcome?.after) feed.answered(outcome.after);
  };
  const buttons = TEXT.map(([name, text]) => ({ name, element: h("button", { type: "button", class: name === "ack" ? "primary" : null, onclick: () => void run(name) }, text) }));
  const element = h("div", { class: "toolbar", hidden: true }, ...buttons.map((button) => button.element), refused);
  return {
    element,
    show() {
      const held = alarm();
      element.hidden = !held || !mayAct(me);
      if (!held) return;
      const status = statusOf(held, feed.now);
      for (const button of buttons) {
        button.element.disabled = button.name !== "comment" && (status === "closed" || (button.name === "ack" && status === "acknowledged"));
        button.element.hidden = status === "ended" ? button.name === "snooze" : button.name === "close"; // what is over is closed, not snoozed
        if (button.name === "ack") setText(button.element, status === "ended" ? "Seen" : "Acknowledge");
      }
    },
  };
}
