// One series: plots of its values, scores and terms with one cursor, zoomed and panned together,
// and what would have fired at the threshold of the slider.

import {
  colour, fetchChart, instant, number, onPoints, onScheme, plotScores, plotTerms, plotValues, scores, span, values,
} from "./chart.js";
import { api, say } from "./frame.js";

const LEAST_MS = 60000;
const form = document.getElementById("choose");
const place = document.getElementById("charts");
const slider = document.getElementById("threshold");
const { batch, metric, configured } = form.dataset;
const state = {
  from: Number(form.dataset.from),
  to: Number(form.dataset.to),
  live: form.dataset.live === "true",
  threshold: Number(slider.value),
  chart: undefined,
  alerts: [],
};
let plots = [];
let request;

const readout = document.createElement("p");
readout.className = "small quiet readout";
readout.textContent = "\u00a0";

/** Says what is under the cursor. */
function read(plot) {
  const i = plot.cursor.idx;
  const { chart } = state;
  if (i === null || i === undefined || !chart) return void (readout.textContent = "\u00a0");
  const pair = (from, to) => (from === to ? number(from) : `${number(from)} to ${number(to)}`);
  const words = [`${instant(chart.t[i])} UTC`, `value ${pair(chart.value_min[i], chart.value_max[i])}`];
  if (chart.lower[i] !== null) words.push(`expected ${pair(chart.lower[i], chart.upper[i])}`);
  if (chart.score[i] !== null) words.push(`score ${number(chart.score[i])}`);
  const terms = chart.terms.map((term) => [term.name, term.values[i]]).filter(([, value]) => value !== null);
  terms.sort((a, b) => b[1] - a[1]);
  words.push(...terms.slice(0, 3).map(([name, value]) => `${name} ${number(value)}`));
  readout.textContent = words.join(" · ");
}

/** Marks above the scores where alerts would have fired. */
function would(plot) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.fillStyle = colour("bad");
  for (const alert of state.alerts) {
    const x = plot.valToPos(Date.parse(alert.fired), "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x - 5 * devicePixelRatio, bbox.top);
    ctx.lineTo(x + 5 * devicePixelRatio, bbox.top);
    ctx.lineTo(x, bbox.top + 8 * devicePixelRatio);
    ctx.fill();
  }
  ctx.restore();
}

function selected(plot) {
  const { left, width } = plot.select;
  if (width < 4) return;
  const [from, to] = [left, left + width].map((x) => plot.posToVal(x, "x"));
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  // Plots that share a cursor all say so; the first is heard.
  if (plot === plots[0]) show(from, to);
}

/** Dragging moves what is shown instead of choosing a part of it: with shift, in the mode for it, or by finger. */
let panning;
let pans = false;
const bind = {
  mousedown: (_, target, handle) => (event) => {
    if (event.button === 0 && event.target === target && !panning) handle(event);
  },
};

function grip({ over }) {
  over.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !(pans || event.shiftKey || event.pointerType === "touch")) return;
    panning = { pointer: event.pointerId, x: event.clientX, from: state.from, to: state.to };
    over.setPointerCapture(event.pointerId);
    over.classList.add("gripped");
  });
  over.addEventListener("pointermove", (event) => {
    if (panning?.pointer !== event.pointerId) return;
    const moved = ((panning.x - event.clientX) / over.clientWidth) * (panning.to - panning.from);
    if (moved !== 0) show(panning.from + moved, panning.to + moved);
  });
  const release = () => {
    panning = undefined;
    over.classList.remove("gripped");
  };
  over.addEventListener("pointerup", release);
  over.addEventListener("pointercancel", release);
}

