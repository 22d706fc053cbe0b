// Puts the page together: tabs, fields and what they do.

import * as api from "./api.js";
import { Compare } from "./compare.js";
import { $, el } from "./dom.js";
import { EXAMPLES } from "./examples.js";
import { FactsTab } from "./facts.js";
import * as find from "./find.js";
import { frameOf, seek } from "./photo.js";
import { clickPlace, closePlace, connectPlace, placeCard, placeForm } from "./place.js";
import { choose, hover, markFact, pick, unpick } from "./pick.js";
import { PointsTab } from "./points.js";
import { LEAST, bodies, listed, only, pointsOf, savedPeople, scene, shownPeople, state, sure } from "./state.js";
import { TextTab } from "./text.js";
import { UseTab } from "./use.js";
import { connect, draw, render, renderPeople, say, setLeast, tabs } from "./view.js";

function pickPoint(point) {
  closePlace();
  return pick(point);
}

const actions = {
  hover, pick: pickPoint, scene, savedPeople, shownPeople, bodies, listed, only,
  allPoints: () => listed().reduce((sum, i) => sum + pointsOf(i).length, 0),
  ...find,
  compare: (text) => openCompare(text),
  markFact, placeForm,
};

connect({ onpoint: pickPoint, onplace: clickPlace, onperson: choose, onhover: hover, ondraw: placeCard }, {
  points: new PointsTab($("points"), state, actions),
  facts: new FactsTab($("facts"), state, actions),
  text: new TextTab($("text"), state, actions),
  use: new UseTab($("use"), state, actions),
});

const compare = new Compare($("compare"), state, only, () => { $("stage").hidden = false; draw(); $("sentence").focus(); });

connectPlace((text) => {
  showTab($("tab-points"));
  $("points").focus({ preventScroll: true });
  return find.addSentence(text);
});

function openCompare(text) {
  unpick();
  closePlace();
  $("stage").hidden = true;
  compare.open(text);
}

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
    if (file) find.open(file);
  });
  $("other").addEventListener("click", () => $("file").click());
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find(({ type }) => /^(image|video)\//.test(type));
    if (file) find.open(file);
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
    if (file) find.open(file);
  });
  addEventListener("keydown", (event) => { 
    if (event.key !== "Escape") return;
    if (state.place) closePlace();
    else if (state.picked) unpick();
  });
  $("least").addEventListener("input", () => {
    closePlace();
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
    await find.usePhoto(await frameOf($("video"), state.clip.name), true);
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
    el("li", {}, el("button", { type: "button", onclick: async () => find.open(new File([await (await fetch(`examples/${file}`)).blob()], file, { type: "image/jpeg" })) },
      el("img", { src: `examples/${file}`, alt: "", width: 96, height: 96 }), el("span", {}, el("strong", {}, title), el("small", {}, credit))))));
}

async function begin() {
  setLeast(LEAST);
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
