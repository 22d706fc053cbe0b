// A place of the photo in words: the form for its coordinates, and the card beside it.

import * as api from "./api.js";
import { $, copyButton, el, icon } from "./dom.js";
import { choose, unpick } from "./pick.js";
import { boxes, state, sure } from "./state.js";
import { draw, stage } from "./view.js";

const AWAY = 22; // screen pixels from the place to its card
let asking = new AbortController();
let opener = null; // what had the focus before the card
let onask = () => {};

const content = el("div", { "aria-live": "polite" });
const card = el("div", { class: "card", role: "dialog", "aria-label": "Words for a place", tabindex: "-1", hidden: true },
  el("button", { type: "button", class: "quiet icon-only", title: "Close", "aria-label": "Close the words", onclick: () => closePlace() }, icon("close")), content);
$("stage").append(card);

const coordinate = (name) => el("input", { type: "number", id: `place-${name}`, min: 0, inputmode: "decimal", autocomplete: "off", required: true, oninput: () => move() });
const fields = { x: coordinate("x"), y: coordinate("y") };

/** The form for those who do not point. Arrow keys in its fields move the place. */
export const placeForm = el("form", { class: "part", novalidate: true, onsubmit: (event) => { event.preventDefault(); describeAt(typed(), true); } },
  el("h2", { class: "title" }, "Words for a place"),
  el("div", { class: "at" },
    el("label", {}, "x", fields.x), el("label", {}, "y", fields.y), el("button", { class: "quiet" }, "Describe")),
  el("p", { class: "fine keys" }, "Or click the photo where no point is."));

/** ask(text) is called for a description that is to be found. */
export function connectPlace(ask) {
  onask = ask;
}

/** Fields for another photo, with a place on its first person. */
export function startPlace() {
  const { photo, people } = state;
  const [x, y, w, h] = people[0]?.box ?? [0, 0, photo.width, photo.height];
  fill({ x: Math.round(x + w / 2), y: Math.round(y + h / 2) });
  for (const field of Object.values(fields)) field.step = Math.max(1, Math.round(Math.max(photo.width, photo.height) / 200));
}

function fill({ x, y }) {
  Object.assign(fields.x, { value: x });
  Object.assign(fields.y, { value: y });
}

const typed = () => ({ x: fields.x.valueAsNumber || 0, y: fields.y.valueAsNumber || 0 });

/** Shows where the place of the form is. */
function move() {
  closePlace();
  if (!state.bodies) return;
  unpick();
  state.place = typed();
  draw();
}

export function closePlace() {
  asking.abort();
  const focused = card.contains(document.activeElement);
  card.hidden = true;
  if (focused) opener?.focus();
  if (!state.place) return;
  state.place = null;
  draw();
}

/** Words for a place that was clicked. person: the index of whose box it is in, or null. */
export function clickPlace({ x, y }, person) {
  if (person !== state.chosen) choose(person);
  const inside = (value, most) => Math.round(Math.min(Math.max(value, 0), most));
  return describeAt({ x: inside(x, state.photo.width), y: inside(y, state.photo.height) });
}

async function describeAt(place, focus = false) {
  if (!state.bodies) return;
  closePlace();
  unpick();
  asking = new AbortController();
  const { signal } = asking;
  state.place = place;
  opener = document.activeElement;
  fill(place);
  show(el("p", { class: "fine" }, "…"));
  try {
    const words = await wordsFor([place.x, place.y], signal);
    show(about(words, place));
  } catch (error) {
    if (signal.aborted) return;
    show(el("p", { class: "wrong-note" }, error.message));
  }
  if (focus) card.focus();
}

function show(...nodes) {
  content.replaceChildren(...nodes.flat());
  card.hidden = false;
  draw();
}

/** What the server says. The people's bodies are located for the first place of a photo; others cost no model run. */
async function wordsFor(at, signal) {
  const { width, height } = state.photo;
  if (!state.located) {
    const found = state.people.length ? (await api.describe(state.photo, { at: [at], boxes: boxes() }, signal)).people : [];
    signal.throwIfAborted();
    state.located = found;
  }
  const who = sure();
  const { places: [words] } = await api.describeLocated({ width, height, people: who.map((i) => state.located[i]), at: [at] }, signal);
  signal.throwIfAborted();
  return { ...words, person: words.person === null ? null : who[words.person] };
}

function about(words, { x, y }) {
  const who = words.person !== null && sure().length > 1 ? `Person ${words.person + 1} · ` : "";
  const other = words.evidence.or?.name;
  const nodes = [el("strong", {}, words.name)];
  if (words.sentence !== words.name) nodes.push(el("p", {}, words.sentence));
  nodes.push(el("p", { class: "fine" }, words.certain ? "Certain" : `Not certain${other ? `, or: ${other}` : ""}`),
    el("p", { class: "fine" }, `${who}${x.toFixed(0)}, ${y.toFixed(0)} px`));
  if (words.part !== null) {
    nodes.push(el("div", { class: "card-end" },
      el("button", { type: "button", class: "main small", onclick: () => ask(words) }, "Ask for this"), copyButton(() => words.sentence)));
  }
  return nodes;
}

function ask({ person, sentence }) {
  closePlace();
  if (sure().length > 1 && state.chosen !== person) choose(person);
  onask(sentence);
}

/** Moves the card beside its place. */
export function placeCard() {
  if (card.hidden || !state.place) return;
  const { x, y } = stage.onScreen(state.place);
  const { clientWidth, clientHeight } = $("stage");
  const { offsetWidth: w, offsetHeight: h } = card;
  const left = x + AWAY + w > clientWidth ? x - AWAY - w : x + AWAY;
  const inside = (value, most) => `${Math.min(Math.max(8, value), Math.max(8, most - 8))}px`;
  Object.assign(card.style, { left: inside(left, clientWidth - w), top: inside(y - h / 2, clientHeight - h) });
}
