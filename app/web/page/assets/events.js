// Server-sent events (HTML §9.2) out of a fetch: the browser's own EventSource can send neither a body nor a token.

// Parser takes text as it comes, cut anywhere, and gives the events that are whole.
export class Parser {
  #rest = "";
  #event = "";
  #data = [];

  // feed gives {event, data} for each event that this text completes.
  feed(text) {
    const out = [];
    this.#rest += text;
    for (;;) {
      const end = this.#rest.search(/[\r\n]/);
      if (end < 0 || (this.#rest[end] === "\r" && end === this.#rest.length - 1)) return out; // a \r at the end may be half a \r\n
      const width = this.#rest.startsWith("\r\n", end) ? 2 : 1;
      const event = this.#line(this.#rest.slice(0, end));
      this.#rest = this.#rest.slice(end + width);
      if (event) out.push(event);
    }
  }

  #line(line) {
    if (line === "") {
      const event = this.#data.length > 0 ? { event: this.#event || "message", data: this.#data.join("\n") } : null;
      this.#event = "";
      this.#data = [];
      return event;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#event = value;
    if (field === "data") this.#data.push(value);
    return null;
  }
}

// events are those of an answer, one by one, until it ends.
export async function* events(answer) {
  const parser = new Parser();
  const decoder = new TextDecoder();
  const reader = answer.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.feed(decoder.decode(value, { stream: true }));
    }
  } finally {
    await reader.cancel().catch(() => {}); // it has ended, or it was given up: either way nobody reads on
  }
}
