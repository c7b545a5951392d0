// Elements and text. Whatever comes from the API or from people goes in as text, never as markup.

// el makes an element: properties that begin with "on" are listeners, all others attributes; children are nodes or text.
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

// svg is el for drawings.
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(e, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) e.setAttribute(name, value === true ? "" : value);
  }
  e.append(...children.flat().filter((c) => c !== undefined && c !== null && c !== false));
  return e;
}

let made = 0;

// id is one that no other element has.
export const id = (what) => `${what}-${++made}`;

// say tells what came of something, to eyes and ears, until the next thing is said.
export function say(text) {
  document.getElementById("said").textContent = text;
}

// section is a part of a page with a heading of its own.
export function section(title, ...children) {
  const heading = id("part");
  return el("section", { "aria-labelledby": heading }, el("h2", { id: heading }, title), ...children);
}

// facts are names with their values; a value that is null is not there to be known.
export function facts(list, attributes = {}) {
  return el("dl", attributes, list.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value ?? "–"))));
}

// table has its name as caption, in a box that scrolls by keyboard too. The first cell of a row heads it.
export function table(caption, headings, rows) {
  return scroll(caption, el("table", {},
    el("caption", {}, caption),
    el("thead", {}, el("tr", {}, headings.map((h) => el("th", { scope: "col" }, h)))),
    el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map((c, i) => (i === 0 ? el("th", { scope: "row" }, c) : el("td", {}, c)))))),
  ));
}

export function scroll(label, content) {
  return el("div", { class: "scroll", role: "region", "aria-label": label, tabindex: "0" }, content);
}

// more is what most people do not need to see.
export function more(summary, ...children) {
  return el("details", {}, el("summary", {}, summary), ...children);
}
