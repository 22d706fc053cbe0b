// The photo with what was found on it: an <img> and, over it, an SVG in the photo's pixels.

import { DARK, heatImage, personColour, sideColour } from "./colours.js";
import { el, svg } from "./dom.js";

const FONT = "Inter, system-ui, sans-serif";
const SHOWN = 900; // screen pixels of a photo's longer side, for the widths of lines in a PNG

const round = (value) => Math.round(value * 100) / 100;

/** A box with room around it, inside the photo: {x, y, w, h} px. */
export function viewAround([x, y, w, h], photo, room = 0.25) {
  const left = Math.max(0, x - room * w), top = Math.max(0, y - room * h);
  return { x: left, y: top, w: Math.min(photo.width, x + w * (1 + room)) - left, h: Math.min(photo.height, y + h * (1 + room)) - top };
}

/** The view made wider or higher, inside the photo, so that it fills the room. */
function filling({ x, y, w, h }, room, photo) {
  const wide = Math.min(photo.width, Math.max(w, (h * room.w) / room.h)), high = Math.min(photo.height, Math.max(h, (w * room.h) / room.w));
  const inside = (from, size, most) => Math.min(Math.max(0, from), most - size);
  return { x: inside(x + (w - wide) / 2, wide, photo.width), y: inside(y + (h - high) / 2, high, photo.height), w: wide, h: high };
}

export class Stage {
  /** onpoint(point), onplace({x, y}, index of a person or null), onhover(point or null) on what the pointer does; ondraw(). */
  constructor(parent, handlers = {}) {
    this.handlers = handlers;
    this.image = el("img", { alt: "", draggable: "false" });
    this.overlay = svg("svg", { role: "img", "aria-label": "What was found" });
    this.tip = el("div", { class: "tip", hidden: true });
    this.busy = el("div", { class: "busy", hidden: true });
    this.frame = el("div", { class: "frame" }, this.image, this.overlay, this.busy, this.tip);
    this.parent = parent;
    parent.append(this.frame);
    this.overlay.addEventListener("pointermove", (event) => this.#pointer(event));
    this.overlay.addEventListener("pointerleave", () => this.#hover(null));
    this.overlay.addEventListener("click", (event) => this.#click(event));
    new ResizeObserver(() => this.scene && this.#draw()).observe(parent);
  }

  setBusy(busy) {
    this.busy.hidden = !busy;
  }

  /**
   * scene: {photo, view, people: [{box, number, points: [{name, x, y, score, visible, std, known, own}], limbs}], chosen,
   * picked, hovered, heat, place, names, label}; coordinates in px of the photo.
   */
  show(scene) {
    this.scene = scene;
    this.#draw();
  }

  #draw() {
    const { photo, label } = this.scene;
    const room = { w: this.parent.clientWidth, h: this.parent.clientHeight };
    if (!room.w || !room.h) return;
    const view = this.scene.view ? filling(this.scene.view, room, photo) : { x: 0, y: 0, w: photo.width, h: photo.height };
    const scale = Math.min(room.w / view.w, room.h / view.h, 4);
    this.view = view;
    this.scale = scale;
    const px = (value) => `${round(value)}px`;
    Object.assign(this.frame.style, { width: px(view.w * scale), height: px(view.h * scale) });
    Object.assign(this.image.style, { width: px(photo.width * scale), height: px(photo.height * scale), left: px(-view.x * scale), top: px(-view.y * scale) });
    if (this.image.getAttribute("src") !== photo.url) this.image.src = photo.url;
    this.image.alt = photo.name;
    this.overlay.setAttribute("viewBox", `${view.x} ${view.y} ${view.w} ${view.h}`);
    this.overlay.setAttribute("aria-label", label ?? "What was found");
    this.overlay.replaceChildren(...drawing(this.scene, scale));
    this.#tip();
    this.handlers.ondraw?.();
  }

  /** Where a place of the photo is in the stage, in screen pixels. */
  onScreen({ x, y }) {
    return { x: this.frame.offsetLeft + (x - this.view.x) * this.scale, y: this.frame.offsetTop + (y - this.view.y) * this.scale };
  }

  #at(event) {
    const { left, top } = this.overlay.getBoundingClientRect();
    return [(event.clientX - left) / this.scale + this.view.x, (event.clientY - top) / this.scale + this.view.y];
  }

  #nearest(event) {
    const [x, y] = this.#at(event);
    let best = null, least = (event.pointerType === "touch" ? 22 : 12) / this.scale;
    for (const person of this.scene.people) {
      for (const point of person.points) {
        const away = Math.hypot(point.x - x, point.y - y);
        if (away < least) [best, least] = [point, away];
      }
    }
    return best;
  }

  #person(event) {
    const [x, y] = this.#at(event);
    const inside = this.scene.people.filter(({ box: [l, t, w, h] }) => x >= l && y >= t && x <= l + w && y <= t + h);
    return inside.sort((a, b) => a.box[2] * a.box[3] - b.box[2] * b.box[3])[0] ?? null;
  }

