// Asks the server: for the people of a photo, points and facts.

import * as api from "./api.js";
import { $, el } from "./dom.js";
import { pick, stopPicking, unpick } from "./pick.js";
import { closePlace, startPlace } from "./place.js";
import { frameOf, isClip, openClip, openPhoto } from "./photo.js";
import { BODY, LEAST, bodies, boxes, only, state, sure } from "./state.js";
import { render, renderPeople, say, setLeast, showPhoto, stage } from "./view.js";

let running = new AbortController(); // of the photo
let counter = 0;

export async function open(file) {
  say("");
  try {
    if (isClip(file)) {
      const url = await openClip(file, $("video"));
      if (state.clip) URL.revokeObjectURL(state.clip.url);
      state.clip = { url, name: file.name };
      Object.assign($("frame"), { max: $("video").duration, value: 0 });
      await usePhoto(await frameOf($("video"), file.name), true);
    } else {
      await usePhoto(await openPhoto(file, file.name || "pasted.png"), false);
    }
  } catch (error) {
    say(error.message, true);
  }
}

/** Takes another photo. One that the server refuses changes nothing. */
export async function usePhoto(photo, ofClip) {
  running.abort();
  running = new AbortController();
  stopPicking();
  closePlace();
  const before = { ...state, sentences: state.sentences.map((one) => ({ ...one })), clipShown: !$("clip").hidden, said: $("status").textContent };
  Object.assign(state, { photo, people: [], base: [], limbs: [], bodies: null, located: null, facts: null, chosen: null, picked: null, hovered: null, heat: null, marked: null, whole: false });
  for (const one of state.sentences) Object.assign(one, { points: null, problem: null });
  const { signal } = running;
  showPhoto(ofClip);
  try {
    await findPeople(false);
    if (before.photo) URL.revokeObjectURL(before.photo.url);
  } catch (error) {
    if (signal.aborted) return;
    const { clipShown, said, ...old } = before;
    Object.assign(state, old);
    setLeast(state.least);
    if (state.photo) showPhoto(clipShown);
    else document.body.classList.add("empty");
    URL.revokeObjectURL(photo.url);
    say(error.message, true);
    $("status").textContent = said;
    return;
  }
  await busy((of) => findSentences(state.sentences, of));
  await findFacts(signal);
}

/** Finds the people and the points of the skeleton. */
async function findPeople(whole) {
  const { signal } = running;
  const begun = performance.now();
  stage.setBusy(true);
  say("Looking for people …");
  try {
    const found = await api.locate(state.photo, { skeleton: BODY, whole_image: whole }, signal);
    signal.throwIfAborted();
    Object.assign(state, { whole, model: found.model, bodies: found.people, located: null, people: found.people.map(({ box, score }) => ({ box, score })) });
    startPlace();
    const scores = state.people.map(({ score }) => score ?? 1);
    setLeast(scores.length ? Math.min(LEAST, Math.max(...scores)) : LEAST); // somebody is always shown
    if (state.skeleton === BODY) setBase(found);
    else if (state.skeleton && state.people.length) await findBase(signal);
    const who = sure().length === 1 ? "1 person" : `${sure().length} people`;
    if (state.people.length) say(`${who} in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    else askForWhole();
    renderPeople();
    render();
  } finally {
    if (!signal.aborted) stage.setBusy(false);
  }
}

function askForWhole() {
  say("Nobody was found in this photo.", true);
  $("problem").lastChild.replaceWith(el("button", { type: "button", class: "quiet", onclick: async () => {
    await busy(() => findPeople(true));
    await busy((signal) => findSentences(state.sentences, signal));
    await findFacts(running.signal);
  } }, "Take the whole photo as one person"));
}

function setBase(found) {
  state.limbs = found.limbs;
  state.base = found.people.map((person, i) => person.keypoints.map((point, index) => ({ ...point, person: i, index, own: null })));
}

async function findBase(signal) {
  setBase(await api.locate(state.photo, { skeleton: state.skeleton, boxes: boxes() }, signal));
}

async function findFacts(signal) {
  if (!state.people.length) return;
  try {
    state.facts = await api.facts(bodies(), signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    state.facts = { problem: error.message };
  }
  render();
}

export async function setSkeleton(name) {
  unpick();
  state.skeleton = name;
  Object.assign(state, { base: [], limbs: [] });
  await busy(async (signal) => { if (name && state.people.length) await findBase(signal); });
}

/** Asks for sentences together; where that fails, one by one, so that each failure stands with its sentence. */
async function findSentences(sentences, signal) {
  if (!sentences.length || !state.people.length) return;
  try {
    const found = await api.locate(state.photo, { ask: sentences.map((one) => one.text), boxes: boxes() }, signal);
    sentences.forEach((one, j) => {
      one.problem = null;
      one.points = found.people.map((person, i) => ({ ...person.keypoints[j], person: i, index: null, own: one.id }));
    });
  } catch (error) {
    if (error.name === "AbortError" || !error.status) throw error;
    if (sentences.length > 1) {
      for (const one of sentences) await findSentences([one], signal);
    } else {
      Object.assign(sentences[0], { points: null, problem: error.message });
    }
  }
}

async function busy(work) {
  const { signal } = running;
  stage.setBusy(true);
  try {
    await work(signal);
  } catch (error) {
    if (error.name !== "AbortError") say(error.message, true);
  }
  if (signal.aborted) return;
  stage.setBusy(false);
  render();
}

export async function addSentence(text) {
  closePlace();
  counter += 1;
  const sentence = { id: counter, text, points: null, problem: null };
  state.sentences.push(sentence);
  render();
  await busy((signal) => findSentences([sentence], signal));
  const point = sentence.points?.[only()];
  if (point) await pick(point);
}

export async function changeSentence(sentence, text) {
  if (!text.trim()) return removeSentence(sentence);
  unpick();
  Object.assign(sentence, { text: text.trim(), points: null, problem: null });
  return busy((signal) => findSentences([sentence], signal));
}

export function removeSentence(sentence) {
  state.sentences.splice(state.sentences.indexOf(sentence), 1);
  if (state.picked?.own === sentence.id) unpick();
  state.hovered = null;
  render();
}
