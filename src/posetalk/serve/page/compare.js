// Two wordings of a point, side by side, in the box of one person.

import * as api from "./api.js";
import { el, icon } from "./dom.js";
import { Stage, viewAround } from "./stage.js";

export class Compare {
  /** only() is the index of the person who is picked, or null; onclose() is called when it was closed. */
  constructor(root, state, only, onclose) {
    this.root = root;
    this.state = state;
    this.box = () => state.people[only() ?? 0].box;
    this.panes = ["First wording", "Second wording"].map((label) => this.#pane(label));
    this.verdict = el("p", { class: "verdict", role: "status" });
    root.append(
      el("div", { class: "compare-top" }, el("h2", {}, "Compare two wordings"), this.verdict, el("button", { type: "button", class: "quiet", onclick: () => this.close(onclose) }, icon("close"), "Close")),
      el("div", { class: "panes" }, this.panes.map((pane) => pane.node)));
    root.addEventListener("keydown", (event) => { if (event.key === "Escape") this.close(onclose); });
  }

  #pane(label) {
    const input = el("input", { type: "text", "aria-label": label, placeholder: label, maxlength: 300, spellcheck: "false" });
    const place = el("div", { class: "stage" });
    const about = el("p", { class: "about" });
    const pane = { input, about, stage: new Stage(place), node: el("form", { class: "pane" }, input, place, about) };
    pane.node.addEventListener("submit", (event) => { event.preventDefault(); this.#find(pane); });
    input.addEventListener("change", () => this.#find(pane));
    return pane;
  }

  open(text) {
    const [first, second] = this.panes;
    this.root.hidden = false;
    first.input.value = text;
    const [name, description] = text.split(/:\s*/, 2);
    second.input.value = description ? name : "";
    for (const pane of this.panes) {
      pane.sent = undefined;
      this.#find(pane);
    }
    second.input.focus();
  }

  close(onclose) {
    this.root.hidden = true;
    onclose();
  }

  async #find(pane) {
    const { photo } = this.state;
    const box = this.box();
    const text = pane.input.value.trim();
    const sent = `${photo.url} ${box} ${text}`;
    if (pane.sent === sent) return;
    pane.sent = sent;
    const scene = { photo, view: viewAround(box, photo, 0.12), people: [], chosen: null, picked: null, hovered: null, quiet: true, label: text || "No wording yet" };
    pane.point = null;
    pane.about.textContent = text ? "…" : "Type a wording to compare with.";
    pane.stage.show(scene);
    this.#judge();
    if (!text) return;
    pane.stage.setBusy(true);
    try {
      const found = await api.locate(photo, { ask: [text], boxes: [box], heatmap: { person: 0, keypoint: 0 } });
      if (pane.sent !== sent) return;
      pane.point = { ...found.people[0].keypoints[0], person: 0, own: "compare" };
      pane.stage.show({ ...scene, people: [{ box, number: 0, points: [pane.point], limbs: [] }], plain: true, picked: pane.point, heat: found.heatmap });
      const spread = pane.point.std ? ` ± ${Math.max(...pane.point.std).toFixed(1)}` : "";
      pane.about.textContent = `${pane.point.x.toFixed(0)}, ${pane.point.y.toFixed(0)}${spread} px, score ${pane.point.score.toFixed(2)}${pane.point.visible === false ? ", hidden" : ""}`;
    } catch (error) {
      if (pane.sent === sent) pane.about.textContent = error.message;
    }
    if (pane.sent === sent) pane.stage.setBusy(false);
    this.#judge();
  }

  #judge() {
    const [a, b] = this.panes.map((pane) => pane.point);
    if (!a || !b) {
      this.verdict.textContent = "";
      return;
    }
    const away = Math.hypot(a.x - b.x, a.y - b.y);
    const [, , w, h] = this.box();
    this.verdict.textContent = `${away.toFixed(1)} px apart, ${(100 * away / Math.max(w, h)).toFixed(1)} % of the box`;
  }
}
