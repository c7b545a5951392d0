// Who is logged in. The access token is in this module's memory and nowhere else; the refresh token, which is good for one exchange, is kept for all tabs of this origin, so that a reload does not log anybody out.
import { Problem, read, send } from "./api.js";

const key = "valor-refresh";
const changed = new EventTarget();

let access = ""; // "": nobody is logged in here
let expires = 0; // when the access token ends, in milliseconds
let user = null;

// who is logged in, or null.
export const who = () => user;

// onChange has f called whenever that changes.
export const onChange = (f) => changed.addEventListener("change", f);

// begin takes up the session of an earlier page, if there is one. It never fails: without the service nobody is logged in yet, and the next question tries again.
export async function begin() {
  addEventListener("storage", (e) => {
    if (e.key === key && e.newValue === null) forget();
    else if (e.key === key && !user) renew("").catch(() => {}); // somebody logged in, in another tab
  });
  if (localStorage.getItem(key)) await renew("").catch(() => {});
}

export async function logIn(username, password, signal) {
  take(await read(await send("POST", "/api/auth/login", { body: { username, password }, signal }), signal));
}

export async function register(username, email, password, signal) {
  take(await read(await send("POST", "/api/auth/register", { body: { username, email, password }, signal }), signal));
}

// logOut forgets at once, whether or not the service can be told.
export async function logOut() {
  const token = localStorage.getItem(key);
  localStorage.removeItem(key);
  forget();
  if (token) await send("POST", "/api/auth/logout", { body: { refresh_token: token } });
}

// token is a good access token, or "" where nobody is logged in.
export async function token() {
  if (access === "" && localStorage.getItem(key)) await renew("");
  else if (access !== "" && Date.now() > expires) await renew(access);
  return access;
}

// expire has the next token be a new one: the service says that this one has ended.
export function expire() {
  expires = 0;
}

// ask sends as whoever is logged in, and once more if the token was not taken, as after the service's secret was changed.
export async function ask(method, path, options = {}) {
  const used = await token();
  try {
    return await send(method, path, { ...options, token: used });
  } catch (error) {
    if (error.status !== 401 || used === "") throw error;
    await renew(used);
    if (access === "") throw error;
    return send(method, path, { ...options, token: access });
  }
}

// get is ask with JSON as the answer.
export async function get(method, path, options = {}) {
  return read(await ask(method, path, options), options.signal);
}

// renew exchanges the refresh token, one tab at a time: the one that comes second finds what the first was given. stale is the access token that is not good any more.
function renew(stale) {
  return exclusively(async () => {
    if (access !== stale) return; // another question of this tab was first
    const refresh = localStorage.getItem(key);
    if (!refresh) return forget();
    try {
      const answer = await read(await send("POST", "/api/auth/refresh", { body: { refresh_token: refresh } }));
      if (localStorage.getItem(key) === refresh) return take(answer);
      // Somebody logged out meanwhile, or logged in as another. This session is nobody's any more.
      await send("POST", "/api/auth/logout", { body: { refresh_token: answer.refresh_token } }).catch(() => {});
    } catch (error) {
      if (!(error instanceof Problem) || (error.status !== 401 && error.status !== 422)) throw error; // it may be good still
      if (![refresh, null].includes(localStorage.getItem(key))) return; // that of who has logged in meanwhile
      localStorage.removeItem(key);
      forget();
    }
  });
}

// exclusively holds a lock of the origin, where the browser has them; on plain HTTP to other machines it has none.
const exclusively = (f) => (navigator.locks ? navigator.locks.request(key, f) : f());

function take(answer) {
  access = answer.access_token;
  expires = Date.now() + (answer.expires_in - 30) * 1000;
  localStorage.setItem(key, answer.refresh_token);
  user = answer.user;
  changed.dispatchEvent(new Event("change"));
}

function forget() {
  if (access === "" && !user) return;
  access = "";
  user = null;
  changed.dispatchEvent(new Event("change"));
}
