import type { Session } from "../api";
import { Problem, post } from "../api";
import { h, replace, setText } from "../element";

/** Asks for name and password where there are users, and for the token where there is one. */
export function signIn(root: HTMLElement, session: Session): void {
  const error = h("p", { id: "signin-error", class: "error", role: "alert" });
  const input = (name: string, type: string, autocomplete: "username" | "current-password"): HTMLInputElement =>
    h("input", { id: name, name, type, autocomplete, required: true, "aria-describedby": "signin-error" });
  const name = input("name", "text", "username");
  name.autocapitalize = "none";
  name.spellcheck = false;
  const password = input("password", "password", "current-password");
  const token = input("token", "password", "current-password");

  const form = (body: () => object, last: HTMLInputElement, ...fields: Node[]): HTMLElement =>
    h("form", { onsubmit: (event: SubmitEvent) => void submit(event, body(), last) }, ...fields, h("button", { type: "submit" }, "Sign in"));
  const submit = async (event: SubmitEvent, body: object, last: HTMLInputElement): Promise<void> => {
    event.preventDefault();
    try {
      await post<Session>("session", body);
      location.reload();
    } catch (cause) {
      setText(error, cause instanceof Problem ? cause.message : "Signing in did not work.");
      last.select();
    }
  };
  const byName = (): HTMLElement =>
    form(() => ({ name: name.value, password: password.value }), password,
      h("label", { for: "name" }, "Name"), name, h("label", { for: "password" }, "Password"), password);
  const byToken = (): HTMLElement =>
    form(() => ({ token: token.value }), token,
      h("label", { for: "token" }, "Token"), token, h("p", { class: "muted" }, "It is what HEARTBEAT_TOKEN was set to where the server runs."));

  replace(root,
    h("div", { class: "signin" },
      h("h1", {}, "Heartbeat"),
      error,
      session.password && byName(),
      session.password && session.token && h("details", {}, h("summary", {}, "Sign in with the token"), byToken()),
      !session.password && session.token && byToken(),
      !session.password && !session.token && h("p", {}, "There is no user yet: add one with `heartbeat user add` where the server runs."),
    ),
  );
  (session.password ? name : token).focus();
}
