// Notes about tickers. The text is written together, paragraph by paragraph, in a live document; a version of it is kept when somebody says so.
import { el, id, more, say, scroll, section, table } from "./dom.js";
import { form } from "./form.js";
import { count, when } from "./format.js";
import { Live, random } from "./live.js";
import { get } from "./session.js";

export const title = "Notes";

// open makes the list, or the page of /notes/TICKER.
export async function open(context) {
  const ticker = context.path.split("/")[2];
  if (ticker && !/^[A-Za-z0-9._^=-]{1,16}$/.test(decodeURIComponent(ticker))) return null;
  try {
    return ticker ? await one(decodeURIComponent(ticker).toUpperCase(), context) : { element: await list(context) };
  } catch (error) {
    if (error.status === 401) return { element: el("p", {}, el("a", { href: `/login?next=${encodeURIComponent(context.path)}` }, "Log in"), " to see your notes.") };
    throw error;
  }
}

async function list({ query, signal, go }) {
  const after = query.get("after") ?? "";
  const data = await get("GET", `/api/notes?${new URLSearchParams({ per_page: 50, ...(after ? { after } : {}) })}`, { signal });
  const pick = form([{ fields: [{ name: "ticker", label: "Ticker", kind: "text", hint: "Up to 16 letters, digits and . - _ ^ =", attributes: { autocapitalize: "characters", maxlength: "16", spellcheck: "false", pattern: "[A-Za-z0-9._^=\\-]{1,16}" } }] }], {
    button: "Open the note",
    submit: ({ ticker }) => {
      if (!/^[A-Za-z0-9._^=-]{1,16}$/.test(ticker)) return pick.refuse({ errors: [{ location: "body.ticker", message: "may have letters, digits and . - _ ^ =" }] });
      return go(address(ticker));
    },
  });
  return el("div", {}, el("p", {}, "A note is written together: whoever has it open sees what others write."), pick.element,
    data.notes.length === 0 ? el("p", {}, "No notes have been kept yet.") : scroll("Notes", el("table", {}, el("caption", {}, "Kept notes"),
      el("thead", {}, el("tr", {}, ["Ticker", "Version", "Kept"].map((h) => el("th", { scope: "col" }, h)))),
      el("tbody", {}, data.notes.map((n) => el("tr", {}, el("th", { scope: "row" }, el("a", { href: address(n.ticker) }, n.ticker)), el("td", {}, count(n.version)), el("td", {}, when(n.updated_at))))))),
    data.next_after && el("p", {}, el("a", { href: `/notes?after=${encodeURIComponent(data.next_after)}` }, "More notes")));
}

const address = (ticker) => `/notes/${encodeURIComponent(ticker.toUpperCase())}`;

// documentOf is the live document of a ticker's note: some characters of tickers are none of documents' names.
export const documentOf = (ticker) => `note:${ticker.replace(/[_^=]/g, (c) => ({ _: "__", "^": "_c", "=": "_e" })[c])}`;

async function one(ticker, { signal }) {
  const kept = await get("GET", `/api/notes/${encodeURIComponent(ticker)}`, { signal });
  const connection = el("p", { role: "status", class: "connection" }, "Connecting…");
  const refused = el("p", { class: "alert", role: "alert" });
  const people = el("ul", { class: "people", "aria-label": "Who is here" });
  const text = new Text(kept.content, { connection, refused, people });
  const keep = keeping(ticker, kept, text, signal);
  return {
    title: `Note on ${ticker}`,
    element: el("div", {}, connection, people, refused, text.element,
      el("div", { class: "buttons" }, el("button", { type: "button", onclick: () => text.add() }, "Add a paragraph")), keep),
    start: () => text.start(documentOf(ticker)),
    close: () => text.close(),
  };
}

// Text is the note's paragraphs, each a value of the live document under p/ID: {text, at}, in the order of at; null for one that was removed.
class Text {
  #live = null;
  #first; // what was kept before anybody wrote together
  #shown = new Map(); // by id: {box, area, label}
  #said;
  #here = []; // who is in the document

  constructor(first, said) {
    this.#first = first;
    this.#said = said;
    this.element = el("div", { class: "paragraphs" });
  }

