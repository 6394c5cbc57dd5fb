import type { Feed } from "../feed";
import type { OpenAlarm } from "./status";
import { h, setText } from "../element";
import { CONDITIONS, PRIORITY_TEXT, statusOf } from "./status";

/** HIGH sounds again after this long, until each is acknowledged. */
const REPEAT = 10_000;
/** The tones of each priority, as IEC 60601-1-8 groups them: pulses, hertz. */
const TONES = { high: [5, 880], medium: [3, 660], low: [1, 520] } as const;
const PULSE = 0.15; // seconds
const SETTINGS = ["sound", "notification"] as const;
type Setting = (typeof SETTINGS)[number];

const stored = (setting: Setting): boolean => localStorage.getItem(`alarm-${setting}`) === "1";

/** The button for sound and notifications, which are off until this browser's viewer chooses them, and what they do. */
export function alarmSignal(feed: Feed, signal: AbortSignal): HTMLElement {
  const player = new Player();
  const known = new Set<string>(); // unacknowledged alarms that were signalled
  let first = true; // what is open when the page opens is no news, but HIGH repeats
  let sounded = 0;
  const note = h("p", { class: "muted", role: "status" });
  const check = (): void => {
    const now = feed.now;
    const waiting = feed.alarms.sorted(now).filter((alarm) => ["unacknowledged", "ended"].includes(statusOf(alarm, now)));
    const fresh = waiting.filter((alarm) => !known.has(alarm.alarm_id));
    known.clear();
    for (const alarm of waiting) known.add(alarm.alarm_id);
    const [worst] = waiting;
    const [news] = fresh; // worst first
    if (stored("sound") && worst) {
      const repeat = worst.priority === "high" && Date.now() - sounded >= REPEAT;
      if (repeat || (news && !first)) {
        sounded = Date.now();
        player.play(repeat ? "high" : news!.priority);
      }
    }
    if (stored("notification") && fresh.length > 0 && !first) notify(fresh);
    if (feed.alarms.known) first = false;
    setText(note, stored("sound") && player.blocked ? "The browser plays no sound before a click or a key on this page." : "");
  };
  const dialog = h("dialog", { class: "letter ask", "aria-label": "Sound and notifications" });
  const button = h("button", { type: "button", class: "quiet", id: "signal", onclick: () => dialog.showModal() });
  const label = (): void => {
    const on = SETTINGS.filter(stored);
    setText(button, on.includes("sound") ? "Sound on" : on.length > 0 ? "Notices on" : "Sound off");
    button.title = "Sound and notifications of alarms, for this browser";
  };
  const choice = (setting: Setting, text: string): HTMLElement => h("label", { class: "choice" }, h("input", {
    type: "checkbox", name: setting, checked: stored(setting),
    onchange: async (event: Event) => {
      const box = event.target as HTMLInputElement;
      if (setting === "notification" && box.checked && (await permission()) !== "granted") {
        box.checked = false;
        setText(note, "The browser does not allow notifications for this page.");
      }
      localStorage.setItem(`alarm-${setting}`, box.checked ? "1" : "0");
      if (setting === "sound" && box.checked) player.play("low");
      label();
    },
  }), text);
  dialog.append(h("form", { method: "dialog" }, h("h2", {}, "Sound and notifications"),
    choice("sound", "Sound: HIGH repeats every 10 seconds until it is acknowledged or snoozed"),
    choice("notification", "Notification of each new alarm, without values"),
    note, h("p", { class: "muted" }, "Both are for this browser only."),
    h("div", { class: "buttons" }, h("button", { type: "submit", class: "primary" }, "Done"))));
  document.body.append(dialog);
  addEventListener("pointerdown", () => stored("sound") && player.resume(), { signal });
  addEventListener("keydown", () => stored("sound") && player.resume(), { signal });
  feed.on("alarms", check, signal);
  feed.on("link", check, signal);
  label();
  return button;
}

function permission(): Promise<NotificationPermission> {
  return "Notification" in globalThis ? Notification.requestPermission() : Promise.resolve("denied");
}

/** One notification for all that came together: a storm must not fill the screen. */
function notify(fresh: readonly OpenAlarm[]): void {
  if (!("Notification" in globalThis) || Notification.permission !== "granted") return;
  const [worst] = fresh;
  const title = `${PRIORITY_TEXT[worst!.priority]}: ${CONDITIONS[worst!.condition]}`;
  const more = fresh.length > 1 ? ` and ${fresh.length - 1} more` : "";
  new Notification(title, { body: worst!.subject + more, tag: "heartbeat-alarms", requireInteraction: worst!.priority === "high" });
}

/** Plays tones. A browser keeps it silent until the viewer has pressed something. */
class Player {
  #audio: AudioContext | undefined;

  get blocked(): boolean {
    return this.#audio?.state === "suspended";
  }

  resume(): void {
    if (this.blocked) void this.#audio!.resume();
  }

  play(priority: keyof typeof TONES): void {
    const audio = (this.#audio ??= new AudioContext());
    if (audio.state === "suspended") void audio.resume();
    const [pulses, frequency] = TONES[priority];
    for (let i = 0; i < pulses; i++) {
      const at = audio.currentTime + i * 2 * PULSE;
      const gain = audio.createGain();
      gain.gain.setValueAtTime(0, at);
      gain.gain.linearRampToValueAtTime(0.3, at + 0.02);
      gain.gain.linearRampToValueAtTime(0, at + PULSE);
      const tone = audio.createOscillator();
      tone.frequency.value = frequency;
      tone.connect(gain).connect(audio.destination);
      tone.start(at);
      tone.stop(at + PULSE);
    }
  }
}