  #pointer(event) {
    if (!this.scene || event.pointerType === "touch") return;
    const point = this.#nearest(event);
    this.overlay.style.cursor = point ? "pointer" : this.handlers.onplace ? "crosshair" : "default";
    this.#hover(point);
  }

  #hover(point) {
    if (this.scene && point !== (this.scene.hovered ?? null)) this.handlers.onhover?.(point);
  }

  #click(event) {
    const point = this.#nearest(event);
    if (point) return this.handlers.onpoint?.(point);
    const [x, y] = this.#at(event);
    return this.handlers.onplace?.({ x, y }, this.#person(event)?.number ?? null);
  }

  #tip() {
    const point = this.scene.hovered ?? this.scene.picked;
    this.tip.hidden = !point || this.scene.quiet;
    if (this.tip.hidden) return;
    this.tip.replaceChildren(el("strong", {}, point.name), el("span", {}, aboutPoint(point)));
    const x = (point.x - this.view.x) * this.scale, y = (point.y - this.view.y) * this.scale;
    const { offsetWidth: w, offsetHeight: h } = this.tip;
    const left = x + 16 + w > this.frame.clientWidth ? x - 16 - w : x + 16;
    const place = (value, most) => `${Math.min(Math.max(4, value), Math.max(4, most - 4))}px`;
    Object.assign(this.tip.style, { left: place(left, this.frame.clientWidth - w), top: place(y - h / 2, this.frame.clientHeight - h) });
  }
}

/** `412, 96 px · score 0.84 · hidden`: what there is to say of a point. */
export function aboutPoint(point) {
  const spread = point.std ? ` ± ${Math.max(...point.std).toFixed(1)}` : "";
  const parts = [`${point.x.toFixed(0)}, ${point.y.toFixed(0)}${spread} px`, `score ${point.score.toFixed(2)}`];
  if (point.visible === false) parts.push("hidden");
  if (point.known === false) parts.push("not learned by name");
  return parts.join(" · ");
}

/** The elements over the photo. scale: screen pixels for one of the photo's; 1 for a PNG of the photo's size. */
export function drawing(scene, scale) {
  const unit = 1 / scale;
  const several = scene.people.length > 1;
  const nodes = [];
  if (scene.heat) {
    const { x, y, width, height } = scene.heat;
    nodes.push(svg("image", { class: "heat", href: heatImage(scene.heat), x, y, width, height, preserveAspectRatio: "none" }));
  }
  for (const person of scene.people) {
    const aside = scene.chosen !== null && scene.chosen !== person.number;
    if (!scene.plain) nodes.push(outline(person, unit, aside, scene.chosen === person.number, several));
    if (!aside) nodes.push(body(person, unit, scene.chosen === null && several, scene));
  }
  return [...nodes, ...names(scene, unit), scene.place ? cross(scene.place, unit) : ""];
}

/** The mark of the place that is described. */
function cross({ x, y }, unit) {
  const [near, far] = [4 * unit, 13 * unit];
  const path = `M${x - far} ${y}H${x - near}M${x + near} ${y}H${x + far}M${x} ${y - far}V${y - near}M${x} ${y + near}V${y + far}`;
  const line = { d: path, fill: "none", "stroke-linecap": "round" };
  return svg("g", { class: "place" }, svg("path", { ...line, stroke: DARK, "stroke-opacity": 0.8, "stroke-width": 5 * unit }), svg("path", { ...line, stroke: "#ffffff", "stroke-width": 2.2 * unit }));
}

const lineWidth = ({ box: [, , w, h] }, unit) => Math.min(Math.max(0.006 * Math.hypot(w, h), 1.5 * unit), 4 * unit);

function outline({ box: [x, y, w, h], number }, unit, aside, chosen, several) {
  const colour = several ? personColour(number) : "#ffffff";
  const shape = { x, y, width: w, height: h, rx: 6 * unit, fill: "none" };
  const group = svg("g", { class: "person", "data-person": number, opacity: aside ? 0.6 : 1 },
    svg("rect", { ...shape, stroke: DARK, "stroke-opacity": 0.35, "stroke-width": 3.5 * unit }),
    svg("rect", { ...shape, stroke: colour, "stroke-opacity": chosen ? 1 : 0.8, "stroke-width": (chosen ? 2.2 : 1.4) * unit }));
  if (several) {
    const side = 20 * unit;
    group.append(
      svg("rect", { x, y, width: side, height: side, rx: 6 * unit, fill: colour }),
      svg("text", { x: x + side / 2, y: y + side * 0.7, "font-size": 12 * unit, "font-weight": 700, "font-family": FONT, "text-anchor": "middle", fill: DARK }, `${number + 1}`));
  }
  return group;
}

