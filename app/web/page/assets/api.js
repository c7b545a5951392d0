// Asking the API of this page's own origin. What is not a good answer is thrown as a Problem.

// Problem is an answer that refuses (RFC 9457), or none at all.
export class Problem extends Error {
  // status is 0 where there was no answer; errors are [{location, message}].
  constructor(status, detail, errors = []) {
    super(detail);
    this.status = status;
    this.errors = errors;
  }
}

// patience is how long an answer may take to begin and end, in milliseconds, but for streams, which may be watched and cancelled.
const patience = 30_000;

// send gives the answer if it is a good one. options: body (as JSON), token, signal, stream (the answer is a stream of events), headers.
export async function send(method, path, { body, token, signal, stream = false, headers = {} } = {}) {
  const all = { Accept: stream ? "text/event-stream" : "application/json", ...headers };
  if (body !== undefined) all["Content-Type"] = "application/json";
  if (token) all.Authorization = `Bearer ${token}`;
  const signals = [...(signal ? [signal] : []), ...(stream ? [] : [AbortSignal.timeout(patience)])];
  let answer;
  try {
    answer = await fetch(path, {
      method, headers: all, body: body === undefined ? undefined : JSON.stringify(body), signal: signals.length > 0 ? AbortSignal.any(signals) : undefined,
      cache: "no-store", credentials: "omit", redirect: "error",
    });
  } catch (error) {
    throw failed(error, signal);
  }
  note(answer);
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

// read is the answer's JSON.
export async function read(answer, signal) {
  try {
    return await answer.json();
  } catch (error) {
    throw failed(error, signal);
  }
}

// failed tells those apart who left from a network that did.
export function failed(error, signal) {
  if (signal?.aborted) return signal.reason;
  if (error.name === "TimeoutError") return new Problem(0, "The service took too long to answer.");
  return new Problem(0, "The service cannot be reached, or its answer broke off. Try again in a moment.");
}

async function refusal(answer) {
  const usual = { 429: "Too many requests for now.", 502: "The service is away.", 503: "The service is busy." }[answer.status] ?? `The service refused (${answer.status}).`;
  const wait = Number(answer.headers.get("Retry-After"));
  const later = wait > 0 ? ` Try again in ${wait} s.` : "";
  const said = await answer.json().catch(() => ({})); // an answer of the edge, or half of one
  const errors = Array.isArray(said.errors) ? said.errors : [];
  return new Problem(answer.status, (typeof said.detail === "string" && said.detail !== "" ? said.detail : usual) + later, errors);
}

// note shows which colour answered last, if the service says so: two may be in service at once.
function note(answer) {
  const colour = answer.headers.get("X-Valor-Color");
  if (colour) document.getElementById("colour").textContent = `Answered by ${colour}.`;
}

// gone is true for what is thrown when somebody cancelled or left: nothing to be told.
export const gone = (error) => error?.name === "AbortError";
