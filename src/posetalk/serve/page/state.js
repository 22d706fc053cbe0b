// What the page knows, and what is shown of it.

import { viewAround } from "./stage.js";

export const BODY = "coco17"; // what facts are computed from
export const LEAST = 0.3; // the score from which people and points are shown at first

export const state = {
  photo: null, clip: null, model: "bundled", whole: false, words: [],
  people: [], // {box, score}
  skeleton: BODY, // or "" for none
  base: [], limbs: [], // the points of the skeleton, a list for each person
  bodies: null, // the people with the points of BODY, as the server answered them
  located: null, // the people with the points that words for a place rest on, once a place was described
  place: null, // {x, y} that is described
  sentences: [], // {id, text, points: one for each person, or null, problem}
  chosen: null, picked: null, hovered: null, heat: null, marked: null,
  facts: null, least: LEAST, names: false, zoom: false,
};

export function pointsOf(i) {
  return [...(state.base[i] ?? []), ...state.sentences.flatMap((one) => one.points?.[i] ?? [])];
}

/** The indices of the people above the score. */
export function sure() {
  return state.people.flatMap(({ score }, i) => (score === null || score >= state.least ? [i] : []));
}

/** The indices of the people who are shown: the one who was picked, or all. */
export function listed() {
  return state.chosen === null ? sure() : [state.chosen];
}

/** The index of the one person who is shown; null for several. */
export function only() {
  return listed().length === 1 ? listed()[0] : null;
}

export function shownPeople(all = false) {
  return (all ? sure() : listed()).map((i) => ({
    ...state.people[i], number: i, points: pointsOf(i).filter((point) => point.score >= state.least), limbs: state.limbs,
  }));
}

export function savedPeople() {
  return listed().map((i) => ({ ...state.people[i], number: i, points: pointsOf(i), limbs: state.limbs }));
}

export function scene() {
  const { photo, picked, hovered, heat, place, names, marked, people } = state;
  const one = only();
  const who = sure().length === 1 ? "1 person" : `${sure().length} people`;
  const label = !people.length ? photo.name : `${photo.name}: ${who} found${one === null ? "" : `, person ${one + 1} picked`}${picked ? `, ${picked.name} at ${picked.x.toFixed(0)}, ${picked.y.toFixed(0)}` : ""}`;
  return { photo, view: state.zoom && one !== null ? viewAround(people[one].box, photo) : null, people: shownPeople(true), chosen: one, picked, hovered, heat, place, names, marked, label };
}

export const boxes = () => state.people.map((person) => person.box);

export function bodies(of = state.people.map((_, i) => i)) {
  return { width: state.photo.width, height: state.photo.height, people: of.map((i) => state.bodies[i]) };
}
