// Elements from a name, attributes and children. Text is always set as text, so nothing that a server sends is markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const el = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);
export const svg = (name, attributes, ...children) => fill(document.createElementNS(SVG, name), attributes, children);
export const $ = (id) => document.getElementById(id);

const PATHS = {
  close: "M6 6l12 12M18 6 6 18",
  compare: "M12 4v16M4 7h5v10H4zM15 7h5v10h-5z",
  copy: "M9 9h10v10H9zM15 9V5H5v10h4",
};

export const icon = (name) => svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("path", { d: PATHS[name] }));

/** A button that copies a text and says so for a moment. */
export function copyButton(text, label = "Copy") {
  const words = el("span", {}, label);
  return el("button", { type: "button", class: "quiet small", onclick: async () => {
    await copy(text());
    words.textContent = "Copied";
    setTimeout(() => { words.textContent = label; }, 1500);
  } }, icon("copy"), words);
}

async function copy(text) {
  if (navigator.clipboard) {
    try {
      return await navigator.clipboard.writeText(text);
    } catch { /* not allowed: the old way */ }
  }
  const area = el("textarea", { class: "hidden" });
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy"); // pages of plain http on other hosts have no clipboard
  area.remove();
}

/** One choice out of several, as radio buttons in the shape of one bar. */
export function choice(name, legend, options, chosen, onchange) {
  return el("fieldset", { class: "choice" }, el("legend", { class: "hidden" }, legend), Object.entries(options).map(([value, text]) =>
    el("label", {}, el("input", { type: "radio", name, value, checked: value === chosen, onchange: () => onchange(value) }), el("span", {}, text))));
}
