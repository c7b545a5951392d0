// Logging in and making an account.
import { el, say } from "./dom.js";
import { form } from "./form.js";
import { logIn, register } from "./session.js";

const name = { name: "username", label: "Name", kind: "text", attributes: { autocomplete: "username", autocapitalize: "none", spellcheck: "false" } };

const kinds = {
  "/login": {
    title: "Log in", other: ["/register", "Make an account"],
    fields: [{ ...name, label: "Name or address" }, { name: "password", label: "Password", kind: "secret", attributes: { autocomplete: "current-password" } }],
    submit: (v, signal) => logIn(v.username, v.password, signal),
  },
  "/register": {
    title: "Make an account", other: ["/login", "Log in instead"],
    fields: [
      { ...name, hint: "3 to 64 letters, digits, _ and -" }, { name: "email", label: "Address", kind: "text", attributes: { autocomplete: "email", type: "email", spellcheck: "false" } },
      { name: "password", label: "Password", kind: "secret", hint: "At least 12 characters: a small and a capital letter, a digit, and another character", attributes: { autocomplete: "new-password" } },
    ],
    submit: (v, signal) => register(v.username, v.email, v.password, signal),
  },
};

export const titles = Object.fromEntries(Object.entries(kinds).map(([path, k]) => [path, k.title]));

// open makes the page for its path. After it, people are where they came from.
export function open({ path, query, go }) {
  const kind = kinds[path], next = query.get("next");
  const inputs = form([{ fields: kind.fields }], {
    button: kind.title,
    submit: async (values, signal) => {
      await kind.submit(values, signal);
      go(inside(next));
      say(`Logged in as ${values.username}.`);
    },
  });
  const other = kind.other[0] + (next ? `?next=${encodeURIComponent(next)}` : "");
  return { element: el("div", { class: "narrow" }, inputs.element, el("p", {}, el("a", { href: other }, kind.other[1]))), close: () => inputs.stop() };
}

// inside is a path of these pages, whatever an address asked for: nobody is sent elsewhere after logging in.
export function inside(next) {
  if (!next) return "/";
  const url = new URL(next, location.origin);
  return url.origin === location.origin ? url.pathname + url.search : "/";
}
