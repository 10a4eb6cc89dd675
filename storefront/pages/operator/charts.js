// An hour of samples, drawn by uPlot (vendor/uplot, MIT).

import { el } from "../dom.js";
import { percent, short } from "./words.js";

const HEIGHT = 110;
const CHARTS = [
  { name: "events a second", lines: [["events_per_second", "events"]], say: short },
  { name: "slates a second", lines: [["slates_per_second", "slates"]], say: short },
  { name: "freshness, ms: event to slate", lines: [["freshness_p50_ms", "p50"], ["freshness_p99_ms", "p99"]], say: short },
  { name: "records not yet applied", lines: [["lag", "lag"]], say: short },
  { name: "slates not at their best", lines: [["degraded_share", "share"]], say: percent },
  { name: "lists clicked, of the hour before", lines: [["click_rate", "daogou"], ["control_rate", "control"]], say: percent },
];
const made = new Map();

/** A colour of style.css as it is in this scheme: canvas knows no light-dark(). */
function paint(name) {
  const probe = el("span", { class: name });
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function make(chart, box) {
  const soft = paint("why"), strokes = [paint("away"), soft];
  const axis = { stroke: soft, grid: { show: false }, ticks: { show: false }, font: "11px system-ui", size: 30 };
  return new uPlot({
    width: Math.max(120, box.clientWidth - 26), height: HEIGHT, cursor: { y: false }, legend: { show: false }, padding: [6, 8, 0, 0],
    scales: { y: { range: (_, low, high) => [0, Math.max(high || 0, 1e-9) * 1.1] } },
    axes: [{ ...axis, size: 22, space: 70 }, { ...axis, size: 46, space: 28, values: (_, ticks) => ticks.map((tick) => chart.say(tick)) }],
    series: [{}, ...chart.lines.map(([, label], n) => ({ label, stroke: strokes[n], width: 1.5, points: { show: false }, spanGaps: false }))],
  }, [[]], box.querySelector(".plot"));
}

function boxOf(chart) {
  return el("div", { class: "chart" }, el("div", { class: "name" }, chart.name), el("div", { class: "value" }), el("div", { class: "plot", "aria-hidden": "true" }));
}

function said(chart, last) {
  const found = chart.lines.map(([field, label]) => [last[field] ?? null, label]).filter(([value]) => value !== null);
  if (!found.length) return ["–"];
  return found.flatMap(([value, label], n) => [n ? " " : "", chart.say(value), chart.lines.length > 1 ? el("small", {}, ` ${label}`) : ""]);
}

function begin(place) {
  for (const chart of CHARTS) {
    const box = boxOf(chart);
    place.append(box);
    made.set(chart.name, { box, plot: make(chart, box) });
  }
  new ResizeObserver(() => { for (const { box, plot } of made.values()) plot.setSize({ width: Math.max(120, box.clientWidth - 26), height: HEIGHT }); }).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { place.replaceChildren(); made.clear(); });
}

/** `samples`: Sample of GET /v1/operator, oldest first. */
export function drawCharts(place, samples) {
  if (!samples.length) return;
  if (!made.size) begin(place);
  const times = samples.map((each) => each.time_ms / 1000);
  for (const chart of CHARTS) {
    const { box, plot } = made.get(chart.name);
    plot.setData([times, ...chart.lines.map(([field]) => samples.map((each) => each[field] ?? null))]);
    box.querySelector(".value").replaceChildren(...said(chart, samples.at(-1)));
  }
}
