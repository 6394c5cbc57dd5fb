import type { Session } from "../api";
import { Problem, post } from "../api";
import { h, replace, setText } from "../element";

/** Asks for the token. */
export function signIn(root: HTMLElement): void {
  const token = h("input", { id: "token", name: "token", type: "password", autocomplete: "current-password", required: true, "aria-describedby": "token-error" });
  const error = h("p", { id: "token-error", class: "error", role: "alert" });
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    try {
      await post<Session>("session", { token: token.value });
      location.reload();
    } catch (cause) {
      setText(error, cause instanceof Problem ? cause.message : "Signing in did not work.");
      token.select();
    }
  };
  replace(
    root,
    h("form", { class: "signin", onsubmit: (event: SubmitEvent) => void submit(event) },
      h("h1", {}, "Heartbeat"),
      h("label", { for: "token" }, "Token"),
      token,
      error,
      h("button", { type: "submit" }, "Sign in"),
      h("p", { class: "muted" }, "It is what HEARTBEAT_TOKEN was set to where the server runs."),
    ),
  );
  token.focus();
}
