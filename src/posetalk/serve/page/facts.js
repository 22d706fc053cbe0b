// The tab "Facts": questions about the people, and what is true of each with its evidence.

import * as api from "./api.js";
import { el } from "./dom.js";

const EXAMPLES = ["Are both arms raised?", "Is the person standing?", "Is the left knee bent?"];

export class FactsTab {
  constructor(root, state, actions) {
    this.state = state;
    this.actions = actions;
    this.question = el("input", { id: "question", type: "text", autocomplete: "off", maxlength: 300, placeholder: EXAMPLES[0], enterkeyhint: "go" });
    this.answers = el("div", { class: "answers", "aria-live": "polite" });
    this.facts = el("div", { class: "facts" });
    root.append(
      el("section", { class: "part" },
        el("label", { class: "title", for: "question" }, "Ask about the people"),
        el("form", { class: "with-button", onsubmit: (event) => { event.preventDefault(); this.ask(this.question.value.trim()); } },
          this.question, el("button", { class: "main" }, "Ask")),
        el("div", { class: "chips" }, EXAMPLES.map((text) => el("button", { type: "button", class: "chip", onclick: () => { this.question.value = text; this.ask(text); } }, text))),
        this.answers),
      el("section", { class: "part" }, el("h2", { class: "title" }, "What is true"), this.facts));
  }

  async ask(question) {
    const { state } = this;
    if (!question || !state.people.length) return;
    const photo = state.photo;
    const who = this.actions.listed();
    this.answers.replaceChildren(el("p", { class: "fine" }, "…"));
    const answerOf = (person) => api.ask({ ...this.actions.bodies(), person, question }).catch((error) => ({ answer: "not known", reason: error.message }));
    const found = await Promise.all(who.map(answerOf));
    if (state.photo !== photo) return;
    this.answers.replaceChildren(el("p", { class: "asked" }, question), ...found.map((one, i) =>
      el("div", { class: "answer" }, el("strong", {}, who.length > 1 ? `Person ${who[i] + 1}: ${one.answer}` : one.answer), el("p", {}, this.#ours(reasonOf(one))))));
  }

  /** A text with the page's numbers of people: facts count them from the left. */
  #ours(text) {
    const names = this.state.facts?.people?.map(({ name }) => name) ?? [];
    return text.replace(/person \d+/g, (name) => (names.includes(name) ? `person ${names.indexOf(name) + 1}` : name));
  }

  clear() {
    this.answers.replaceChildren();
    this.shown = undefined;
  }

  render() {
    const { facts, people } = this.state;
    const who = this.actions.listed();
    const shown = who.join();
    if (this.shown === shown && this.of === facts) return; // open parts stay open
    [this.shown, this.of] = [shown, facts];
    if (!people.length) return this.facts.replaceChildren(el("p", { class: "fine" }, "Nobody was found yet."));
    if (!facts) return this.facts.replaceChildren(el("p", { class: "fine" }, "…"));
    if (facts.problem) return this.facts.replaceChildren(el("p", { class: "wrong-note" }, facts.problem));
    const parts = who.flatMap((i) => this.#person(i, facts.people[i], who.length > 1));
    const scene = facts.scene.filter((fact) => fact.value && who.some((i) => new RegExp(`\\b${facts.people[i].name}\\b`).test(fact.name)));
    if (scene.length) parts.push(el("h3", {}, "Between people"), el("ul", { class: "fact-list" }, scene.map((fact) => this.#fact(fact, null))));
    this.facts.replaceChildren(...parts);
  }

  #person(i, { facts }, several) {
    const list = (value) => facts.filter((fact) => fact.value === value).map((fact) => this.#fact(fact, i));
    const yes = list(true);
    const others = [["Not true", list(false)], ["Cannot be told", list(null)]].filter(([, some]) => some.length);
    return [
      ...(several ? [el("h3", {}, `Person ${i + 1}`)] : []),
      yes.length ? el("ul", { class: "fact-list" }, yes) : el("p", { class: "fine" }, "Nothing can be said for sure."),
      ...others.map(([title, some]) => el("details", {}, el("summary", {}, `${title} (${some.length})`), el("ul", { class: "fact-list" }, some))),
    ];
  }

  #fact(fact, person) {
    const mark = fact.value === true ? "✓" : fact.value === false ? "✕" : "?";
    const evidence = evidenceOf(fact);
    return el("li", { onpointerenter: () => this.actions.markFact(fact, person), onpointerleave: () => this.actions.markFact(null) },
      el("span", { class: `truth ${fact.value}`, "aria-hidden": "true" }, mark),
      el("div", {}, el("span", {}, this.#ours(fact.text)), evidence && el("small", {}, evidence)));
  }
}

const DEGREES = ["angle", "lean"];

/** `joints: angle 168°, height 0.31 trunk lengths`: what a fact rests on. */
function evidenceOf({ evidence, numbers }) {
  const measured = Object.entries(numbers ?? {}).map(([name, value]) =>
    `${name.replaceAll("_", " ")} ${DEGREES.includes(name) ? `${value.toFixed(0)}°` : `${value.toFixed(2)} trunk lengths`}`);
  return evidence.map((entry) => (entry === "joints" ? `joints: ${measured.join(", ")}` : entry)).join("; ");
}

function reasonOf({ because, reason }) {
  return reason ?? because.map((fact) => fact.text + (fact.evidence.length ? ` (${evidenceOf(fact)})` : "")).join("; ");
}
