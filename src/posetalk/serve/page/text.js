// The tab "Text": a conversation, a description or reasoning written from the facts.

import * as api from "./api.js";
import { choice, copyButton, el } from "./dom.js";

const TRIES = 4; // seeds until something is written: not every choice of words has enough to say
const KINDS = { conversation: "Conversation", detail: "Description", reasoning: "Reasoning" };

export class TextTab {
  constructor(root, state, actions) {
    this.state = state;
    this.actions = actions;
    this.kind = "conversation";
    this.seed = 0;
    this.turns = el("div", { class: "turns", "aria-live": "polite" });
    root.append(
      el("section", { class: "part" },
        choice("kind", "Kind of text", KINDS, this.kind, (kind) => { this.kind = kind; this.render(); }),
        this.turns,
        el("div", { class: "end" },
          el("button", { type: "button", class: "quiet small", onclick: () => { this.seed += 1; this.render(); } }, "Write another"),
          copyButton(() => [...this.turns.querySelectorAll("[data-text]")].map((node) => node.textContent).join("\n\n"))),
        el("p", { class: "fine" }, "Written from the facts, without a language model: the photo itself is not read.")));
  }

  clear() {
    this.written = undefined;
  }

  async render() {
    const { state } = this;
    if (!state.people.length || !state.bodies) return;
    const who = this.actions.listed();
    const wanted = `${state.photo.url} ${who} ${this.kind} ${this.seed}`;
    if (this.written === wanted) return;
    this.written = wanted;
    this.turns.replaceChildren(el("p", { class: "fine" }, "…"));
    let nodes;
    try {
      let turns = [];
      for (let i = 0; i < TRIES && !turns.length; i += 1) {
        ({ turns } = await api.write({ ...this.actions.bodies(who), kind: this.kind, seed: TRIES * this.seed + i }));
      }
      nodes = turns.length
        ? turns.map(({ role, text }) => el("div", { class: `turn ${role}` }, el("span", { class: "hidden" }, role === "user" ? "Question: " : "Answer: "), el("p", { "data-text": true }, text)))
        : [el("p", { class: "fine" }, "Too little is known of these people to write this.")];
    } catch (error) {
      nodes = [el("p", { class: "wrong-note" }, error.message)];
    }
    if (this.written === wanted) this.turns.replaceChildren(...nodes);
  }
}
