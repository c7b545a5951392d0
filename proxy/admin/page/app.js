// The dashboard: one stream of frames, drawn in place, so that focus, selection and what is being typed stay where they are.
import { say } from "./ask.js";
import { clock, el, number, put, rows, stamp, table } from "./dom.js";
import { list, service, shape } from "./service.js";
import { call, follow, token } from "./stream.js";

const byId = (id) => document.getElementById(id);
const keptErrors = 50;
const sections = new Map();
let errors = [];
let live = false; // false: the next frame is the first of a stream
let process; // when the Weir that is shown was started

const tables = {
  errors: table("Recent errors", ["When", "Status", "Request", "Client", "Group", "Target", "Reason", "Detail", "Id"]),
  ended: table("Requests ended by Weir", ["Reason", "Per second"]),
  limits: table("Limits", ["Limit", "Allowed/s", "Refused/s", "Would be refused/s"]),
  certificates: table("Certificates", ["Subject", "State", "Expires", "Names", "Issuer", "Source", "Error"]),
  listeners: table("Listeners", ["Listener", "Address", "Protocols", "Connections"]),
};
for (const [name, t] of Object.entries(tables)) byId(name).append(t.box);

const again = follow({
  frame(f) {
    if (!live) began();
    live = true;
    draw(f);
  },
  lost(reason, seconds) {
    if (live) say("The connection to Weir is lost. What is shown is the last that was heard.", true);
    live = false;
    connection("lost", `Connection lost (${reason}); trying again in ${seconds} s`);
  },
  refused() {
    live = false;
    connection("locked", "A token is needed");
    byId("login").hidden = false;
    byId("shown").hidden = true;
    if (token.get()) {
      token.set("");
      say("This token is not accepted.", true);
    }
    byId("token").focus();
  },
});

function connection(kind, text) {
  const e = byId("connection");
  e.className = kind;
  put(e, text);
}

// began is the first frame of a stream: what failed before it is asked for once.
async function began() {
  connection("live", "Live");
  const back = byId("said").className === "bad";
  if (back) say("Connected.");
  byId("login").hidden = true;
  byId("shown").hidden = false;
  byId("leave").hidden = !token.get();
  try {
    remember((await call("GET", "/v1/errors")).errors);
    drawErrors();
  } catch {
    // the stream says what is wrong with the connection
  }
}

function remember(list) {
  const known = new Set(errors.map((e) => `${e.number} ${e.at}`)); // numbers start anew with the process
  errors = [...errors, ...list.filter((e) => !known.has(`${e.number} ${e.at}`))]
    .sort((a, b) => new Date(a.at) - new Date(b.at) || a.number - b.number).slice(-keptErrors);
}

function draw(f) {
  const st = f.status;
  if (st.started_at !== process) for (const s of sections.values()) s.forget();
  process = st.started_at;
  put(byId("summary"), `${st.version} · ${st.state} · generation ${st.generation} · up since ${stamp(st.started_at)}`);
  put(byId("connections"), `${f.connections.open} connections, ${number(f.connections.accepted)}/s new, ${number(f.connections.refused)}/s refused`);
  list(byId("warnings"), warnings(st));
  const rates = new Map(f.groups.map((g) => [`${g.service}\n${g.group}`, g]));
  drawServices(st.services ?? [], rates);
  remember(f.errors);
  drawErrors();
  rows(tables.ended, f.ended.map((e) => [e.reason, number(e.per_second)]), "none in the last second");
  rows(tables.limits, f.limits.map((l) => [l.name, number(l.allowed), { text: number(l.limited), class: l.limited > 0 ? "bad" : "" }, number(l.dry_run)]), "no limits are configured");
  put(byId("certificate-count"), f.certificates.total > f.certificates.first.length ? `The first ${f.certificates.first.length} of ${f.certificates.total} to look at` : "");
  rows(tables.certificates, f.certificates.first.map(certificateCells), "no certificates");
  rows(tables.listeners, st.listeners?.map((l) => [l.name, l.address, (l.tls ? ["TLS"] : []).concat(l.protocols ?? []).join(", "), String(l.connections)]) ?? [], "no listeners");
  drawConfig(st);
}

function drawServices(services, rates) {
  for (const [name, s] of sections) {
    const now = services.find((x) => x.name === name);
    if (now && shape(now) === s.shape) continue;
    s.section.remove();
    sections.delete(name);
  }
  services.forEach((now, i) => {
    let s = sections.get(now.name);
    if (!s) {
      s = service(now);
      sections.set(now.name, s);
      byId("services").insertBefore(s.section, byId("services").children[i] ?? null);
    }
    s.update(now, rates);
  });
  byId("no-services").hidden = services.length > 0;
}

function drawErrors() {
  rows(tables.errors, errors.toReversed().map((e) => [clock(e.at), { text: String(e.status), class: "bad" }, `${e.method} ${e.host}${e.path}`, e.client,
    e.group ? `${e.service}/${e.group}` : e.service ?? "–", e.target || "–", e.reason || "the upstream’s own answer", e.error || "–", e.request_id || "–"]), "no request has failed");
}

function certificateCells(c) {
  const days = c.not_after ? Math.floor((new Date(c.not_after) - Date.now()) / 86400000) : undefined;
  const expires = days === undefined ? "–" : `${new Date(c.not_after).toLocaleDateString()} (${days} days)`;
  return [c.subject, { text: c.state, class: c.state === "valid" ? "good" : "bad" }, { text: expires, class: days !== undefined && days < 14 ? "bad" : "" },
    (c.names ?? []).join(", ") || "–", c.issuer || "–", c.source || "–", c.error || "–"];
}

function warnings(st) {
  const all = [...(st.warnings ?? [])];
  const last = st.config.last_reload;
  if (last && !last.ok) {
    all.push(`The last reload (${stamp(last.at)}) was refused; the configuration before it is in force.`);
    for (const e of last.errors ?? []) all.push(`${e.file ?? ""}:${e.line ?? 0}:${e.column ?? 0}: ${e.message}`);
  }
  if (st.cluster && !st.cluster.up) all.push(`Redis ${st.cluster.address} is away: ${st.cluster.error ?? ""}`);
  return all;
}

function drawConfig(st) {
  const last = st.config.last_reload;
  const facts = [["File", st.config.path], ["Generation", String(st.generation)], ["Loaded", stamp(st.config.loaded_at)],
    ["Last reload", last ? `${stamp(last.at)}, ${last.ok ? "in force" : "refused"} (${last.trigger})` : "none since the start"]];
  const dl = byId("facts");
  if (dl.children.length === 0) for (const [name] of facts) dl.append(el("dt", {}, name), el("dd"));
  facts.forEach(([, value], i) => put(dl.children[2 * i + 1], value));
}

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token.set(byId("token").value);
  byId("token").value = "";
  say("");
  again();
});
byId("leave").addEventListener("click", () => {
  token.set("");
  say("The token is forgotten.");
  again();
});
