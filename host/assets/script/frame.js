// What every page has: keys, times in the reader's words, and requests that say whose they are.

const named = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";

/** The tenant whose page this is. */
export const tenant = named("anomd-tenant");

/**
 * Asks the API below the page's tenant. Answers the JSON; throws an `Error` with the sentence of
 * the problem where it refuses.
 */
export async function api(path, { method = "GET", body, signal } = {}) {
  const headers = { accept: "application/json" };
  if (method !== "GET") headers["x-csrf-token"] = named("anomd-csrf");
  if (body !== undefined) headers["content-type"] = "application/json";
  const reply = await fetch(`/api/v1/tenants/${encodeURIComponent(tenant)}${path}`, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal,
  });
  const json = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Error(json.detail ?? `the node answered ${reply.status}`);
  return json;
}

/** Says something to whoever reads the page, by eye or by ear. */
export function say(words) {
  let place = document.getElementById("said");
  if (!place) {
    place = document.createElement("p");
    place.id = "said";
    place.setAttribute("role", "status");
    document.body.append(place);
  }
  place.textContent = words;
}

// htmx sends what forms would send; it names the session too.
document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRF-Token"] = named("anomd-csrf");
});
document.addEventListener("htmx:responseError", (event) => {
  const reply = event.detail.xhr;
  say(reply.status === 401 ? "You are signed out. Load the page again." : `The node answered ${reply.status}.`);
});

// Where the bar is wider than the window, the page's own place in it is seen.
document.querySelector(".bar nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });

// "/" goes to the search of the page, or to that of the frame.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const search = document.querySelector("main input[type=search]") ?? document.getElementById("find");
  if (search) {
    event.preventDefault();
    search.focus();
    search.select();
  }
});

// `<time datetime>` stays as the server wrote it; how long ago that was comes along as its title.
const steps = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
document.addEventListener("pointerover", (event) => {
  const time = event.target.closest?.("time[datetime]");
  if (!time) return;
  const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
  const [unit, length] = steps.find(([, length]) => Math.abs(seconds) >= length) ?? steps.at(-1);
  if (Number.isFinite(seconds)) time.title = words.format(Math.round(seconds / length), unit);
});