function body(person, unit, inGroup, scene) {
  const group = svg("g", { class: "body" });
  const faint = scene.heat ? 0.45 : 1;
  const width = lineWidth(person, unit);
  const shown = new Map(person.points.map((point) => [point.index, point]));
  for (const [a, b] of person.limbs.map(([i, j]) => [shown.get(i), shown.get(j)])) {
    if (!a || !b) continue;
    const ends = { x1: a.x, y1: a.y, x2: b.x, y2: b.y, "stroke-linecap": "round" };
    const colour = inGroup ? personColour(person.number) : limbColour(a, b);
    group.append(svg("line", { ...ends, stroke: DARK, "stroke-opacity": 0.35 * faint, "stroke-width": 2.1 * width }),
      svg("line", { ...ends, stroke: colour, "stroke-opacity": faint * (0.35 + 0.6 * Math.min(a.score, b.score)) * (a.visible === false || b.visible === false ? 0.55 : 1), "stroke-width": 1.25 * width }));
  }
  for (const point of person.points) {
    if (!inGroup && point.std && !scene.heat) {
      group.append(svg("ellipse", { cx: point.x, cy: point.y, rx: point.std[0], ry: point.std[1], fill: sideColour(point.name), "fill-opacity": 0.14, stroke: sideColour(point.name), "stroke-opacity": 0.75, "stroke-width": unit }));
    }
  }
  for (const point of person.points) group.append(...dot(point, width, unit, faint, scene));
  return group;
}

function limbColour(a, b) {
  const [first, second] = [sideColour(a.name), sideColour(b.name)];
  return first === second ? first : "#e9e6de";
}

function dot(point, width, unit, faint, scene) {
  const colour = sideColour(point.name);
  const lit = point === scene.hovered || point === scene.picked
    || (scene.marked?.person === point.person && scene.marked.names.includes(point.name));
  const radius = (point.own ? 2.5 : 1.9) * width * (lit ? 1.35 : 1);
  const opacity = lit ? 1 : faint * (0.35 + 0.65 * Math.min(Math.max(point.score, 0), 1));
  const hidden = point.visible === false;
  const at = { cx: point.x, cy: point.y };
  const nodes = [svg("circle", { ...at, r: radius, class: "point", "data-name": point.name, fill: hidden ? DARK : colour, "fill-opacity": hidden ? 0.55 : 1, stroke: hidden ? colour : "#ffffff", "stroke-width": hidden ? 1.8 * unit : 1.3 * unit, opacity })];
  if (point.known === false) nodes.push(svg("circle", { ...at, r: radius + 4 * unit, fill: "none", stroke: "#ffffff", "stroke-width": 1.2 * unit, "stroke-dasharray": `${3 * unit} ${3 * unit}`, opacity }));
  if (lit) nodes.unshift(svg("circle", { ...at, r: radius + 6 * unit, fill: colour, "fill-opacity": 0.35 }));
  return nodes;
}

/** The points' names, each to the right or the left of its point, and only where there is room. */
function names(scene, unit) {
  const people = scene.people.filter(({ number }) => scene.chosen === null || scene.chosen === number);
  const points = people.flatMap((person) => person.points.map((point) => [point, lineWidth(person, unit)]));
  const told = scene.quiet ? null : scene.hovered ?? scene.picked; // beside it stands more
  const named = points.filter(([point]) => (scene.names || point.own) && point !== told).sort(([a], [b]) => Boolean(b.own) - Boolean(a.own) || b.score - a.score);
  const size = 12.5 * unit;
  const taken = points.map(([{ x, y }, width]) => [x - 1.5 * width, y - 1.5 * width, x + 1.5 * width, y + 1.5 * width]);
  const free = ([l, t, r, b]) => l >= 0 && r <= scene.photo.width && taken.every(([ll, tt, rr, bb]) => r < ll || l > rr || b < tt || t > bb);
  return named.flatMap(([point, width]) => {
    const away = 2.5 * width + 5 * unit, length = 0.56 * size * point.name.length;
    for (const side of [1, -1]) {
      const from = side > 0 ? point.x + away : point.x - away - length;
      const place = [from, point.y - 0.5 * size, from + length, point.y + 0.5 * size];
      if (!free(place)) continue;
      taken.push(place);
      return [svg("text", {
        class: "name", x: point.x + side * away, y: point.y + 0.34 * size, "text-anchor": side > 0 ? "start" : "end", "font-size": size, "font-weight": 600, "font-family": FONT,
        fill: "#ffffff", stroke: DARK, "stroke-opacity": 0.8, "stroke-width": 3 * unit, "paint-order": "stroke", "stroke-linejoin": "round",
      }, point.name)];
    }
    return [];
  });
}

/** The scene as a PNG in the photo's own pixels. */
export async function toPng(scene) {
  const { photo } = scene;
  const factor = Math.max(1, Math.floor(640 / Math.max(photo.width, photo.height)));
  const canvas = el("canvas", { width: photo.width * factor, height: photo.height * factor });
  const context = canvas.getContext("2d");
  context.drawImage(photo.image, 0, 0, canvas.width, canvas.height);
  const size = { width: canvas.width, height: canvas.height, viewBox: `0 0 ${photo.width} ${photo.height}` };
  const whole = svg("svg", { xmlns: "http://www.w3.org/2000/svg", ...size }, drawing({ ...scene, hovered: null, place: null, quiet: true }, SHOWN / Math.max(photo.width, photo.height)));
  const over = new Image();
  over.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(whole))}`;
  await over.decode();
  context.drawImage(over, 0, 0);
  return new Promise((done) => { canvas.toBlob(done, "image/png"); });
}
