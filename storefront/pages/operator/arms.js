// Click rates of the arms, each with its interval, and what may be said of them.

import { el, svg } from "../dom.js";
import { ago, percent, whole } from "./words.js";

const LEFT = 90, RIGHT = 440, ROW = 34;

function drawn(arms) {
  const top = Math.max(0.01, ...arms.map((each) => Math.min(1, each.rate.high ?? 1)));
  const x = (rate) => LEFT + ((RIGHT - LEFT) * Math.min(rate, top)) / top;
  const bottom = ROW * arms.length;
  const ticks = [0, top / 2, top].flatMap((rate) => [
    svg("line", { x1: x(rate), x2: x(rate), y1: 4, y2: bottom }),
    svg("text", { x: x(rate), y: bottom + 16, "text-anchor": rate ? "middle" : "start", class: "soft" }, percent(rate))]);
  const marks = arms.flatMap((each, n) => {
    const y = ROW * n + 20, { value, low, high } = each.rate;
    return [
      svg("text", { x: 0, y: y + 4 }, each.arm),
      svg("line", { x1: x(low), x2: x(high ?? top), y1: y, y2: y, class: "span" }),
      ...[low, high ?? top].map((end) => svg("line", { x1: x(end), x2: x(end), y1: y - 6, y2: y + 6, class: "span" })),
      svg("circle", { cx: x(value), cy: y, r: 6, class: each.arm === "daogou" ? "daogou" : "control" })];
  });
  const said = arms.map((each) => `${each.arm} ${percent(each.rate.value)}, between ${percent(each.rate.low)} and ${percent(each.rate.high ?? 1)}`).join("; ");
  return svg("svg", { viewBox: `0 0 480 ${bottom + 24}`, class: "interval", role: "img", "aria-label": said }, ...ticks, ...marks);
}

const between = (estimate, say) => `${say(estimate.value)} (95%: ${say(estimate.low)} to ${estimate.high === null ? "no upper end" : say(estimate.high)})`;

/** `rates`: ClickRates of GET /v1/operator, or undefined. */
export function drawArms(place, rates) {
  if (!rates) { place.replaceChildren(el("p", { class: "why" }, "Not counted: DAOGOU_API__CLICK_RATES is false.")); return; }
  const shown = rates.arms.filter((each) => each.lists);
  place.replaceChildren(
    el("p", { id: "verdict" }, el("strong", {}, rates.words)),
    ...(shown.length ? [drawn(shown)] : []),
    el("dl", {}, ...rates.arms.flatMap((each) => [el("dt", {}, each.arm), el("dd", {}, `${whole(each.clicked)} of ${whole(each.lists)} lists clicked, ${whole(each.shoppers)} shoppers`)])),
    ...(rates.ratio ? [el("p", { id: "ratio" }, `daogou to control: ${between(rates.ratio, (value) => `${value.toFixed(2)} times`)}; difference ${between(rates.difference, percent)}`)] : []),
    el("p", { class: "why" }, `Of the lists shown in the last ${ago(rates.since_ms)}; intervals allow for shoppers who see many lists.${rates.unknown_clicks ? ` ${whole(rates.unknown_clicks)} clicks were on lists that nobody was seen to be shown.` : ""}`));
}
