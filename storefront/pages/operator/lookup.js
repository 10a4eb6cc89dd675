// Any shopper, any item, or why the one sees the other.

import { byId, el } from "../dom.js";
import { clock, table } from "./words.js";

const para = (words) => words.map((line) => el("p", {}, line));
const missing = (away) => (away ?? []).map((line) => el("p", { class: "away" }, line));
const folded = (title, open, ...children) => el("details", open ? { open: "" } : {}, el("summary", {}, title), ...children);

/** `call`: one call of the API. */
export function startLookup(call) {
  const place = byId("looked");

  async function look(user, item) {
    try {
      if (item) drawItem(await call(`/v1/operator/item?${new URLSearchParams({ item_id: item, ...(user && { user_id: user }) })}`), user);
      else drawShopper(await call(`/v1/operator/shopper?${new URLSearchParams({ user_id: user })}`));
    } catch (error) { place.replaceChildren(el("p", { class: "away" }, error.message)); }
  }

  function drawShopper(found) {
    const { profile, events = [], slates = [] } = found;
    place.replaceChildren(
      el("h3", {}, found.user_id), ...para(found.words), ...missing(found.away),
      ...(profile ? [folded("Profile", false, ...facts(profile))] : []),
      folded(`Events in the log: ${events.length} of the last ${found.looked_at.toLocaleString()} records of their partition`, true,
        table(["when", "what", "items", "record", "event"], events.map((each) => [clock(each.time_ms), each.kind || each.error, (each.items ?? []).join(", "), `${each.partition}/${each.offset}`, each.event_id ?? ""]))),
      ...slates.map((slate, n) => folded(`Slate ${slate.recommendation_id.slice(0, 12)}, made ${clock(slate.made_ms)}`, n === 0, ...receipt(slate))));
  }

  function facts(profile) {
    const list = (items) => (items.length ? items.join(", ") : "nothing");
    const pairs = [["counts", profile.counts.map((each) => `${each.count} ${each.kind}`).join(", ")], ["cart", list(profile.cart)], ["bought", list(profile.bought)], ["hidden", list(profile.hidden)], ["searched", list(profile.queries)], ["orders", `${profile.orders}, ${profile.spent.toFixed(2)} in all`], ["consent", { true: "given", false: "refused" }[profile.consent] ?? "never asked"]];
    return [el("dl", {}, ...pairs.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
      table(["when", "what", "item"], profile.history.map((met) => [clock(met.time_ms), met.kind, met.title || met.item_id]))];
  }

  function receipt(slate) {
    const why = el("div", {}), { trigger } = slate;
    const ask = async () => {
      try {
        const found = await call(`/v1/recommendations/${encodeURIComponent(slate.recommendation_id)}/why`);
        why.replaceChildren(...para(found.words), table(["item", "score", "what carries it"], found.items.map((each) => [each.item_id, each.score.toFixed(3), each.shares.slice(0, 3).map((share) => `${share.feature} ${share.share >= 0 ? "+" : ""}${share.share.toFixed(3)}`).join(", ")])));
      } catch (error) { why.replaceChildren(el("p", { class: "away" }, error.message)); }
    };
    const stages = (slate.stages ?? []).map((each) => `${each.stage} ${(each.microseconds / 1000).toFixed(1)} ms`).join(", ");
    return [
      el("p", { class: "why" }, `Answers event ${trigger.event_id} (${trigger.partition}/${trigger.offset}), profile version ${slate.profile_version}, ${slate.bundle ? `bundle ${slate.bundle.slice(0, 12)}` : "no model"}, arm ${slate.arm ?? "daogou"}${slate.degraded ? `; not at its best: ${slate.degraded}` : ""}. ${stages}`),
      table(["item", "score", "source", "why"], slate.items.map((slot) => [slot.item_id, slot.score.toFixed(3), slot.source, slot.reason])),
      el("p", {}, el("button", { on: { click: ask } }, "What carries each item?")), why];
  }

  function drawItem(found, user) {
    const { item, seen = [], steps = [] } = found;
    place.replaceChildren(
      el("h3", {}, item?.title || found.item_id), ...para(found.words), ...missing(found.away),
      ...(item ? [el("p", { class: "why" }, `${(item.category ?? []).join(" > ") || "no category"}; ${item.brand || "no brand"}; price ${item.price ?? "unknown"}; stock ${item.stock ?? "not said"}`)] : []),
      ...(steps.length ? [el("h4", {}, `For ${user}`), table(["stage", "", "what happened"], steps.map((each) => [each.stage, el("span", { class: each.passed ? "yes" : "no" }, each.passed ? "passed" : "ended here"), each.words]))] : []),
      folded(`In ${found.in_slates.toLocaleString()} of the last ${found.of_slates.toLocaleString()} slates`, !steps.length,
        table(["shopper", "when", "place", "source", "why"], seen.map((each) => [each.user_id, clock(each.made_ms), each.place, each.source, each.reason]))));
  }

  byId("look").addEventListener("submit", (event) => {
    event.preventDefault();
    const user = byId("who").value.trim(), item = byId("what").value.trim();
    if (user || item) look(user, item);
  });
}
