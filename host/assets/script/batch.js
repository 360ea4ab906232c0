// The small charts of a batch: lines of the server until they are in view, then plots with a
// cursor that all of them share, and new points as they come.

import { fetchChart, number, onPoints, onScheme, plotValues } from "./chart.js";

const AT_ONCE = 4;
const shown = new Map();
const queue = [];
let running = 0;

const section = () => document.getElementById("multiples");

/** Runs `AT_ONCE` requests at a time. */
function enqueue(work) {
  queue.push(work);
  pump();
}

function pump() {
  while (running < AT_ONCE && queue.length > 0) {
    running++;
    Promise.resolve(queue.shift()()).catch(() => {}).finally(() => (running--, pump()));
  }
}

const observer = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const article = entry.target;
    const state = shown.get(article) ?? { article };
    state.visible = entry.isIntersecting;
    shown.set(article, state);
    if (state.visible && (!state.plot || state.stale)) enqueue(() => refresh(state));
  }
}, { rootMargin: "200px" });

async function refresh(state) {
  const place = state.article.querySelector(".plot");
  const { batch, from, to, live } = section().dataset;
  if (!place?.isConnected || !state.visible) return;
  const span = live === "true" && state.plot ? { last_ms: to - from } : { from, to };
  const width = Math.floor(place.clientWidth);
  const chart = await fetchChart(batch, state.article.dataset.metric, span, Math.max(width, 100));
  if (!place.isConnected) return;
  state.stale = false;
  Object.assign(state, { chart, from: Date.parse(chart.from), to: Date.parse(chart.to) });
  state.plot?.destroy();
  const words = place.querySelector("svg")?.getAttribute("aria-label") ?? place.getAttribute("aria-label");
  place.replaceChildren();
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", words ?? "");
  state.plot = plotValues(place, { width, height: place.clientHeight }, state, { key: "multiples", scored: true });
  const last = state.article.querySelector(".last");
  if (last) last.textContent = number(chart.value_max.findLast((value) => value !== null));
}

function begin() {
  for (const [article, state] of shown) {
    if (article.isConnected) continue;
    state.plot?.destroy();
    shown.delete(article);
    observer.unobserve(article);
  }
  for (const article of document.querySelectorAll(".multiple")) {
    if (!shown.has(article)) observer.observe(article);
  }
}

const redraw = () => shown.forEach((state) => state.plot?.redraw());

/** All charts as they are now; those out of view when they come into it. */
function renew() {
  if (section()?.dataset.live !== "true") return;
  for (const state of shown.values()) {
    state.stale = true;
    if (state.visible) enqueue(() => refresh(state));
  }
}

begin();
document.addEventListener("htmx:afterSwap", begin);
onScheme(redraw);
let resizing;
addEventListener("resize", () => {
  clearTimeout(resizing);
  resizing = setTimeout(() => {
    for (const { plot, article } of shown.values()) {
      const place = article.querySelector(".plot");
      plot?.setSize({ width: Math.floor(place.clientWidth), height: place.clientHeight });
    }
  }, 150);
});
if (section()) onPoints(section().dataset.batch, renew);

// What is empty does not stand in the address.
document.addEventListener("htmx:configRequest", ({ detail }) => {
  for (const [name, value] of Object.entries(detail.parameters)) if (value === "") delete detail.parameters[name];
});

// A preset takes back what the fields of dates say, and a date the preset.
const form = document.getElementById("choose");
form?.addEventListener("change", (event) => {
  if (event.target.name === "range") for (const name of ["from", "to"]) form.elements[name].value = "";
}, true);

