// A small shop on nothing but the public API: an example of how to integrate daogou.

import { Daogou } from "../api.js";
import { byId, el } from "../dom.js";
import { picture } from "./picture.js";

const keys = await (await fetch("keys.json")).json();
const daogou = new Daogou(keys.page);
const state = { slate: null, clicks: new Map(), cart: [] };

const money = (price) => (price === undefined ? "" : price.toLocaleString(undefined, { style: "currency", currency: "EUR" }));

function card(item, why, place) {
  const open = () => show(item, { position: place, recommendation_id: place === undefined ? undefined : state.slate?.recommendation_id });
  const text = el("span", { class: "text" }, el("span", { class: "title" }, item.title || item.item_id), el("span", { class: "price" }, money(item.price)), why && el("span", { class: "why" }, why));
  return el("button", { class: "card new", type: "button", "data-item": item.item_id, "data-category": (item.category ?? []).join(" > "), on: { click: open } }, picture(item), text);
}

/** Do something; the slate that answers it comes by the stream, and is timed. */
async function act(...events) {
  const started = performance.now();
  const stamped = events.map((event) => ({ ...event, event_id: crypto.randomUUID() }));
  for (const event of stamped) state.clicks.set(event.event_id, started);
  const { token } = await daogou.did(...stamped);
  return token;
}

async function show(item, from) {
  const link = Object.fromEntries(Object.entries(from).filter(([, value]) => value !== undefined));
  const token = act({ type: "click", item_id: item.item_id, ...link }, { type: "view", item_id: item.item_id });
  const buy = el("button", { class: "strong", type: "button", on: { click: () => intoCart(item) } }, "Into the cart");
  const hide = el("button", { type: "button", on: { click: async () => { close("product"); await act({ type: "hide", item_id: item.item_id }); } } }, "Not for me");
  const shut = el("button", { type: "button", on: { click: () => close("product") } }, "Close");
  const beside = el("div", { class: "beside grid" });
  byId("product").replaceChildren(picture(item), el("div", {}, el("h2", { tabindex: -1 }, item.title), el("p", { class: "price" }, money(item.price)), el("p", {}, item.description ?? ""), el("p", { class: "why" }, [item.brand, ...(item.category ?? [])].filter(Boolean).join(" · ")), el("div", { class: "actions" }, buy, hide, shut)), beside);
  byId("product").hidden = false;
  byId("product").querySelector("h2").focus();
  await token;
  const found = await daogou.get("/v1/recommendations", { surface: "product", item_id: item.item_id, limit: 4 });
  beside.replaceChildren(...found.items.map((slot) => card(slot.item, slot.reason)));
}

async function intoCart(item) {
  state.cart.push(item);
  drawCart();
  await act({ type: "cart_add", item_id: item.item_id, price: item.price });
}

async function outOfCart(item) {
  state.cart.splice(state.cart.indexOf(item), 1);
  drawCart();
  await act({ type: "cart_remove", item_id: item.item_id });
}

async function order() {
  const lines = state.cart.map((item) => ({ item_id: item.item_id, price: item.price }));
  state.cart = [];
  drawCart();
  await act({ type: "purchase", lines });
}

function drawCart() {
  byId("cart-count").textContent = state.cart.length;
  const lines = state.cart.map((item) => el("li", {}, `${item.title} ${money(item.price)} `, el("button", { type: "button", on: { click: () => outOfCart(item) } }, "Remove")));
  const buy = el("button", { class: "strong", type: "button", on: { click: order } }, "Order (nothing is charged)");
  byId("cart").replaceChildren(el("h2", {}, "Cart"), lines.length ? el("ul", {}, ...lines) : el("p", {}, "It is empty."), lines.length ? buy : undefined);
}

function close(id) { byId(id).hidden = true; }