function build() {
  plots.forEach((plot) => plot.destroy());
  place.replaceChildren(readout);
  const width = Math.floor(place.clientWidth);
  const phone = width < 500;
  const hooks = { setSelect: [selected], setCursor: [read] };
  const part = (title, more = "") => {
    const figure = document.createElement("figure");
    figure.setAttribute("role", "img");
    figure.setAttribute("aria-label", `${title} of ${metric}; the sentence below and the table at the end of the page say what it shows`);
    const caption = document.createElement("figcaption");
    caption.textContent = title + more;
    figure.append(caption);
    place.append(figure);
    return figure;
  };
  plots = [
    plotValues(part("Values", ", the band where they were expected, and alerts shaded"), { width, height: phone ? 220 : 320 }, state, { key: "series", hooks, bind }),
    plotScores(part("Scores", ", and the threshold"), { width, height: 110 }, state, { key: "series", hooks: { ...hooks, draw: [would] }, bind, xAxis: false }),
  ];
  if (state.chart.terms.length > 0) {
    plots.push(plotTerms(part("Parts of the scores"), { width, height: 110 }, state, { key: "series", hooks: { setSelect: [selected] }, bind }));
  }
  plots.forEach(grip);
}

function sentence({ points, from, to, value_min, value_max, score, alerts, threshold }) {
  const known = (column) => column.filter((value) => value !== null);
  const [least, most] = [known(value_min), known(value_max)];
  const ends = `from ${instant(Date.parse(from))} to ${instant(Date.parse(to))} UTC`;
  if (least.length === 0) return `No samples ${ends}.`;
  const fold = (column, with_) => column.reduce((a, b) => with_(a, b));
  const words = [`${points} points ${ends}: values from ${number(fold(least, Math.min))} to ${number(fold(most, Math.max))}, the last ${number(most.at(-1))}.`];
  if (known(score).length > 0) words.push(`The highest score is ${fold(known(score), Math.max).toFixed(2)}; alerts begin at ${threshold.toFixed(2)}.`);
  words.push(alerts.length === 0 ? "No alerts." : alerts.length === 1 ? "One alert." : `${alerts.length} alerts.`);
  return words.join(" ");
}

async function load() {
  request?.abort();
  request = new AbortController();
  const { from, to } = state;
  const asked = state.live ? { last_ms: to - from } : { from: Math.round(from), to: Math.round(to) };
  try {
    const chart = await fetchChart(batch, metric, asked, Math.max(Math.floor(place.clientWidth) * 2, 600), request.signal);
    const terms = (chart) => chart?.terms.map((term) => term.name).join();
    const same = terms(state.chart) === terms(chart) && plots.length > 0;
    // Where somebody has gone on meanwhile, what is there comes next.
    const stayed = state.from === from && state.to === to;
    Object.assign(state, { chart }, stayed && { from: Date.parse(chart.from), to: Date.parse(chart.to) });
    if (same) {
      plots[0].setData(values(chart));
      plots[1].setData(scores(chart));
      plots[2]?.setData([chart.t, ...chart.terms.map((term) => term.values)]);
    } else {
      build();
    }
    document.getElementById("sentence").textContent = sentence(chart);
    document.getElementById("resolution").textContent = chart.bucket_ms ? `of ${span(chart.bucket_ms)} each, with their extremes` : "the samples themselves";
    await ask();
  } catch (error) {
    if (error.name !== "AbortError") say(error.message);
  }
}

/** Shows another span: at once what there is of it, then its own points. */
let loading;
function show(from, to, live = false) {
  const length = Math.max(to - from, LEAST_MS);
  const middle = (from + to) / 2;
  Object.assign(state, { from: middle - length / 2, to: middle + length / 2, live });
  plots.forEach((plot) => plot.setScale("x", { min: state.from, max: state.to }));
  remember();
  // Now and then while it is dragged, and not only at its end.
  loading ??= setTimeout(() => {
    loading = undefined;
    load();
  }, 120);
}

/** The address says what is shown; not at every step of a drag, which browsers forbid. */
let remembering;
function remember() {
  clearTimeout(remembering);
  remembering = setTimeout(write, 150);
}

