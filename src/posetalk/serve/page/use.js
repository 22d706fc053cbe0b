// The tab "Use": files to download, and the code that gives the same.

import { choice, copyButton, el } from "./dom.js";
import { commandOf, curlOf, download, pythonOf, toCoco, toCsv, toJson } from "./save.js";
import { toPng } from "./stage.js";

const CODES = { python: "Python", command: "Command", http: "HTTP" };
const FILES = { png: "Photo and points", json: "As locate writes it", coco: "A label file", csv: "A row for each point" };

export class UseTab {
  constructor(root, state, actions) {
    this.state = state;
    this.actions = actions;
    this.language = "python";
    this.code = el("pre", { tabindex: "0", "aria-label": "Code" });
    this.who = el("span", { class: "count" });
    root.append(
      el("section", { class: "part" },
        el("div", { class: "title-row" }, el("h2", { class: "title" }, "Download"), this.who),
        el("div", { class: "files" }, Object.entries(FILES).map(([form, text]) =>
          el("button", { type: "button", class: "file", id: `save-${form}`, onclick: () => this.#save(form) }, el("strong", {}, form.toUpperCase()), el("span", {}, text))))),
      el("section", { class: "part" },
        el("h2", { class: "title" }, "The same from code"),
        choice("code", "Language", CODES, this.language, (language) => { this.language = language; this.render(); }),
        this.code,
        el("div", { class: "end" }, copyButton(() => this.code.textContent))));
  }

  render() {
    const { state } = this;
    if (!state.photo) return;
    const who = this.actions.listed();
    const request = {
      name: state.photo.name,
      skeleton: state.skeleton || null,
      sentences: state.sentences.filter((one) => !one.problem).map((one) => one.text),
      boxes: who.length === state.people.length ? null : who.map((i) => state.people[i].box),
      whole: state.whole,
      model: state.model,
    };
    this.code.textContent = { python: pythonOf, command: commandOf, http: (one) => curlOf(one, location.origin) }[this.language](request);
    this.who.textContent = state.people.length < 2 ? "" : who.length === 1 ? `person ${who[0] + 1}` : `${who.length} people`;
  }

  async #save(form) {
    const { photo } = this.state;
    const stem = photo.name.replace(/\.[^.]*$/, "");
    const people = this.actions.savedPeople();
    const json = (value) => new Blob([`${JSON.stringify(value, null, 1)}\n`], { type: "application/json" });
    if (form === "png") download(`${stem}.found.png`, await toPng(this.actions.scene()));
    if (form === "json") download(`${stem}.json`, json(toJson(photo, people)));
    if (form === "coco") download(`${stem}.coco.json`, json(toCoco(photo, people)));
    if (form === "csv") download(`${stem}.csv`, new Blob([toCsv(people)], { type: "text/csv" }));
  }
}
