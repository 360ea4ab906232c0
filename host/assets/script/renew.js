// Parts of a page are asked for again when something happens, or now and then.
import { tenant } from "./frame.js";
import { listen, soon } from "./live.js";

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

const parts = [...document.querySelectorAll("[data-live]")].map((part) => part.id).filter(Boolean);
if (parts.length > 0 && tenant) {
  const again = () => document.hidden || renew(parts).catch(() => {});
  const shortly = soon(again, 300);
  listen({}, { alert: shortly, behind: shortly });
  // What is told by the minute only, as how old a sample is.
  setInterval(again, 30_000);
  document.addEventListener("visibilitychange", again);
}
