// A document that several people work on at once, over /ws/collaboration. What is written here is shown here at once, is sent when there is a connection, and is sent again under its name until it is acknowledged;
// the service decides what wins, and all who are connected come to hold the same.
import { expire, token, who } from "./session.js";

const most = 50; // ops in a batch
const pause = 600; // ms in which changes of one path become one: the service takes 120 a minute
const longest = 10_000; // ms between two attempts to connect

export const random = () => [...crypto.getRandomValues(new Uint8Array(12))].map((b) => b.toString(16).padStart(2, "0")).join("");

// Live is one document. hooks: changed(paths) after others' changes, members(list), state(text: connecting, live or lost), refused(message) for what was written here and cannot be.
export class Live {
  #doc;
  #hooks;
  #socket = null;
  #hide = () => this.#flush(); // what was written in the last moment
  #joined = false;
  #closed = false;
  #attempt = 0;
  #timers = new Set();
  #version = 0; // of what the service said
  #values = new Map(); // by path, as the service has them
  #ahead = new Map(); // batches by version that came before one that is missing
  #waiting = new Map(); // by path: ops that nobody has been sent
  #sent = null; // {id, ops}: the one batch that is not acknowledged
  #members = new Map();
  #due = false; // a timer will send what waits
  #offset = 0; // of the service's clock, ms
  #last = 0; // the time of the last op

  constructor(doc, hooks) {
    this.#doc = doc;
    this.#hooks = hooks;
    this.client = "";
    addEventListener("pagehide", this.#hide);
    this.#connect();
  }

  // entries are the paths with their values, what was written here before what the service has.
  entries() {
    const all = new Map(this.#values);
    for (const op of this.#sent?.ops ?? []) all.set(op.path, op.value);
    for (const op of this.#waiting.values()) all.set(op.path, op.value);
    return [...all];
  }

  // bare is true where nobody has ever written, as far as the service has said.
  get bare() {
    return this.#values.size === 0;
  }

  // set writes a value. ts is for what is no news, such as an older text that is put in once.
  set(path, value, ts = this.#now()) {
    this.#waiting.set(path, { op: "set", path, value, ts });
    if (this.#due) return;
    this.#due = true;
    this.#later(pause, () => {
      this.#due = false;
      this.#flush();
    });
  }

  // point tells the others where this one is.
  point(cursor) {
    if (this.#joined) this.#send("presence", { cursor });
  }

  close() {
    this.#closed = true;
    removeEventListener("pagehide", this.#hide);
    this.#flush();
    for (const t of this.#timers) clearTimeout(t);
    this.#socket?.close();
  }

  #now() {
    return (this.#last = Math.max(this.#last + 1, Date.now() + this.#offset));
  }

  #later(ms, f) {
    const t = setTimeout(() => {
      this.#timers.delete(t);
      f();
    }, ms);
    this.#timers.add(t);
  }

  async #connect() {
    let access = "";
    try {
      access = await token();
    } catch {
      return this.#again();
    }
    if (this.#closed) return;
    const url = new URL("/ws/collaboration", location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = (this.#socket = new WebSocket(url, access ? ["valor.v1", `bearer.${access}`] : ["valor.v1"]));
    socket.onopen = () => this.#send("join", { since: this.#version, name: who()?.username ?? "guest" });
    socket.onmessage = (e) => this.#take(JSON.parse(e.data));
    socket.onclose = (e) => {
      if (e.code === 4401) expire();
      this.#joined = false;
      this.#members.clear();
      if (!this.#closed) this.#again();
    };
  }

  // again connects once more, later each time. Many who lost one instance do not come back at one moment.
  #again() {
    this.#hooks.state("lost");
    const wait = Math.min(longest, 100 * 2 ** this.#attempt++);
    this.#later(wait * (0.5 + Math.random() / 2), () => this.#connect());
  }

  #send(type, payload, id) {
    this.#socket?.send(JSON.stringify({ type, doc_id: this.#doc, ...(id ? { request_id: id } : {}), payload }));
  }

  #flush() {
    if (!this.#joined || this.#sent || this.#waiting.size === 0) return;
    const ops = [...this.#waiting.values()].slice(0, most);
    for (const op of ops) this.#waiting.delete(op.path);
    this.#sent = { id: random(), ops };
    this.#send("ops", { ops }, this.#sent.id);
  }

  #resend() {
    if (this.#joined && this.#sent) this.#send("ops", { ops: this.#sent.ops }, this.#sent.id);
  }

  #take({ type, request_id, payload }) {
    switch (type) {
      case "joined":
        return this.#enter(payload);
      case "ack":
        if (this.#sent?.id === request_id) this.#sent = null;
        this.#apply(payload.version, payload.ops);
        return this.#flush();
      case "ops":
        return this.#apply(payload.version, payload.ops);
      case "presence":
        for (const m of payload.members ?? []) this.#members.set(m.client_id, m);
        for (const id of payload.left ?? []) this.#members.delete(id);
        return this.#hooks.members([...this.#members.values()]);
      case "error":
        return this.#refused(request_id, payload);
    }
  }

  #enter(p) {
    this.client = p.client_id;
    this.#offset = p.time - Date.now();
    this.#ahead.clear();
    if (p.document) {
      this.#values = new Map(Object.entries(p.document.values).map(([path, cell]) => [path, cell.value]));
      this.#version = p.document.version;
    }
    for (const b of p.batches ?? []) this.#apply(b.version, b.ops);
    this.#members = new Map(p.members.map((m) => [m.client_id, m]));
    this.#joined = true;
    this.#attempt = 0;
    this.#hooks.state("live");
    this.#hooks.members(p.members);
    this.#hooks.changed();
    this.#resend();
    this.#flush();
  }

  // apply takes batches in the order of their versions, each once.
  #apply(version, ops) {
    if (version <= this.#version) return;
    this.#ahead.set(version, ops);
    let changed = false;
    for (let next; (next = this.#ahead.get(this.#version + 1)); ) {
      this.#ahead.delete(++this.#version);
      for (const op of next) {
        if (op.op !== "set") continue;
        this.#values.set(op.path, op.value);
        changed = true;
      }
    }
    if (changed) this.#hooks.changed();
  }

  #refused(id, { code, message, retry_after_ms }) {
    if (code === "rate_limited" || code === "internal") return this.#later(retry_after_ms ?? 1000, () => this.#resend());
    if (id && this.#sent?.id === id) {
      this.#sent = null;
      this.#hooks.refused(message);
      this.#hooks.changed();
      return this.#flush();
    }
    this.#hooks.refused(message);
    if (!this.#joined) this.#socket.close(); // it could not join: once more, later
  }
}
