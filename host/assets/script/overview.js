// Brushing over the strips, and what is wrong now kept so.
import { renew } from "./renew.js";

document.querySelectorAll(".scripted").forEach((words) => (words.hidden = false));

/** What `datetime-local` holds, in UTC. */
const local = (time) => new Date(time).toISOString().slice(0, 16);

const strips = document.getElementById("strips");
const form = document.getElementById("brush");
if (strips && form) {
  let from = null;
  let brush = null;

  const place = (strip, event) => {
    const box = strip.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  const shade = (strip, a, b) => {
    if (!brush) {
      brush = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      brush.setAttribute("class", "brush");
      brush.setAttribute("height", "10");
      strip.append(brush);
    }
    brush.setAttribute("x", String(72 * Math.min(a, b)));
    brush.setAttribute("width", String(72 * Math.abs(b - a)));
  };

  strips.addEventListener("pointerdown", (event) => {
    const strip = event.target.closest("svg.strip");
    if (!strip || event.button !== 0) return;
    brush?.remove();
    brush = null;
    from = { strip, at: place(strip, event) };
    strip.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  strips.addEventListener("pointermove", (event) => {
    if (from) shade(from.strip, from.at, place(from.strip, event));
  });
  const end = (event) => {
    if (!from) return;
    const [strip, first, last] = [from.strip, from.at, place(from.strip, event)];
    from = null;
    // A click is the cell under it.
    const [a, b] = Math.abs(last - first) < 1 / 144
      ? [Math.floor(first * 72) / 72, (Math.floor(first * 72) + 1) / 72]
      : [Math.min(first, last), Math.max(first, last)];
    shade(strip, a, b);
    const [start, stop] = [Number(strips.dataset.start), Number(strips.dataset.end)];
    const time = (share) => start + share * (stop - start);
    form.elements.from.value = local(time(a));
    form.elements.to.value = local(Math.max(time(b), time(a) + 60_000));
    rank();
  };
  strips.addEventListener("pointerup", end);
  strips.addEventListener("pointercancel", () => (from = null));

  async function rank() {
    const address = `${location.pathname}?${new URLSearchParams(new FormData(form))}`;
    history.replaceState(null, "", address);
    await renew(["ranking"], address);
    document.getElementById("ranking")?.scrollIntoView({ block: "nearest" });
  }
}
