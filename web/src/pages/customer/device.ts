import type { Context } from "../../context";
import type { Customer, Device } from "../../api";
import { get } from "../../api";
import { h, replace } from "../../element";
import { duration } from "../../format";
import { poll } from "../../poll";

const EVERY = 10_000;
const LOW_BATTERY = 0.15;

/** What the customer's device says of itself: hidden while it says nothing. */
export function customerDevice({ feed, signal }: Context, name: string): HTMLElement {
  const element = h("p", { class: "device", role: "status", "aria-label": "Device", hidden: true });
  poll(
    () => EVERY,
    (stop) => get<Customer>(`customers/${name}`, stop),
    ({ stored }) => {
      element.hidden = stored === null || stored.device_id === null;
      if (stored && stored.device_id !== null) replace(element, ...words(stored, feed.now - Date.parse(stored.event_timestamp)));
    },
    () => undefined, // the page says why the server does not answer
    signal,
  );
  return element;
}

function words({ device_id, battery, contact, steps }: Device, age: number): HTMLElement[] {
  const say = (text: string, warning = false): HTMLElement => h("span", { class: warning ? "strong" : "muted" }, text);
  const parts = [h("b", {}, device_id ? `Device ${device_id}` : "Device without an id"), say(`last seen ${duration(Math.max(age, 0))} ago`)];
  if (battery !== null) parts.push(say(`battery ${Math.round(battery * 100)} %${battery < LOW_BATTERY ? ", low" : ""}`, battery < LOW_BATTERY));
  if (contact !== null) parts.push(say(contact ? "on the skin" : "no contact with the skin: its readings count as sensor errors", !contact));
  if (steps !== null) parts.push(say(`${steps.toLocaleString("en")} steps`));
  return parts;
}
