// The operator's view: the API's own figures every few seconds; it says what is away and goes on.

import { byId, el, svg } from "../dom.js";

const EVERY_MS = 2000;
const state = { key: decodeURIComponent(location.hash.slice(1)) };

async function get(path) {
  const answer = await fetch(path, { headers: { Authorization: `Bearer ${state.key}` } });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail ?? `HTTP ${answer.status}`);
  return body;
}

const short = (number) => (number >= 1000 ? Math.round(number).toLocaleString() : number.toFixed(number < 10 ? 1 : 0));

function line(values) {
  const top = Math.max(1e-9, ...values), step = 100 / Math.max(1, values.length - 1);
  const points = values.map((value, n) => `${(n * step).toFixed(2)},${(38 - (36 * value) / top).toFixed(2)}`).join(" ");
  return svg("svg", { viewBox: "0 0 100 40", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("polyline", { points, "vector-effect": "non-scaling-stroke" }));
}

function tile(name, value, values) {
  return el("div", { class: "tile" }, el("div", { class: "name" }, name), el("div", { class: "value" }, value), values && values.length > 1 ? line(values) : undefined);
}

function rows(id, lines) { byId(id).querySelector("tbody").replaceChildren(...lines.map((cells) => el("tr", {}, ...cells.map((cell) => el("td", typeof cell === "number" ? { class: "number" } : {}, typeof cell === "number" ? cell.toLocaleString() : cell))))); }

function draw(now) {
  const last = now.samples.at(-1), of = (field) => now.samples.map((each) => each[field]);
  const bad = now.degraded.reduce((sum, each) => sum + each.count, 0);
  if (!last) return;
  byId("tiles").replaceChildren(
    tile("events a second", short(last.events_per_second), of("events_per_second")), tile("slates a second", short(last.slates_per_second), of("slates_per_second")),
    tile("freshness p50, ms", short(last.freshness_p50_ms), of("freshness_p50_ms")), tile("freshness p99, ms", short(last.freshness_p99_ms), of("freshness_p99_ms")),
    tile("records not yet applied", short(last.lag), of("lag")), tile("not at their best, last minute", now.recent_slates ? `${((100 * bad) / now.recent_slates).toFixed(1)} %` : "no slates"),
    tile("of the catalogue shown lately", `${now.items_shown.toLocaleString()} of ${now.items.toLocaleString()}`), tile("open streams", short(now.streams)),
    tile("model in service", now.bundle ? now.bundle.slice(0, 12) : "none seen yet"));
  rows("partitions", now.partitions.map((each) => [String(each.partition), each.lag, each.latest]));
  rows("degraded", now.degraded.length ? now.degraded.map((each) => [each.cause, each.count]) : [["none", 0]]);
  const away = now.away ?? [];
  byId("state").replaceChildren(away.length ? el("span", { class: "away" }, `${away.join(" and ")} away`) : "all parts answer");
}

async function look(word) {
  const found = byId("looked");
  try {
    const item = await get(`/v1/items/${encodeURIComponent(word)}`).catch(() => null);
    if (item) { found.replaceChildren(el("h2", {}, item.title || item.item_id), el("p", {}, `${(item.category ?? []).join(" > ")}, ${item.brand ?? ""}, stock ${item.stock ?? "unknown"}, price ${item.price ?? "unknown"}`)); return; }
    const [known, slate] = await Promise.all([get(`/v1/profile?user_id=${encodeURIComponent(word)}`), get(`/v1/recommendations?user_id=${encodeURIComponent(word)}`)]);
    const why = await get(`/v1/recommendations/${slate.recommendation_id}/why`).catch(() => ({ words: [], items: [] }));
    const shares = new Map(why.items.map((each) => [each.item_id, each.shares.slice(0, 3).map((share) => `${share.feature} ${share.share >= 0 ? "+" : ""}${share.share.toFixed(3)}`).join(", ")]));
    found.replaceChildren(
      el("p", {}, known.version ? `profile version ${known.version}: ${known.counts.map((each) => `${each.count} ${each.kind}`).join(", ")}` : "nothing is known of this shopper; this is what a new one sees"),
      el("table", {}, el("tbody", {}, ...slate.items.map((slot) => el("tr", {}, el("td", {}, slot.item.title || slot.item.item_id), el("td", {}, slot.reason), el("td", { class: "number" }, slot.score.toFixed(3)), el("td", {}, shares.get(slot.item.item_id) ?? ""))))),
      el("p", { class: "why" }, why.words.join(" ")));
  } catch (error) { found.replaceChildren(el("p", { class: "away" }, error.message)); }
}

async function turn(count) {
  if (state.key) {
    try {
      draw(await get("/v1/operator"));
      if (count % 5 === 0) rows("letters", (await get("/v1/operator/dead-letters")).letters.map((each) => [each.reason, each.message, `${each.partition}/${each.offset}`, each.value]));
      document.body.dataset.ready = "true";
    } catch (error) { byId("state").replaceChildren(el("span", { class: "away" }, error.message)); }
  }
  setTimeout(() => turn(count + 1), EVERY_MS);
}

byId("enter").addEventListener("submit", (event) => { event.preventDefault(); state.key = byId("key").value.trim(); });
byId("look").addEventListener("submit", (event) => { event.preventDefault(); const word = byId("who").value.trim(); if (word) look(word); });
await turn(0);
