// Parts of a page are asked for again when something happens, or now and then.
import { tenant } from "./frame.js";

/** Asks for a page and puts its elements with these identities in place of ours. */
export async function renew(ids, address = location.href) {
  const reply = await fetch(address, { headers: { accept: "text/html" } });
  if (!reply.ok) return;
  const page = new DOMParser().parseFromString(await reply.text(), "text/html");
  for (const id of ids) {
    const [ours, theirs] = [document.getElementById(id), page.getElementById(id)];
    // What somebody is typing in stays as it is.
    if (ours && theirs && !ours.contains(document.activeElement)) swap(ours, theirs);
  }
}

function swap(ours, theirs) {
  // Listeners are on our element, so that only what is in it is replaced.
  ours.replaceChildren(...theirs.childNodes);
  for (const { name, value } of theirs.attributes) ours.setAttribute(name, value);
}

const live = [...document.querySelectorAll("[data-live]")].map((part) => part.id).filter(Boolean);
if (live.length > 0 && tenant) {
  let waiting = false;
  const soon = (after) => {
    if (waiting) return;
    waiting = true;
    setTimeout(async () => {
      if (!document.hidden) await renew(live).catch(() => {});
      waiting = false;
    }, after);
  };
  const source = new EventSource(`/api/v1/tenants/${encodeURIComponent(tenant)}/live`);
  for (const name of ["alert", "behind"]) source.addEventListener(name, () => soon(300));
  addEventListener("pagehide", () => source.close());
  // What is told by the minute only, as how old a sample is.
  setInterval(() => soon(0), 30_000);
  document.addEventListener("visibilitychange", () => document.hidden || soon(0));
}
