// The tab "Text": a conversation, a description or reasoning written from the facts.

import * as api from "./api.js";
import { choice, copyButton, el } from "./dom.js";

const KINDS = { conversation: "Conversation", detail: "Description", reasoning: "Reasoning" };

export class TextTab {
  constructor(root, state, actions) {
    this.state = state;
    this.actions = actions;
    this.kind = "conversation";
    this.turns = el("div", { class: "turns", "aria-live": "polite" });
    root.append(
      el("section", { class: "part" },
        choice("kind", "Kind of text", KINDS, this.kind, (kind) => { this.kind = kind; this.render(); }),
        this.turns,
        el("div", { class: "end" }, copyButton(() => [...this.turns.querySelectorAll("[data-text]")].map((node) => node.textContent).join("\n\n"))),
        el("p", { class: "fine" }, "Written from the facts, without a language model: the photo itself is not read.")));
  }

  clear() {
    this.written = undefined;
  }

  async render() {
    const { state } = this;
    if (!state.people.length || !state.bodies) return;
    const who = this.actions.listed();
    const wanted = `${state.photo.url} ${who} ${this.kind}`;
    if (this.written === wanted) return;
    this.written = wanted;
    this.turns.replaceChildren(el("p", { class: "fine" }, "…"));
    let nodes;
    try {
      const { turns } = await api.write({ ...this.actions.bodies(who), kind: this.kind });
      nodes = turns?.length
        ? turns.map(({ role, text }) => el("div", { class: `turn ${role}` }, el("span", { class: "hidden" }, role === "user" ? "Question: " : "Answer: "), el("p", { "data-text": true }, text)))
        : [el("p", { class: "fine" }, "Too little is known of these people to write this.")];
    } catch (error) {
      nodes = [el("p", { class: "wrong-note" }, error.message)];
    }
    if (this.written === wanted) this.turns.replaceChildren(...nodes);
  }
}
