// The page's state, and what changes it.

import * as api from "./api.js";
import { personColour } from "./colours.js";
import { Compare } from "./compare.js";
import { $, el } from "./dom.js";
import { EXAMPLES } from "./examples.js";
import { FactsTab } from "./facts.js";
import { frameOf, isClip, openClip, openPhoto, seek, thumbnail } from "./photo.js";
import { PointsTab } from "./points.js";
import { Stage, viewAround } from "./stage.js";
import { TextTab } from "./text.js";
import { UseTab } from "./use.js";

const BODY = "coco17"; // what facts are computed from
const LEAST = 0.3; // the score from which people and points are shown at first
const ARM = ["shoulder", "elbow", "wrist"], LEG = ["hip", "knee", "ankle"];
const JOINTS = { arm: ARM, elbow: ARM, forearm: ARM, hand: ["wrist"], wrist: ["wrist"], leg: LEG, knee: LEG, foot: ["ankle"], feet: ["ankle"], ankle: ["ankle"], hip: ["hip"], shoulder: ["shoulder"], head: ["ear", "eye"], body: ["shoulder", "hip"], torso: ["shoulder", "hip"] };

const state = {
  photo: null, clip: null, model: "bundled", whole: false, words: [],
  people: [], // {box, score}
  skeleton: BODY, // or "" for none
  base: [], limbs: [], // the points of the skeleton, a list for each person
  bodies: null, // the people with the points of BODY, as the server answered them
  sentences: [], // {id, text, points: one for each person, or null, problem}
  chosen: null, picked: null, hovered: null, heat: null, marked: null,
  facts: null, least: LEAST, names: false, zoom: false,
};
let running = new AbortController(); // of the photo
let picking = new AbortController(); // of the heat map
let counter = 0;

const stage = new Stage($("stage"), {
  onpoint: (point) => pick(point),
  onperson: (number) => choose(number),
  onhover: (point) => hover(point),
});

const actions = {
  hover, pick, scene, savedPeople, shownPeople, bodies, listed, only,
  allPoints: () => listed().reduce((sum, i) => sum + pointsOf(i).length, 0),
  setSkeleton, addSentence, changeSentence, removeSentence,
  compare: (text) => openCompare(text),
  markFact,
};
const tabs = {
  points: new PointsTab($("points"), state, actions),
  facts: new FactsTab($("facts"), state, actions),
  text: new TextTab($("text"), state, actions),
  use: new UseTab($("use"), state, actions),
};
const compare = new Compare($("compare"), state, only, () => { $("stage").hidden = false; draw(); $("sentence").focus(); });

// ---- what is shown ----

function pointsOf(i) {
  return [...(state.base[i] ?? []), ...state.sentences.flatMap((one) => one.points?.[i] ?? [])];
}

/** The indices of the people above the score. */
function sure() {
  return state.people.flatMap(({ score }, i) => (score === null || score >= state.least ? [i] : []));
}

/** The indices of the people who are shown: the one who was picked, or all. */
function listed() {
  return state.chosen === null ? sure() : [state.chosen];
}

/** The index of the one person who is shown; null for several. */
function only() {
  return listed().length === 1 ? listed()[0] : null;
}

function shownPeople(all = false) {
  return (all ? sure() : listed()).map((i) => ({
    ...state.people[i], number: i, points: pointsOf(i).filter((point) => point.score >= state.least), limbs: state.limbs,
  }));
}

function savedPeople() {
  return listed().map((i) => ({ ...state.people[i], number: i, points: pointsOf(i), limbs: state.limbs }));
}

function scene() {
  const { photo, picked, hovered, heat, names, marked, people } = state;
  const one = only();
  const who = sure().length === 1 ? "1 person" : `${sure().length} people`;
  const label = !people.length ? photo.name : `${photo.name}: ${who} found${one === null ? "" : `, person ${one + 1} picked`}${picked ? `, ${picked.name} at ${picked.x.toFixed(0)}, ${picked.y.toFixed(0)}` : ""}`;
  return { photo, view: state.zoom && one !== null ? viewAround(people[one].box, photo) : null, people: shownPeople(true), chosen: one, picked, hovered, heat, names, marked, label };
}

function draw() {
  if (state.photo) stage.show(scene());
}

function render() {
  draw();
  const shown = document.querySelector('[role="tab"][aria-selected="true"]').getAttribute("aria-controls");
  tabs[shown].render();
  $("zoom").disabled = only() === null;
}

