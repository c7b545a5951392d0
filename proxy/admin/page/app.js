// Draws GET /v1/status once a second. Text goes in by textContent only: the page's policy forbids building
// HTML from strings, and names in it come from a configuration file.
const interval = 1000;
const byId = (id) => document.getElementById(id);
let token = ""; // held in this page's memory only, so that closing the tab forgets it

function make(tag, text, className) {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  return e;
}

function percent(n) {
  return n === null || n === undefined ? "–" : `${Number(n.toFixed(2))} %`;
}

function share(value, label) {
  const cell = make("td");
  if (value !== null && value !== undefined) {
    const bar = make("meter");
    bar.max = 100;
    bar.value = value;
    bar.setAttribute("aria-label", label);
    cell.append(bar);
  }
  cell.append(percent(value));
  return cell;
}

function state(name) {
  const kind = { live: "good", healthy: "good", unhealthy: "bad", empty: "bad" }[name];
  return make("span", name, kind);
}

function targets(list) {
  const cell = make("td");
  for (const t of list ?? []) {
    const line = make("div");
    line.append(`${t.address} `, state(t.state), ` ${t.in_flight} in flight`);
    if (t.ejected_until) line.append(make("span", ` ejected until ${new Date(t.ejected_until).toLocaleTimeString()}`, "bad"));
    if (t.last_error && t.state !== "healthy") line.append(make("div", t.last_error, "bad"));
    cell.append(line);
  }
  return cell;
}

function groups(service) {
  const table = make("table");
  const head = make("tr");
  for (const title of ["Group", "Weight", "Observed", "State", "Requests", "Targets"]) {
    const th = make("th", title);
    th.scope = "col";
    head.append(th);
  }
  table.append(make("thead"), make("tbody"));
  table.tHead.append(head);
  for (const g of service.groups ?? []) {
    const row = make("tr");
    const name = make("th", g.name);
    name.scope = "row";
    const kind = make("td");
    kind.append(state(g.state));
    row.append(name, share(g.weight, `${g.name} weight`), share(g.observed_share, `${g.name} observed share`), kind,
      make("td", String(g.requests), "number"), targets(g.targets));
    table.tBodies[0].append(row);
  }
  return table;
}

function weights(w) {
  return Object.entries(w).map(([name, value]) => `${name}=${value}`).join(" ");
}

function section(service) {
  const s = make("section");
  s.append(make("h2", `service ${service.name}`));
  const o = service.overlay;
  if (o) {
    const text = o.void
      ? `overlay void: ${o.void}`
      : `file ${weights(o.file_weights)}, overlay ${weights(o.weights)} since ${new Date(o.since).toLocaleString()} by ${o.by}`;
    s.append(make("p", text, "overlay"));
  }
  const box = make("div", undefined, "scroll");
  box.append(groups(service));
  s.append(box);
  return s;
}

function draw(st) {
  byId("summary").textContent =
    `${st.version} · ${st.state} · generation ${st.generation} · up since ${new Date(st.started_at).toLocaleString()}`;
  const warnings = [...(st.warnings ?? [])];
  const last = st.config.last_reload;
  if (last && !last.ok) {
    warnings.push(`the last reload (${new Date(last.at).toLocaleTimeString()}) was refused; the configuration before it is in force`);
    for (const e of last.errors ?? []) warnings.push(`${e.file ?? ""}:${e.line ?? 0}:${e.column ?? 0}: ${e.message}`);
  }
  byId("warnings").replaceChildren(...warnings.map((w) => make("li", w)));
  byId("warnings").hidden = warnings.length === 0;
  byId("services").replaceChildren(...(st.services ?? []).map(section));
}

function notice(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = text === "";
}

async function poll() {
  try {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const res = await fetch("/v1/status", { headers, cache: "no-store" });
    if (res.status === 401) {
      byId("login").hidden = false;
      byId("summary").textContent = "";
      notice(token ? "this token is not accepted" : "");
      return;
    }
    if (!res.ok) throw new Error(`status ${res.status}`);
    draw(await res.json());
    byId("login").hidden = true;
    notice("");
  } catch (err) {
    notice(`Weir does not answer (${err.message}); what is shown is the last that was heard.`);
  }
  setTimeout(poll, interval);
}

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value;
  byId("token").value = "";
  poll();
});

poll();
