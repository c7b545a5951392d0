// Elements and text. Everything that comes from the server goes in as text, never as markup: names come from a configuration, paths and errors from whoever sent them.

// el makes an element: properties that begin with "on" are listeners, all others attributes; children are nodes or text.
export function el(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) e.setAttribute(name, value === true ? "" : value);
  }
  e.append(...children.filter((c) => c !== undefined && c !== null));
  return e;
}

let made = 0;

// name is an id that no other element has.
export const name = (what) => `${what}-${++made}`;

// put sets a text only when it is another one, so that a selection in it stays and nothing is announced for nothing.
export function put(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

// table is a table with its headings in a box of its own that scrolls, by keyboard too. rows fills it.
export function table(label, headings) {
  const body = el("tbody");
  const box = el("div", { class: "scroll", role: "group", "aria-label": label, tabindex: "0" },
    el("table", {}, el("thead", {}, el("tr", {}, ...headings.map((h) => el("th", { scope: "col" }, h)))), body));
  return { box, body, columns: headings.length };
}

// rows puts lists of cells into a table, keeping the rows that are there. A cell is a text or {text, class}; the first heads its row.
export function rows(t, list, empty) {
  const lines = list.length > 0 ? list : [[{ text: empty, class: "empty", span: t.columns }]];
  while (t.body.rows.length > lines.length) t.body.lastChild.remove();
  lines.forEach((cells, i) => {
    let row = t.body.rows[i];
    if (!row || row.cells.length !== cells.length) {
      const made = el("tr", {}, ...cells.map((c, n) =>
        n === 0 && !c.span ? el("th", { scope: "row" }) : el("td", { colspan: c.span })));
      if (row) row.replaceWith(made);
      else t.body.append(made);
      row = made;
    }
    cells.forEach((c, n) => {
      const cell = row.cells[n];
      put(cell, typeof c === "object" ? c.text : c);
      const kind = typeof c === "object" ? c.class ?? "" : "";
      if (cell.className !== kind) cell.className = kind;
    });
  });
}

export const number = (n) => (n === 0 ? "0" : n < 10 ? n.toFixed(1) : n < 10000 ? n.toFixed(0) : `${(n / 1000).toFixed(0)}k`);
export const millis = (n) => (n === undefined || n === null ? "–" : n === 0 ? "0 ms" : n < 10 ? `${n.toFixed(2)} ms` : n < 10000 ? `${n.toFixed(0)} ms` : `${(n / 1000).toFixed(0)} s`);
export const percent = (n) => (n === undefined || n === null ? "–" : `${Number(n.toFixed(2))} %`);
export const clock = (t) => new Date(t).toLocaleTimeString();
export const stamp = (t) => new Date(t).toLocaleString();
