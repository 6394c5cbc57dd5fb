import type { Context } from "../context";
import { alarmHistory } from "./alarms/list";
import { oneAlarm } from "./alarms/one";

/** All alarms there ever were, or one of them with its history. */
export function alarmsPage(root: HTMLElement, context: Context): void {
  if (context.route.subject) oneAlarm(root, context, context.route.subject);
  else alarmHistory(root, context);
}
