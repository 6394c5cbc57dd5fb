import type { Context } from "../context";
import { limitList } from "../alarms/limits";
import { limitTrial } from "../alarms/trial";
import { h, replace } from "../element";
import { href } from "../router";

/** The limits of everybody, of cohorts and of single customers, and a dry run of others. */
export function limitsPage(root: HTMLElement, context: Context): void {
  const ended = h("input", { type: "checkbox", name: "ended", onchange: () => void list.load() });
  const list = limitList(context, { ended: () => ended.checked });
  replace(root,
    h("div", { class: "toolbar" }, h("h1", {}, "Limits"), h("a", { href: href("alarms") }, "Alarms"), h("span", { class: "spacer" }),
      h("label", { class: "choice" }, ended, "Also those that ended")),
    h("section", { class: "panel history limits", "aria-label": "Limits" },
      h("p", {}, "A customer's own limit counts before that of the cohort, a cohort's before everybody's; certain hours before the whole day; the later before the earlier. Limits are never changed, only ended: set another one instead."),
      list.element),
    limitTrial(context));
}
