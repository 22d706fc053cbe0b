// What is picked and hovered: a person, a point with its heat map, the joints of a fact.

import * as api from "./api.js";
import { only, state, sure } from "./state.js";
import { draw, render, renderPeople, say, tabs } from "./view.js";

const ARM = ["shoulder", "elbow", "wrist"], LEG = ["hip", "knee", "ankle"];
const JOINTS = { arm: ARM, elbow: ARM, forearm: ARM, hand: ["wrist"], wrist: ["wrist"], leg: LEG, knee: LEG, foot: ["ankle"], feet: ["ankle"], ankle: ["ankle"], hip: ["hip"], shoulder: ["shoulder"], head: ["ear", "eye"], body: ["shoulder", "hip"], torso: ["shoulder", "hip"] };
let picking = new AbortController(); // of the heat map

/** Gives up a heat map that is still being asked for. */
export function stopPicking() {
  picking.abort();
}

export function choose(number) {
  if (sure().length < 2) return unpick();
  state.chosen = number === state.chosen ? null : number;
  unpick();
  renderPeople();
  render();
}

export function hover(point) {
  if (state.hovered === point) return;
  state.hovered = point;
  draw();
  tabs.points.mark();
}

export function unpick() {
  picking.abort();
  Object.assign(state, { picked: null, hovered: null, heat: null });
  draw();
  tabs.points.mark();
}

export async function pick(point) {
  if (state.picked === point) return unpick();
  picking.abort();
  picking = new AbortController();
  const { signal } = picking;
  if (only() !== point.person) {
    state.chosen = point.person;
    renderPeople();
  }
  Object.assign(state, { picked: point, heat: null });
  render();
  const sentence = state.sentences.find((one) => one.id === point.own);
  const what = sentence ? { ask: [sentence.text] } : { skeleton: state.skeleton };
  try {
    const found = await api.locate(state.photo, { ...what, boxes: [state.people[point.person].box], heatmap: { person: 0, keypoint: sentence ? 0 : point.index } }, signal);
    if (signal.aborted) return;
    state.heat = found.heatmap ?? null;
    draw();
  } catch (error) {
    if (error.name !== "AbortError") say(error.message, true);
  }
}

/** Lights the joints that a fact of a person is about. */
export function markFact(fact, person) {
  const words = fact?.name.toLowerCase().split(/[^a-z]+/) ?? [];
  const joints = words.flatMap((word) => JOINTS[word.replace(/s$/, "")] ?? []);
  const sides = ["left", "right"].filter((side) => words.includes(side));
  const names = joints.flatMap((joint) => (sides.length ? sides : ["left", "right"]).map((side) => `${side} ${joint}`));
  state.marked = fact ? { person, names } : null;
  draw();
}
