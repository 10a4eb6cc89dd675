// The operator's view: the API's own figures every few seconds; it says what is away and goes on. A panel is a module.

import { byId, el } from "../dom.js";
import { drawArms } from "./arms.js";
import { drawCharts } from "./charts.js";
import { startLetters } from "./letters.js";
import { startLookup } from "./lookup.js";
import { startRules } from "./rules.js";
import { ago, rows, share, whole } from "./words.js";

const EVERY_MS = 2000;
const state = { key: decodeURIComponent(location.hash.slice(1)) };

/** One call of the API with the operator's key; an error says what the API says. */
async function call(path, options = {}) {
  const headers = { ...options.headers, Authorization: `Bearer ${state.key}` };
  const answer = await fetch(path, { ...options, headers });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail ?? `HTTP ${answer.status}`);
  return body;
}

function facts(pairs) { return pairs.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]); }

function drawModel(now) {
  const { items, available, embedded, shown } = now.coverage;
  const models = (now.models ?? []).map((each) => ["model in service", `${each.name || "bundle"} ${each.bundle.slice(0, 12)}, seen for ${ago(each.since_ms)}, ${whole(each.slates)} slates in the last minute`]);
  byId("model").replaceChildren(...facts([
    ...(models.length ? models : [["model in service", "none made a slate lately"]]),
    ["shown lately", `${whole(shown)} of ${whole(items)} items (${share(shown, items)})`],
    ["for sale", whole(available)], ["with a vector", whole(embedded)], ["open streams", whole(now.streams)]]));
}

function draw(now) {
  drawArms(byId("arms"), now.click_rates);
  drawCharts(byId("charts"), now.samples);
  drawModel(now);
  rows("partitions", now.partitions.map((each) => [String(each.partition), each.lag, each.latest]));
  rows("degraded", now.degraded.length ? now.degraded.map((each) => [each.cause, each.count]) : [[now.recent_slates ? "none" : "no slates", 0]]);
  const away = now.away ?? [];
  byId("state").replaceChildren(...(away.length ? away.map((each) => el("span", { class: "away", title: each.message }, `${each.part} is away for ${ago(each.since_ms)}. `)) : ["all parts answer"]));
}

const letters = startLetters(call);
startLookup(call);
const rules = startRules(call);

async function turn(count) {
  if (state.key) {
    try {
      draw(await call("/v1/operator"));
      document.body.dataset.ready = "true";
    } catch (error) { byId("state").replaceChildren(el("span", { class: "away" }, error.message)); }
    if (count % 3 === 0) await Promise.all([letters.refresh(), rules.refresh()]);
  }
  setTimeout(() => turn(count + 1), EVERY_MS);
}

byId("enter").addEventListener("submit", (event) => { event.preventDefault(); state.key = byId("key").value.trim(); });
await turn(0);
