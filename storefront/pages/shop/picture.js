// A product's picture, drawn from what the catalogue says: its category gives the shape, its words the colour.

import { svg } from "../dom.js";

const COLOURS = {
  coral: "#ef7b66", ivory: "#efe6d2", navy: "#2d3f66", sand: "#d8c19a", black: "#33343a", white: "#f1f1ee", grey: "#8c9099",
  red: "#c63d3d", green: "#4a8a5b", olive: "#7c8148", blue: "#4a78b8", teal: "#2f8a8a", rose: "#d98a9a", mustard: "#d2a23a",
  plum: "#74466e", rust: "#b3592f", brown: "#82583c", cream: "#efe3c6", charcoal: "#43464e", sage: "#93a68a",
};
const SHAPES = {
  Women: "M35 20h30l8 60H27z", Men: "M26 24l14-6q10 8 20 0l14 6 6 22-12 4v34H32V50l-12-4z",
  Shoes: "M18 60q20-4 28-24l18 18q16 4 20 14v8H18z", Home: "M30 78h40M50 78V48M34 48h32L58 22H42z",
  Kitchen: "M26 34h44v30q0 14-14 14H40q-14 0-14-14zM70 42h8q8 0 8 9t-8 9h-8", Beauty: "M40 44h20v36H40zM44 44V28h12v16M46 20h8v8h-8z",
  Electronics: "M22 58V50a28 28 0 0 1 56 0v8M18 56h12v22H18zM70 56h12v22H70z", Garden: "M32 54h36l-5 28H37zM50 54V30M50 40q-16-2-16-18 16 2 16 18 0-16 16-18 0 16-16 18",
  Outdoor: "M50 20L18 78h64zM50 44L38 78h24z", Sports: "M50 20a30 30 0 1 0 .1 0zM24 36q26 14 52 0M24 64q26-14 52 0",
  Stationery: "M30 20h36l6 6v56H30zM38 36h24M38 48h24M38 60h16", Toys: "M24 52h24v28H24zM52 52h24v28H52zM38 22h24v28H38z",
};

function hash(text) {
  let sum = 2166136261;
  for (const letter of text) sum = Math.imul(sum ^ letter.codePointAt(0), 16777619);
  return sum >>> 0;
}

/** An SVG of an item, the same for the same item. */
export function picture(item) {
  const words = `${item.title ?? ""}`.toLowerCase(), seed = hash(item.item_id);
  const named = Object.keys(COLOURS).find((name) => words.includes(name));
  const colour = named ? COLOURS[named] : `hsl(${seed % 360} 40% 55%)`;
  const ground = `hsl(${(seed >> 8) % 360} 22% ${88 - (seed % 5)}%)`;
  const shape = SHAPES[item.category?.[0]] ?? "M28 28h44v44H28z";
  const dots = [...Array(3).keys()].map((n) => svg("circle", { cx: (hash(`${seed}x${n}`) % 90) + 5, cy: (hash(`${seed}y${n}`) % 90) + 5, r: 3 + (hash(`${seed}r${n}`) % 9), fill: colour, opacity: 0.16 }));
  return svg("svg", { viewBox: "0 0 100 100", "aria-hidden": "true" }, svg("rect", { width: 100, height: 100, fill: ground }), ...dots,
    svg("path", { d: shape, fill: colour, stroke: "#2228", "stroke-width": 1.6, "stroke-linejoin": "round", "fill-rule": "evenodd" }));
}
