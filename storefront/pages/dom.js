// Elements from names and texts: nothing of a product is ever read as markup.

const SVG = "http://www.w3.org/2000/svg";

/** `el("p", {class: "why"}, "text", child)`. */
export function el(name, attributes = {}, ...children) { return fill(document.createElement(name), attributes, children); }

/** The same for SVG. */
export function svg(name, attributes = {}, ...children) { return fill(document.createElementNS(SVG, name), attributes, children); }

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") for (const [event, heard] of Object.entries(value)) node.addEventListener(event, heard);
    else if (value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null));
  return node;
}

export const byId = (id) => document.getElementById(id);