function renderPeople() {
  const shown = sure();
  const several = shown.length > 1;
  $("people").hidden = !several;
  const button = (value, text, picture) => el("label", { title: text },
    el("input", { type: "radio", name: "person", value, checked: value === String(state.chosen ?? "all"), onchange: () => choose(value === "all" ? null : Number(value)) }),
    el("span", {}, picture, picture ? el("b", {}, value === "all" ? "" : String(Number(value) + 1)) : null, el("span", { class: picture ? "hidden" : null }, text)));
  const one = shown.map((i) => {
    const { box, score } = state.people[i];
    const label = button(String(i), `Person ${i + 1}${score === null ? "" : `, score ${score.toFixed(2)}`}`, thumbnail(state.photo, box, 48));
    label.style.setProperty("--colour", personColour(i));
    return label;
  });
  $("people").replaceChildren($("people").firstElementChild, ...(several ? [button("all", `All ${shown.length}`), ...one] : []));
}

function say(text, problem = false) {
  $("status").textContent = problem ? "" : text;
  $("problem").replaceChildren(...(problem ? [el("p", {}, text), el("button", { type: "button", class: "quiet", "aria-label": "Close the message", onclick: () => say("") }, "Close")] : []));
}

function setLeast(score) {
  state.least = Math.floor(20 * score + 1e-6) / 20;
  $("least").value = state.least;
  $("least-out").textContent = state.least.toFixed(2);
}

// ---- photos ----

async function open(file) {
  say("");
  try {
    if (isClip(file)) {
      const url = await openClip(file, $("video"));
      if (state.clip) URL.revokeObjectURL(state.clip.url);
      state.clip = { url, name: file.name };
      Object.assign($("frame"), { max: $("video").duration, value: 0 });
      await usePhoto(await frameOf($("video"), file.name), true);
    } else {
      await usePhoto(await openPhoto(file, file.name || "pasted.png", limit), false);
    }
  } catch (error) {
    say(error.message, true);
  }
}

let limit = null; // bytes that the server takes

async function usePhoto(photo, ofClip) {
  running.abort();
  running = new AbortController();
  picking.abort();
  if (state.photo) URL.revokeObjectURL(state.photo.url);
  Object.assign(state, { photo, people: [], base: [], limbs: [], bodies: null, facts: null, chosen: null, picked: null, hovered: null, heat: null, marked: null, whole: false });
  for (const one of state.sentences) Object.assign(one, { points: null, problem: null });
  tabs.facts.clear();
  tabs.text.clear();
  $("compare").hidden = true;
  $("stage").hidden = false;
  $("clip").hidden = !ofClip;
  document.body.classList.remove("empty");
  renderPeople();
  render();
  await findPeople(false);
}

