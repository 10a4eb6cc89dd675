// Figures as people read them.

import { byId, el } from "../dom.js";

export const whole = (number) => Math.round(number).toLocaleString();
export const short = (number) => (number >= 1000 ? whole(number) : number.toFixed(number < 10 ? 1 : 0));
export const share = (part, all) => (all ? `${((100 * part) / all).toFixed(1)} %` : "–");
export const percent = (rate) => `${(100 * rate).toFixed(1)} %`;
export const clock = (ms) => new Date(ms).toLocaleTimeString();

/** How long ago: 40 s, 12 min, 3 h, 2 d. */
export function ago(ms) {
  const seconds = Math.max(0, (Date.now() - ms) / 1000);
  const [size, unit] = seconds < 90 ? [1, "s"] : seconds < 5400 ? [60, "min"] : seconds < 172800 ? [3600, "h"] : [86400, "d"];
  return `${Math.round(seconds / size)} ${unit}`;
}

/** A cell: numbers to the right, nodes as they are, everything else as text. */
export function cell(value) {
  return typeof value === "number" ? el("td", { class: "number" }, whole(value)) : el("td", {}, value);
}

/** Fill a table's body. */
export function rows(id, lines) { byId(id).querySelector("tbody").replaceChildren(...lines.map((cells) => el("tr", {}, ...cells.map(cell)))); }

/** A whole table. */
export function table(heads, lines) {
  return el("table", {}, el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", {}, head)))), el("tbody", {}, ...lines.map((cells) => el("tr", {}, ...cells.map(cell)))));
}
