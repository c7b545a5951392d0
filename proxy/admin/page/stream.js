// The admin API: a stream of frames that comes back by itself, and calls. The token is sent as a header and kept for this tab only; EventSource can send no header, and a
// URL would be in histories and logs.
const key = "weir-token";
const shortest = 1000, longest = 15000; // pauses between attempts, ms
const silence = 6; // seconds: a frame is due every second, and after this the connection is dead, whatever it says itself

export const token = {
  get: () => sessionStorage.getItem(key) ?? "",
  set: (value) => (value ? sessionStorage.setItem(key, value) : sessionStorage.removeItem(key)),
};

function headers(more) {
  return token.get() ? { ...more, Authorization: `Bearer ${token.get()}` } : { ...more };
}

// call is one request. It throws an Error with the status, and the problem's words, for what is refused.
export async function call(method, path, { body, version } = {}) {
  const h = headers({ "Weir-Operator": "dashboard" });
  if (body !== undefined) h["Content-Type"] = "application/json";
  if (version !== undefined) h["If-Match"] = `"${version}"`;
  const res = await fetch(path, { method, headers: h, cache: "no-store", body: body === undefined ? undefined : JSON.stringify(body) });
  const answer = await res.json().catch(() => ({}));
  if (res.ok) return answer;
  const said = answer.errors?.length ? answer.errors.map((e) => e.message).join("; ") : answer.detail ?? answer.title ?? "";
  throw Object.assign(new Error(said || `status ${res.status}`), { status: res.status });
}

// follow calls on.frame with every frame, on.lost(reason, seconds) when the stream broke and is tried again so much later, on.refused when a token is wanted. It
// returns a function that tries again at once, as after a token was given.
export function follow(on) {
  let pause = shortest, timer, current;
  async function attempt() {
    clearTimeout(timer);
    current?.abort();
    const mine = (current = new AbortController());
    let reason = "the connection has ended";
    try {
      await read(mine, (frame) => {
        pause = shortest;
        on.frame(frame);
      });
    } catch (err) {
      if (err.status === 401) return mine === current && on.refused();
      reason = err.message;
    }
    if (mine !== current) return; // another attempt was made meanwhile
    on.lost(reason, Math.round(pause / 1000));
    timer = setTimeout(attempt, pause);
    pause = Math.min(2 * pause, longest);
  }
  attempt();
  return attempt;
}

async function read(abort, each) {
  // Seconds are counted one by one, not as a span: a page that was busy for long, or slept, finds what came meanwhile before the next second is over.
  let dog, quiet = 0;
  const second = () => {
    if (++quiet < silence) dog = setTimeout(second, 1000);
    else abort.abort(new Error("nothing was heard for some seconds"));
  };
  dog = setTimeout(second, 1000);
  try {
    const res = await fetch("/v1/events", { headers: headers(), cache: "no-store", signal: abort.signal });
    if (!res.ok) throw Object.assign(new Error(`status ${res.status}`), { status: res.status });
    const reader = res.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      quiet = 0;
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      for (const e of events) if (e.startsWith("data: ")) each(JSON.parse(e.slice(6)));
    }
  } finally {
    clearTimeout(dog);
    abort.abort();
  }
}