function write() {
  const query = new URLSearchParams(location.search);
  if (!state.live) {
    query.delete("range");
    query.set("from", new Date(state.from).toISOString());
    query.set("to", new Date(state.to).toISOString());
  } else {
    query.delete("from");
    query.delete("to");
  }
  if (state.threshold === Number(configured)) query.delete("threshold");
  else query.set("threshold", state.threshold.toFixed(2));
  history.replaceState(null, "", query.size > 0 ? `?${query}` : location.pathname);
}

/** What would have fired: one request at a time, and then the newest threshold. */
let asking = false;
let asked;
async function ask() {
  asked = { threshold: state.threshold, from: Math.round(state.from), to: Math.round(state.to) };
  if (asking) return;
  asking = true;
  try {
    while (asked) {
      const query = new URLSearchParams({ metric, ...asked });
      asked = undefined;
      tell(await api(`/batches/${encodeURIComponent(batch)}/what-if?${query}`));
    }
  } catch (error) {
    say(error.message);
  } finally {
    asking = false;
  }
}

function tell({ threshold, configured, count, over, points, alerts }) {
  state.alerts = alerts;
  plots[1]?.redraw(false);
  const strong = document.createElement("strong");
  strong.textContent = `${count} ${count === 1 ? "alert" : "alerts"}`;
  const at = threshold.toFixed(2);
  document.getElementById("what-if").replaceChildren(
    strong, ` would have fired; ${over} of ${points} scored points are at ${at} or above. The batch has ${configured.toFixed(2)}.`,
  );
  const items = alerts.slice(-10).reverse().map(({ fired, ended, score }) => {
    const item = document.createElement("li");
    const until = ended ? `for ${span(Date.parse(ended) - Date.parse(fired))}` : "and goes on";
    item.textContent = `${instant(Date.parse(fired))} UTC, ${until}, score up to ${score.toFixed(2)}`;
    return item;
  });
  if (items.length === 0) items.push(Object.assign(document.createElement("li"), { textContent: "None." }));
  document.getElementById("would-fire").replaceChildren(...items);
}

slider.addEventListener("input", () => {
  state.threshold = Number(slider.value);
  document.getElementById("threshold-value").textContent = state.threshold.toFixed(2);
  plots[1]?.redraw(false);
  remember();
  ask();
});

const length = () => state.to - state.from;
const doing = {
  back: () => show(state.from - length() / 2, state.to - length() / 2),
  on: () => show(state.from + length() / 2, state.to + length() / 2),
  in: () => show(state.from + length() / 4, state.to - length() / 4),
  out: () => show(state.from - length() / 2, state.to + length() / 2),
  newest: () => show(state.from, state.to, true),
  pan() {
    pans = !pans;
    mode.setAttribute("aria-pressed", String(pans));
    place.classList.toggle("pans", pans);
  },
};
const keys = { ArrowLeft: "back", ArrowRight: "on", "+": "in", "=": "in", "-": "out", 0: "newest", p: "pan" };
const tools = document.getElementById("tools");
const mode = tools.querySelector("[data-do=pan]");

tools.addEventListener("click", (event) => {
  const what = doing[event.target.dataset.do];
  if (!what || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  what();
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, textarea, select")) return;
  const what = keys[event.key];
  if (!what) return;
  event.preventDefault();
  doing[what]();
});

onScheme(() => state.chart && build());
let resizing;
addEventListener("resize", () => {
  clearTimeout(resizing);
  resizing = setTimeout(() => plots.forEach((plot) => plot.setSize({ width: Math.floor(place.clientWidth), height: plot.height })), 150);
});

mode.hidden = false;
document.getElementById("keys").hidden = false;
form.elements.range.addEventListener("change", () => {
  for (const name of ["from", "to"]) form.elements[name].value = "";
  form.requestSubmit();
});
onPoints(batch, () => state.live && load());
load();
