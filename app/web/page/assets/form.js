// Forms from a description, with the API's own words at the field that they are about.
import { el, id, more } from "./dom.js";
import { fromPercent, toPercent } from "./format.js";

// form takes groups of fields. A group is {legend, fields, folded}; a field is {name, label, kind, hint, optional, choices, attributes}, its kind percent, number, integer, text, secret, choice or check.
// options: button (what submitting is called), submit(values, signal), which may throw a Problem, and changed().
export function form(groups, { button, submit, changed = () => {} }) {
  const f = new Form(groups, button, submit, changed);
  return f;
}

class Form {
  #fields = new Map();
  #controls = new Map();
  #alert = el("p", { class: "alert", role: "alert" });
  #go;
  #cancel;
  #running = null; // aborts what was submitted
  #typed = new Set(); // names of fields that somebody has changed

  constructor(groups, button, submit, changed) {
    this.#go = el("button", { type: "submit", class: "main" }, button);
    this.#cancel = el("button", { type: "button", hidden: true, onclick: () => this.#running?.abort() }, "Cancel");
    this.element = el("form", { novalidate: true, onsubmit: (e) => { e.preventDefault(); this.#send(submit); }, oninput: (e) => { this.#typed.add(e.target.name); changed(); } },
      groups.map((g) => this.#group(g)), this.#alert, el("div", { class: "buttons" }, this.#go, this.#cancel));
  }

  #group({ legend, fields, folded }) {
    const inner = el("div", { class: "fields" }, fields.map((f) => this.#field(f)));
    if (folded) return more(legend, inner);
    return legend ? el("fieldset", {}, el("legend", {}, legend), inner) : inner;
  }

  #field(f) {
    const own = id("field"), error = `${own}-error`, hint = `${own}-hint`;
    const control = controlOf(f, { id: own, name: f.name, "aria-describedby": f.hint ? `${error} ${hint}` : error, ...f.attributes });
    this.#fields.set(f.name, f);
    this.#controls.set(f.name, control);
    const label = el("label", { for: own }, f.kind === "percent" ? `${f.label}, %` : f.label);
    return el("div", { class: `field ${f.kind}` },
      f.kind === "check" ? [control, label] : [label, control],
      f.hint && el("p", { class: "hint", id: hint }, f.hint), el("p", { class: "error", id: error }));
  }

  // fill shows what the API says it took, where nobody has typed meanwhile.
  fill(values) {
    for (const [name, control] of this.#controls) {
      if (!(name in values) || this.#typed.has(name)) continue;
      const kind = this.#fields.get(name).kind, value = values[name];
      if (kind === "check") control.checked = Boolean(value);
      else control.value = value === null || value === undefined ? "" : String(kind === "percent" ? toPercent(value) : value);
    }
  }

  // read gives the values as the API wants them, or null after saying what is wrong with which field.
  read() {
    this.#clear();
    const values = {}, wrong = [];
    for (const [name, f] of this.#fields) {
      const { value, error } = valueOf(f, this.#controls.get(name));
      if (error) wrong.push({ location: `body.${name}`, message: error });
      else if (value !== undefined) values[name] = value;
    }
    if (wrong.length === 0) return values;
    this.#show(wrong, "");
    return null;
  }

  // refuse shows what the API did not take.
  refuse(problem) {
    this.#show(problem.errors ?? [], problem.message);
  }

  control(name) {
    return this.#controls.get(name);
  }

  // submit does what pressing the button does.
  submit() {
    this.element.requestSubmit();
  }

  stop() {
    this.#running?.abort();
  }

  async #send(submit) {
    if (this.#running) return;
    const values = this.read();
    if (!values) return;
    const running = new AbortController();
    this.#busy(running);
    try {
      await submit(values, running.signal);
    } catch (error) {
      if (running.signal.aborted) return;
      if (error.status === undefined) throw error; // a mistake of ours: it belongs on the console
      this.refuse(error);
    } finally {
      this.#busy(null);
    }
  }

  #busy(running) {
    const focused = document.activeElement === this.#cancel;
    this.#running = running;
    this.element.setAttribute("aria-busy", String(running !== null));
    this.#go.setAttribute("aria-disabled", String(running !== null)); // disabling it would take its focus away
    this.#cancel.hidden = running === null;
    if (focused && running === null) this.#go.focus();
  }

  #clear() {
    this.#alert.textContent = "";
    for (const control of this.#controls.values()) {
      control.removeAttribute("aria-invalid");
      document.getElementById(`${control.id}-error`).textContent = "";
    }
  }

  #show(errors, detail) {
    let first = null;
    const rest = [];
    for (const { location = "", message = "" } of errors) {
      const name = location.replace(/^body\.?/, "");
      const control = this.#controls.get(name);
      if (!control) {
        rest.push(`${name} ${inWords(message, this.#fields)}`.trim());
        continue;
      }
      control.setAttribute("aria-invalid", "true");
      document.getElementById(`${control.id}-error`).textContent = inWords(message, this.#fields, this.#fields.get(name));
      first ??= control;
    }
    if (!first && rest.length === 0) rest.push(detail);
    this.#alert.textContent = [first ? "Nothing was done: see the fields that are marked." : "", ...rest].filter(Boolean).join(" ");
    if (!first) return;
    first.closest("details")?.setAttribute("open", "");
    first.focus();
  }
}

function controlOf(f, attributes) {
  switch (f.kind) {
    case "choice":
      return el("select", attributes, f.choices.map(([value, text]) => el("option", { value }, text)));
    case "check":
      return el("input", { type: "checkbox", ...attributes });
    case "text":
    case "secret":
      return el("input", { type: f.kind === "secret" ? "password" : "text", required: !f.optional, ...attributes });
    default:
      return el("input", { type: "number", step: f.kind === "integer" ? "1" : "any", inputmode: "decimal", required: !f.optional, ...attributes });
  }
}

// valueOf gives {value} or {error}. A field that may be empty is null when it is: there is none.
function valueOf(f, control) {
  if (f.kind === "check") return { value: control.checked };
  if (control.validity.badInput) return { error: "must be a number" };
  const text = f.kind === "secret" ? control.value : control.value.trim();
  if (text === "" && f.optional) return { value: f.kind === "text" ? "" : null };
  if (text === "") return { error: "is required" };
  if (["text", "secret", "choice"].includes(f.kind)) return { value: text };
  return { value: f.kind === "percent" ? fromPercent(text) : Number(text) };
}

// inWords turns the API's message into one about this page: fields by what they are called here, shares in percent where the field is, and without positions in a text that nobody typed.
export function inWords(message, fields, own) {
  const bare = message.replace(/ \(line \d+, column \d+\)$/, "");
  const numbers = own?.kind === "percent" ? bare.replace(/(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.]*\w)/g, (n) => `${toPercent(Number(n))} %`) : bare;
  return numbers.replace(/\b[a-zA-Z][a-zA-Z0-9_]*\b/g, (word) => (fields.has(word) && word !== own?.name && /[A-Z]|wacc/.test(word) ? `“${fields.get(word).label}”` : word));
}