/** A slate by the stream: onto the page, with the time since the click that it answers. */
function draw(slate) {
  state.slate = slate;
  const grid = byId("slate").querySelector(".grid");
  const before = new Set([...grid.children].map((node) => node.dataset.item));
  const cards = slate.items.map((slot, place) => card(slot.item, slot.reason, place));
  for (const each of cards) if (before.has(each.dataset.item)) each.classList.remove("new");
  const focused = document.activeElement?.closest("#slate .card")?.dataset.item;
  grid.replaceChildren(...cards);
  grid.dataset.slate = slate.recommendation_id;
  if (focused) (cards.find((each) => each.dataset.item === focused) ?? cards[0])?.focus();
  requestAnimationFrame(() => told(slate));
  const items = slate.items.map((slot) => slot.item.item_id); // what was shown: without it no click rate can be told
  if (items.length) daogou.did({ type: "impression", items, recommendation_id: slate.recommendation_id }).catch(() => {});
}

function told(slate) {
  const started = state.clicks.get(slate.answers);
  if (started !== undefined) {
    const took = Math.round(performance.now() - started);
    byId("click-to-slate").dataset.milliseconds = took;
    byId("click-to-slate").replaceChildren(el("strong", {}, `${took} ms`), " from your click to the new slate on this page");
    state.clicks.clear();
  }
  const longest = Math.max(1, ...(slate.stages ?? []).map((stage) => stage.microseconds));
  byId("stages").replaceChildren(...(slate.stages ?? []).map((stage) => el("div", { class: "stage" }, el("span", {}, stage.stage), el("meter", { min: 0, max: longest, value: stage.microseconds, "aria-label": stage.stage }), el("span", {}, `${(stage.microseconds / 1000).toFixed(2)} ms`))));
  const model = slate.bundle ? `bundle ${slate.bundle.slice(0, 8)}` : "no model";
  byId("receipt-words").textContent = `${slate.made_ms - slate.time_ms} ms from the event to the slate in Kafka; ${model}; profile version ${slate.profile_version}${slate.degraded ? `; not at its best: ${slate.degraded}` : ""}.`;
  know();
}

async function know() {
  const known = await daogou.get("/v1/profile");
  const counts = known.counts.map((each) => [each.kind.replace("_", " "), each.count]);
  const facts = [["you are", known.user_id.slice(0, 16)], ...counts, ["in the cart", known.cart.length], ["searched for", known.queries.join(", ")]];
  byId("facts").replaceChildren(...facts.filter(([, value]) => value !== "" && value !== 0).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))]));
  byId("history").replaceChildren(...known.history.slice(0, 30).map((met) => el("li", {}, `${met.kind.replace("_", " ")}: ${met.title || met.item_id}`)));
}

async function search(words) {
  const found = await daogou.get("/v1/search", { q: words, limit: 12 });
  byId("found-title").textContent = found.items.length ? `Found for “${words}”` : `Nothing found for “${words}”`;
  byId("found").querySelector(".grid").replaceChildren(...found.items.map((each) => card(each.item)));
  byId("found").hidden = false;
  await act({ type: "search", query: words });
}

async function browse(category, button) {
  for (const each of byId("categories").children) each.setAttribute("aria-pressed", String(each === button));
  const found = await daogou.get("/v1/trending", { category, limit: 12 });
  byId("found-title").textContent = `Popular in ${category}`;
  byId("found").querySelector(".grid").replaceChildren(...found.items.map((each) => card(each.item)));
  byId("found").hidden = false;
}

async function start() {
  await daogou.visitor();
  const first = await daogou.get("/v1/recommendations");
  draw(first);
  drawCart();
  daogou.listen((event, slate) => (event === "slate" ? draw(slate) : know()));
  const { categories } = await daogou.get("/v1/categories");
  byId("categories").replaceChildren(...categories.slice(0, 20).map(({ name }) => el("button", { type: "button", "aria-pressed": "false", on: { click: (event) => browse(name, event.currentTarget) } }, name)));
}

byId("search").addEventListener("submit", (event) => { event.preventDefault(); const words = byId("q").value.trim(); if (words) search(words); else close("found"); });
byId("cart-button").addEventListener("click", () => { byId("cart").hidden = !byId("cart").hidden; });
byId("forget").addEventListener("click", async () => {
  const { token } = await daogou.forget();
  draw(await daogou.get("/v1/recommendations", { after: token, wait_ms: 5000 }));
});
await start();
document.body.dataset.ready = "true";
