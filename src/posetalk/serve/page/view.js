// Shows the state: the photo, the people under it, the tab that is open, messages.

import { personColour } from "./colours.js";
import { $, el } from "./dom.js";
import { thumbnail } from "./photo.js";
import { Stage } from "./stage.js";
import { only, scene, state, sure } from "./state.js";

export const tabs = {}; // by the ids of their panels
const handlers = {}; // onpoint, onplace, onperson, onhover: what the pointer does; ondraw
export const stage = new Stage($("stage"), handlers);

/** Says what pointers do, and which tabs there are. */
export function connect(pointers, shown) {
  Object.assign(handlers, pointers);
  Object.assign(tabs, shown);
}

export function draw() {
  if (state.photo) stage.show(scene());
}

export function render() {
  draw();
  const shown = document.querySelector('[role="tab"][aria-selected="true"]').getAttribute("aria-controls");
  tabs[shown].render();
  $("zoom").disabled = only() === null;
}

export function renderPeople() {
  const shown = sure();
  const several = shown.length > 1;
  $("people").hidden = !several;
  const button = (value, text, picture) => el("label", { title: text },
    el("input", { type: "radio", name: "person", value, checked: value === String(state.chosen ?? "all"), onchange: () => handlers.onperson(value === "all" ? null : Number(value)) }),
    el("span", {}, picture, picture ? el("b", {}, value === "all" ? "" : String(Number(value) + 1)) : null, el("span", { class: picture ? "hidden" : null }, text)));
  const one = shown.map((i) => {
    const { box, score } = state.people[i];
    const label = button(String(i), `Person ${i + 1}${score === null ? "" : `, score ${score.toFixed(2)}`}`, thumbnail(state.photo, box, 48));
    label.style.setProperty("--colour", personColour(i));
    return label;
  });
  const focused = $("people").contains(document.activeElement);
  $("people").replaceChildren($("people").firstElementChild, ...(several ? [button("all", `All ${shown.length}`), ...one] : []));
  if (focused) $("people").querySelector(":checked")?.focus();
}

export function say(text, problem = false) {
  $("status").textContent = problem ? "" : text;
  $("problem").replaceChildren(...(problem ? [el("p", {}, text), el("button", { type: "button", class: "quiet", "aria-label": "Close the message", onclick: () => say("") }, "Close")] : []));
}

export function setLeast(score) {
  state.least = Math.floor(20 * score + 1e-6) / 20;
  $("least").value = state.least;
  $("least-out").textContent = state.least.toFixed(2);
}

export function showPhoto(ofClip) {
  tabs.facts.clear();
  tabs.text.clear();
  $("compare").hidden = true;
  $("stage").hidden = false;
  $("clip").hidden = !ofClip;
  document.body.classList.remove("empty");
  $("stage").style.setProperty("--aspect", state.photo.height / state.photo.width);
  renderPeople();
  render();
}