  start(doc) {
    this.#live = new Live(doc, {
      changed: () => this.#draw(),
      members: (list) => this.#people(list),
      state: (state) => this.#state(state),
      refused: (message) => { this.#said.refused.textContent = `What was written last was not taken: ${message}`; },
    });
  }

  close() {
    this.#live?.close();
  }

  // paragraphs are {id, text, at} in their order.
  paragraphs() {
    return this.#live.entries().filter(([path, v]) => path.startsWith("p/") && v && typeof v.text === "string")
      .map(([path, v]) => ({ id: path.slice(2), text: v.text, at: Number(v.at) || 0 })).sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
  }

  whole() {
    return this.paragraphs().map((p) => p.text.trim()).filter(Boolean).join("\n\n");
  }

  // add puts an empty paragraph after the one with that id, or at the end, and the caret in it.
  add(after, text = "") {
    const all = this.paragraphs();
    const i = after === undefined ? all.length - 1 : all.findIndex((p) => p.id === after);
    const before = all[i]?.at ?? 0, next = all[i + 1]?.at ?? before + 2;
    const made = random();
    this.#live.set(`p/${made}`, { text, at: (before + next) / 2 });
    this.#draw();
    const { area } = this.#shown.get(made);
    area.focus();
    area.setSelectionRange(0, 0);
  }

  // replace puts another text in place of all paragraphs.
  replace(text) {
    for (const p of this.paragraphs()) this.#live.set(`p/${p.id}`, null);
    split(text).forEach((part, i) => this.#live.set(`p/${random()}`, { text: part, at: i + 1 }));
    this.#draw();
  }

  #state(state) {
    this.#said.connection.className = `connection ${state}`;
    this.#said.connection.textContent = state === "live" ? "Live: others see what is written, as it is written." : "Not connected. What is written is kept here and sent when the connection is back.";
    // The text that was kept goes in once, under names and a time that every window would give it, so that two at once write one text and not two.
    if (state === "live" && this.#live.bare) split(this.#first).forEach((part, i) => this.#live.set(`p/kept-${i}`, { text: part, at: i + 1 }, 1));
  }

  #people(list = this.#here) {
    this.#here = list;
    const places = new Map(this.paragraphs().map((p, i) => [p.id, i + 1]));
    this.#said.people.replaceChildren(...list.map((m) => {
      const at = places.get(m.cursor?.at);
      return el("li", {}, (m.name || "somebody") + (m.client_id === this.#live.client ? " (here)" : "") + (at ? `, paragraph ${at}` : ""));
    }));
  }

  #draw() {
    const all = this.paragraphs();
    const there = new Set(all.map((p) => p.id));
    for (const [gone, { box }] of this.#shown) {
      if (there.has(gone)) continue;
      box.remove();
      this.#shown.delete(gone);
    }
    all.forEach((p, i) => {
      const s = this.#shown.get(p.id) ?? this.#paragraph(p.id);
      if (s.area.value !== p.text) put(s.area, p.text);
      s.label.textContent = `Paragraph ${i + 1}`;
      s.remove.setAttribute("aria-label", `Remove paragraph ${i + 1}`);
      if (this.element.children[i] !== s.box) this.element.insertBefore(s.box, this.element.children[i] ?? null);
    });
    this.#people(); // somebody may be in a paragraph that was not there yet
  }

  #paragraph(own) {
    const name = id("paragraph");
    const area = el("textarea", { id: name, rows: "2", maxlength: "3000", oninput: () => this.#typed(own, area), onfocus: () => this.#live.point({ at: own }), onblur: () => this.#live.point(null) });
    const label = el("label", { for: name });
    const remove = el("button", { type: "button", class: "quiet", onclick: () => this.#remove(own) }, "Remove");
    const shown = { area, label, remove, box: el("div", { class: "paragraph" }, label, area, remove) };
    this.#shown.set(own, shown);
    return shown;
  }

  // typed takes what is in an area. An empty line begins a new paragraph.
  #typed(own, area) {
    this.#said.refused.textContent = "";
    const p = this.paragraphs().find((q) => q.id === own);
    if (!p) return;
    const [first, ...rest] = area.value.split(/\n[ \t]*\n/);
    this.#live.set(`p/${own}`, { text: first, at: p.at });
    for (const part of rest.reverse()) this.add(own, part.trimStart());
    if (rest.length > 0) this.#draw();
  }

  #remove(own) {
    const all = this.paragraphs();
    const i = all.findIndex((p) => p.id === own);
    this.#live.set(`p/${own}`, null);
    this.#draw();
    const next = all[i + 1] ?? all[i - 1];
    if (next) this.#shown.get(next.id)?.area.focus();
    else document.querySelector("main h1").focus();
    say("The paragraph is removed.");
  }
}

const split = (text) => text.split(/\n[ \t]*\n/).map((p) => p.trim()).filter(Boolean);

// put changes an area's text under a caret, which stays where it is as far as it can.
function put(area, text) {
  const { selectionStart, selectionEnd } = area;
  const focused = document.activeElement === area;
  area.value = text;
  if (focused) area.setSelectionRange(Math.min(selectionStart, text.length), Math.min(selectionEnd, text.length));
}

// keeping is the part that keeps versions: each follows the one that was read, or says that there is another by now.
function keeping(ticker, kept, text, signal) {
  let version = kept.version;
  const path = `/api/notes/${encodeURIComponent(ticker)}`;
  const state = el("p", { class: "hint" }, version > 0 ? `Version ${version}, kept ${when(kept.updated_at)}.` : "No version has been kept yet.");
  const older = el("div");
  const inputs = form([], {
    button: "Keep this version",
    submit: async (_, signal) => {
      try {
        const answer = await get("POST", path, { body: { content: text.whole(), version }, signal });
        version = answer.version;
        state.textContent = `Version ${version}, kept just now.`;
        say(`Version ${version} is kept.`);
      } catch (error) {
        const there = error.status === 409 && error.errors.find((e) => e.location === "version")?.value;
        if (!Number.isInteger(there)) throw error;
        version = there;
        error.errors = [];
        error.message = `Version ${there} was kept meanwhile, in another window. Keep again to put this one after it.`;
        throw error;
      }
    },
  });
  const load = async () => {
    const { versions } = await get("GET", `${path}/versions`, { signal });
    const shown = el("div");
    const show = async (v) => {
      const { content } = await get("GET", `${path}/versions/${v}`, { signal });
      shown.replaceChildren(scroll(`Version ${v}`, el("pre", {}, content)), el("button", { type: "button", onclick: () => { text.replace(content); say(`Version ${v} is the text again.`); } }, "Make it the text again"));
    };
    older.replaceChildren(table("Versions", ["Version", "Kept", "Bytes", ""], versions.map((v) =>
      [String(v.version), when(v.updated_at), count(v.size), el("button", { type: "button", class: "quiet", "aria-label": `Show version ${v.version}`, onclick: () => tell(show(v.version)) }, "Show")])), shown);
  };
  const tell = (promise) => promise.catch((error) => { if (!signal.aborted) say(error.message); });
  const details = more("Older versions", older);
  details.addEventListener("toggle", () => details.open && tell(load()));
  return section("Keep", state, inputs.element, details);
}
