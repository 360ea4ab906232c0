// What charts of series have in common: data, colours, and how the two kinds of plot look.

import uPlot from "../vendor/uplot.js";
import { api, tenant } from "./frame.js";

const scheme = matchMedia("(prefers-color-scheme: dark)");
const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);
let resolved = new Map();
scheme.addEventListener("change", () => (resolved = new Map()));

/** A colour of the frame as canvases take it. */
export function colour(name) {
  if (!resolved.has(name)) {
    probe.style.color = `var(--${name})`;
    resolved.set(name, getComputedStyle(probe).color);
  }
  return resolved.get(name);
}

/** Calls when light became dark, or the other way round. */
export const onScheme = (call) => scheme.addEventListener("change", call);

/** The chart of a series as the API has it. `span` has `from` and `to`, or `last_ms`, in milliseconds. */
export function fetchChart(batch, metric, span, points, signal) {
  return api(`/batches/${encodeURIComponent(batch)}/chart?${new URLSearchParams({ metric, ...span, points })}`, { signal });
}

const units = [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
const scaled = (value, least) => units.find(([size]) => size >= least && Math.abs(value) >= size) ?? [1, ""];

/** Four digits that say something, or all before the point: `0.01235`, `2.98 G`; as the server writes them. */
export function number(value) {
  if (value === null || value === undefined) return "–";
  const [size, unit] = scaled(value, 1e6);
  const whole = Math.max(4, Math.floor(Math.log10(Math.abs(value / size) || 1)) + 1);
  const format = new Intl.NumberFormat("en", { maximumSignificantDigits: whole, useGrouping: whole > 4 });
  return format.format(value / size) + (unit && ` ${unit}`);
}

/** A number that fits beside an axis: `48.1G`. */
function short(value) {
  const [size, unit] = scaled(value, 1e3);
  return number(value / size) + unit;
}

/** An instant in words, in UTC. */
export function instant(ms) {
  const text = new Date(ms).toISOString().replace("T", " ");
  return text.slice(0, ms % 60000 ? 19 : 16);
}

/** A span in its two largest units. */
export function span(ms) {
  const parts = [];
  for (const [unit, length] of [["d", 86400000], ["h", 3600000], ["min", 60000], ["s", 1000]]) {
    if (ms >= length) parts.push(`${Math.floor(ms / length)} ${unit}`);
    ms %= length;
  }
  return parts.slice(0, 2).join(" ") || `${ms} ms`;
}

/** The columns of a plot of values, and of one of scores. */
export const values = (chart, scored) =>
  [chart.t, chart.value_min, chart.value_max, chart.lower, chart.upper, chart.expected, ...(scored ? [chart.score] : [])];
export const scores = (chart) => [chart.t, chart.score];

const instants = { ms: 1, tzDate: (ms) => uPlot.tzDate(new Date(ms), "Etc/UTC") };

const axis = (more) => ({
  stroke: () => colour("quiet"),
  grid: { stroke: () => colour("line"), width: 1 },
  ticks: { stroke: () => colour("line"), width: 1, size: 4 },
  font: `11px ${getComputedStyle(document.body).fontFamily}`,
  ...more,
});
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const time = (ms, step) => {
  const at = new Date(ms);
  if (step >= 86400000 || ms % 86400000 === 0) return `${at.getUTCDate()} ${months[at.getUTCMonth()]}`;
  return at.toISOString().slice(11, step < 60000 ? 19 : 16);
};
const times = (show) =>
  axis({ show, space: 64, size: 26, values: (_, all, __, ___, step) => all.map((ms) => time(ms, step)) });
const numbers = (more) => axis({ size: 48, space: 28, values: (_, all) => all.map((value) => (value === null ? "" : short(value))), ...more });

/** Washes behind the lines where alerts are on, and lines where events are. */
function marks(plot, alerts, events) {
  const { ctx, bbox } = plot;
  const at = (ms) => Math.min(Math.max(plot.valToPos(ms, "x", true), bbox.left), bbox.left + bbox.width);
  ctx.save();
  ctx.globalAlpha = 0.16;
  ctx.fillStyle = colour("bad");
  for (const { started, ended } of alerts) {
    const [from, to] = [at(Date.parse(started)), at(ended ? Date.parse(ended) : plot.scales.x.max)];
    if (to > bbox.left && from < bbox.left + bbox.width) ctx.fillRect(from, bbox.top, Math.max(to - from, 2), bbox.height);
  }
  ctx.globalAlpha = 1;
  ctx.strokeStyle = colour("warn");
  ctx.setLineDash([3, 3]);
  for (const { start } of events) {
    const x = plot.valToPos(Date.parse(start), "x", true);
    if (x >= bbox.left && x <= bbox.left + bbox.width) line(ctx, x, bbox.top, x, bbox.top + bbox.height);
  }
  ctx.restore();
}

export function line(ctx, x0, y0, x1, y1) {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}

/** The threshold, across a plot. */
function limit(plot, scale, threshold) {
  const { ctx, bbox } = plot;
  const y = plot.valToPos(threshold, scale, true);
  ctx.save();
  ctx.strokeStyle = colour("bad");
  ctx.setLineDash([5, 4]);
  line(ctx, bbox.left, y, bbox.left + bbox.width, y);
  ctx.restore();
}

/** The smallest and largest that is shown: all values, and the band as far as it is near them. */
function extent(plot) {
  const [from, to] = plot.series[0].idxs;
  const fold = (columns) => {
    let [least, most] = [Infinity, -Infinity];
    for (const column of columns) {
      for (let i = from; i <= to; i++) {
        const value = plot.data[column][i];
        if (value === null || value === undefined) continue;
        least = Math.min(least, value);
        most = Math.max(most, value);
      }
    }
    return [least, most];
  };
  let [least, most] = fold([1, 2]);
  const [lower, upper] = fold([3, 4]);
  if (least > most) [least, most] = [lower, upper];
  if (least > most) return [0, 1];
  const room = most - least || Math.abs(most) || 1;
  if (lower < least) least = Math.max(lower, least - room);
  if (upper > most) most = Math.min(upper, most + room);
  const edge = (most - least || room) * 0.06;
  return [least - edge, most + edge];
}

const shared = (key, hooks, more, bind = {}) => ({
  ...instants,
  // The same for all, so that an instant is at one place in each.
  padding: [8, 14, 6, 0],
  legend: { show: false },
  cursor: { bind, sync: key ? { key, setSeries: false } : undefined, drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
  hooks,
  ...more,
});

/** What scores have below values, as a part of what these have; and how high a score of 1 is in all. */
const FOOT = 0.34;
const FULL = (1 + FOOT) / (FOOT * 0.9);

/**
 * A plot of values with what was expected, and if `scored` with the scores at its foot. `state.chart`
 * is what it shows; `hooks` are uPlot's and so is `bind`, what its cursor hears of the mouse; `key`
 * names the plots with which it shares that.
 */
export function plotValues(place, size, state, { key, hooks = {}, bind, xAxis = true, scored = false } = {}) {
  let floor = -Infinity;
  const range = (plot) => {
    const [least, most] = extent(plot);
    floor = least;
    return [scored ? least - (most - least) * FOOT : least, most];
  };
  // What is below the values belongs to the scores.
  const filter = (_, splits) => splits.map((value) => (value < floor ? null : value));
  const ruled = { stroke: () => colour("line"), width: 1, filter };
  const score = { scale: "score", stroke: () => colour("score"), fill: () => colour("score-wash"), width: 1, points: { show: false } };
  const edge = { stroke: null, points: { show: false }, width: 0 };
  const value = { stroke: () => colour("value"), width: 1.25, points: { size: 4 } };
  const options = shared(key, {
    ...hooks,
    drawClear: [(plot) => marks(plot, state.chart.alerts, state.chart.events)],
    draw: [(plot) => scored && limit(plot, "score", state.chart.threshold), ...(hooks.draw ?? [])],
  }, {
    ...size,
    scales: { x: { time: true, range: () => [state.from, state.to] }, y: { range }, score: { range: [0, FULL] } },
    axes: [times(xAxis), numbers({ filter, grid: ruled, ticks: { ...ruled, size: 4 } })],
    series: [
      {}, value, value, edge, edge,
      { stroke: () => colour("expected"), width: 1, dash: [3, 3], points: { show: false } },
      ...(scored ? [score] : []),
    ],
    bands: [{ series: [4, 3], fill: () => colour("band") }, { series: [2, 1], fill: () => colour("band") }],
  }, bind);
  return new uPlot(options, values(state.chart, scored), place);
}

/** A plot of scores, with the threshold across it. */
export function plotScores(place, size, state, { key, hooks = {}, bind, xAxis = true } = {}) {
  const options = shared(key, {
    ...hooks,
    drawClear: [(plot) => marks(plot, state.chart.alerts, [])],
    draw: [(plot) => limit(plot, "y", state.threshold), ...(hooks.draw ?? [])],
  }, {
    ...size,
    scales: { x: { time: true, range: () => [state.from, state.to] }, y: { range: [0, 1.02] } },
    axes: [times(xAxis), numbers({ splits: () => [0, 0.5, 1] })],
    series: [{}, { stroke: () => colour("score"), fill: () => colour("score-wash"), width: 1.25, points: { size: 4 } }],
  }, bind);
  return new uPlot(options, scores(state.chart), place);
}

const TERMS = 8;

/** The parts of the scores, each in a colour of its own as far as there are some. */
export function plotTerms(place, size, state, { key, hooks = {}, bind } = {}) {
  const series = state.chart.terms.map((term, i) => {
    const own = () => colour(`term${i % TERMS}`);
    return { label: term.name, stroke: own, width: 1, points: { show: true, size: 3, fill: own } };
  });
  const options = shared(key, hooks, {
    ...size,
    legend: { show: true, live: false, markers: { width: 0, fill: (_, i) => colour(`term${(i - 1) % TERMS}`) } },
    scales: { x: { time: true, range: () => [state.from, state.to] } },
    axes: [times(false), numbers()],
    series: [{ label: "time" }, ...series],
  }, bind);
  return new uPlot(options, [state.chart.t, ...state.chart.terms.map((term) => term.values)], place);
}

/** Calls, once in so many seconds at most, when points of a batch came or its alerts changed. */
export function onPoints(batch, call, seconds = 5) {
  let waiting;
  const soon = () => (waiting ??= setTimeout(() => ((waiting = undefined), call()), seconds * 1000));
  const every = (length) => setInterval(() => document.hidden || call(), length);
  const path = `/api/v1/tenants/${encodeURIComponent(tenant)}/live?${new URLSearchParams({ batch })}`;
  const source = new EventSource(path);
  for (const name of ["points", "alert", "behind"]) source.addEventListener(name, soon);
  source.addEventListener("error", () => {
    // A browser comes again by itself, unless it was refused.
    if (source.readyState === EventSource.CLOSED) every(60000);
  });
}
