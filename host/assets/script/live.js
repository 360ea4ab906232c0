// What goes on, as it happens: one stream a page, and parts of the page that come anew.

import { tenant } from "./frame.js";

/**
 * Listens to what goes on; `query` is `{ batch, run }`. `handlers` are by the name of an event:
 * run, log, points, alert, behind. Browsers come again by themselves when a stream ends.
 */
export function listen(query, handlers) {
  const asked = new URLSearchParams(query).toString();
  const source = new EventSource(`/api/v1/tenants/${encodeURIComponent(tenant)}/live?${asked}`);
  for (const [name, handle] of Object.entries(handlers)) {
    source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
  }
  addEventListener("pagehide", () => source.close());
  return source;
}

/**
 * Loads the page again and takes over its parts with `data-live`, by their ids. A part in which
 * somebody types, or has a form open, is left as it is; what else is open stays open.
 */
export async function refresh() {
  const reply = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!reply.ok) return;
  const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    const busy = part.contains(document.activeElement) || part.querySelector("details[open] :is(input:not([type=hidden]), textarea)");
    if (!next || busy) continue;
    const [old, anew] = [part, next].map((place) => [...place.querySelectorAll("details")]);
    if (old.length === anew.length) old.forEach(({ open }, i) => (anew[i].open = open));
    part.replaceWith(document.importNode(next, true));
  }
}

/** A function that calls another soon, and once however often it is called until then. */
export function soon(call, wait) {
  let timer = 0;
  return () => {
    if (timer) return;
    timer = setTimeout(() => {
      timer = 0;
      call();
    }, wait);
  };
}