async function findPeople(whole) {
  const { signal } = running;
  const begun = performance.now();
  stage.setBusy(true);
  say("Looking for people …");
  try {
    const found = await api.locate(state.photo, { skeleton: BODY, whole_image: whole }, signal);
    if (signal.aborted) return;
    state.whole = whole;
    state.model = found.model;
    state.people = found.people.map(({ box, score }) => ({ box, score }));
    state.bodies = found.people;
    setLeast(Math.min(LEAST, ...state.people.map(({ score }) => score ?? 1)));
    if (state.skeleton === BODY) setBase(found);
    renderPeople();
    if (state.skeleton !== BODY && state.skeleton && state.people.length) await findBase(signal);
    render();
    await findSentences(state.sentences, signal);
    if (state.people.length) {
      const who = sure().length === 1 ? "1 person" : `${sure().length} people`;
      say(`${who} in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    } else {
      say("Nobody was found.");
      $("problem").replaceChildren(el("p", {}, "Nobody was found in this photo."), el("button", { type: "button", class: "quiet", onclick: () => { say(""); findPeople(true); } }, "Take the whole photo as one person"));
    }
    render();
    await findFacts(signal);
  } catch (error) {
    if (error.name !== "AbortError") say(error.message, true);
  } finally {
    if (!signal.aborted) stage.setBusy(false);
  }
}

function setBase(found) {
  state.limbs = found.limbs;
  state.base = found.people.map((person, i) => person.keypoints.map((point, index) => ({ ...point, person: i, index, own: null })));
}

const boxes = () => state.people.map((person) => person.box);
function bodies(of = state.people.map((_, i) => i)) {
  return { width: state.photo.width, height: state.photo.height, people: of.map((i) => state.bodies[i]) };
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

// ---- points ----

async function setSkeleton(name) {
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

async function addSentence(text) {
  counter += 1;
  const sentence = { id: counter, text, points: null, problem: null };
  state.sentences.push(sentence);
  render();
  await busy((signal) => findSentences([sentence], signal));
  const point = sentence.points?.[only()];
  if (point) await pick(point);
}

async function changeSentence(sentence, text) {
  if (!text.trim()) return removeSentence(sentence);
  unpick();
  Object.assign(sentence, { text: text.trim(), points: null, problem: null });
  return busy((signal) => findSentences([sentence], signal));
}

function removeSentence(sentence) {
  state.sentences.splice(state.sentences.indexOf(sentence), 1);
  if (state.picked?.own === sentence.id) unpick();
  state.hovered = null;
  render();
}

// ---- what is picked ----

function choose(number) {
  if (sure().length < 2) return unpick();
  state.chosen = number === state.chosen ? null : number;
  unpick();
  renderPeople();
  render();
}

function hover(point) {
  if (state.hovered === point) return;
  state.hovered = point;
  draw();
  tabs.points.mark();
}

function unpick() {
  picking.abort();
  Object.assign(state, { picked: null, hovered: null, heat: null });
  draw();
  tabs.points.mark();
}

async function pick(point) {
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
function markFact(fact, person) {
  const words = fact?.name.toLowerCase().split(/[^a-z]+/) ?? [];
  const joints = words.flatMap((word) => JOINTS[word.replace(/s$/, "")] ?? []);
  const sides = ["left", "right"].filter((side) => words.includes(side));
  const names = joints.flatMap((joint) => (sides.length ? sides : ["left", "right"]).map((side) => `${side} ${joint}`));
  state.marked = fact ? { person, names } : null;
  draw();
}

function openCompare(text) {
  unpick();
  $("stage").hidden = true;
  compare.open(text);
}

// ---- the page ----

function showTab(tab) {
  if (tab.id !== "tab-points") unpick();
  for (const other of document.querySelectorAll('[role="tab"]')) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    $(other.getAttribute("aria-controls")).hidden = !chosen;
  }
  render();
}

function listen() {
  $("file").addEventListener("change", (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (file) open(file);
  });
  $("other").addEventListener("click", () => $("file").click());
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find(({ type }) => /^(image|video)\//.test(type));
    if (file) open(file);
  });
  let depth = 0;
  const dropping = (on) => { $("dropping").hidden = !on; };
  addEventListener("dragenter", (event) => { event.preventDefault(); depth += 1; dropping(true); });
  addEventListener("dragleave", () => { depth -= 1; if (depth <= 0) dropping(false); });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    dropping(false);
    const [file] = event.dataTransfer.files;
    if (file) open(file);
  });
  addEventListener("keydown", (event) => { if (event.key === "Escape" && state.picked) unpick(); });
  $("least").addEventListener("input", () => {
    setLeast(Number($("least").value));
    if (state.chosen !== null && !sure().includes(state.chosen)) state.chosen = null;
    renderPeople();
    render();
  });
  $("names").addEventListener("change", () => { state.names = $("names").checked; draw(); });
  $("zoom").addEventListener("change", () => { state.zoom = $("zoom").checked; draw(); });
  $("frame").addEventListener("input", () => { $("time").textContent = `${Number($("frame").value).toFixed(1)} s`; });
  $("frame").addEventListener("change", async () => {
    await seek($("video"), Number($("frame").value));
    await usePhoto(await frameOf($("video"), state.clip.name), true);
  });
  const tabList = [...document.querySelectorAll('[role="tab"]')];
  tabList.forEach((tab, i) => {
    tab.addEventListener("click", () => showTab(tab));
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: tabList.length - 1 }[event.key];
      if (to === undefined) return;
      const next = tabList[(to + tabList.length) % tabList.length];
      next.focus();
      showTab(next);
    });
  });
}

function showExamples() {
  $("host").textContent = location.host;
  $("examples").append(...EXAMPLES.map(({ file, title, credit }) =>
    el("li", {}, el("button", { type: "button", onclick: async () => open(new File([await (await fetch(`examples/${file}`)).blob()], file, { type: "image/jpeg" })) },
      el("img", { src: `examples/${file}`, alt: "", width: 96, height: 96 }), el("span", {}, el("strong", {}, title), el("small", {}, credit))))));
}

async function begin() {
  setLeast(LEAST);
  api.setKeyQuestion(() => new Promise((done) => {
    $("key").addEventListener("close", () => done($("key-text").value), { once: true });
    $("key").showModal();
  }));
  listen();
  showExamples();
  try {
    const [skeletons, words] = await Promise.all([api.skeletons(), api.words()]);
    state.words = describedWords(skeletons, words);
    tabs.points.showSkeletons(skeletons);
  } catch (error) {
    say(error.message, true);
  }
}

/** The names that the model knows, with the sentences that skeletons have for them. */
function describedWords(skeletons, { keypoints, synonyms }) {
  const sentences = new Map(skeletons.flatMap((one) => one.keypoints.map((point) => [point.name, point.sentence])));
  return [...new Set([...keypoints, ...synonyms])].map((name) => ({ name, description: sentences.get(name) ?? "" }));
}

begin();
