// A text field with suggestions, by the pattern of an editable combobox with a list.

import { el } from "./dom.js";

const MOST = 7;
const nameOf = (text) => text.split(":")[0].trim().toLowerCase();

/** words: [{name, description}] that the model knows. */
export function suggestions(words, typed) {
  const name = nameOf(typed);
  if (!name || typed.includes(":")) return [];
  const starts = (word) => word.name.startsWith(name) || word.name.replace(/^(left|right) /, "").startsWith(name);
  const parts = name.split(/\s+/);
  const holds = (word) => parts.every((part) => word.name.includes(part));
  return [...words.filter(starts), ...words.filter((word) => !starts(word) && holds(word))].slice(0, MOST);
}

export const isKnown = (words, typed) => words.some((word) => word.name === nameOf(typed) || word.aliases?.includes(nameOf(typed)));

export class SentenceField {
  /** words() gives what to suggest; onenter(text) is called with what was typed, and the field is emptied. */
  constructor({ id, label, placeholder, words, onenter }) {
    this.words = words;
    this.onenter = onenter;
    this.input = el("input", { id, type: "text", role: "combobox", autocomplete: "off", spellcheck: "false", maxlength: 300, placeholder, "aria-label": label, "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": `${id}-list`, enterkeyhint: "go" });
    this.list = el("ul", { id: `${id}-list`, role: "listbox", "aria-label": "Suggestions", class: "suggestions", hidden: true });
    this.node = el("div", { class: "field" }, this.input, this.list);
    this.active = -1;
    this.input.addEventListener("input", () => this.#offer());
    this.input.addEventListener("focus", () => this.#offer());
    this.input.addEventListener("blur", () => this.#close());
    this.input.addEventListener("keydown", (event) => this.#key(event));
  }

  get value() {
    return this.input.value.trim();
  }

  enter() {
    this.#close();
    const text = this.value;
    if (!text) return;
    this.input.value = "";
    this.onenter(text);
  }

  #offer() {
    this.offered = suggestions(this.words(), this.input.value);
    this.active = -1;
    this.list.replaceChildren(...this.offered.map((word, i) =>
      el("li", { role: "option", id: `${this.list.id}-${i}`, "aria-selected": "false", onpointerdown: (event) => { event.preventDefault(); this.#take(word); } },
        el("strong", {}, word.name), el("span", {}, word.description))));
    this.#mark();
  }

  #close() {
    this.offered = [];
    this.active = -1;
    this.list.replaceChildren();
    this.#mark();
  }

  #mark() {
    this.list.hidden = !this.offered.length;
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
    [...this.list.children].forEach((option, i) => option.setAttribute("aria-selected", String(i === this.active)));
    const option = this.list.children[this.active];
    if (option) {
      this.input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else {
      this.input.removeAttribute("aria-activedescendant");
    }
  }

  #take(word) {
    this.input.value = word.description ? `${word.name}: ${word.description}` : word.name;
    this.enter();
  }

  #key(event) {
    const { key } = event;
    if (key === "Enter") {
      event.preventDefault();
      if (this.active >= 0) this.#take(this.offered[this.active]);
      else this.enter();
    } else if (key === "Escape" && !this.list.hidden) {
      event.stopPropagation();
      this.#close();
    } else if ((key === "ArrowDown" || key === "ArrowUp") && this.offered?.length) {
      event.preventDefault();
      const count = this.offered.length;
      this.active = key === "ArrowDown" ? (this.active + 1) % count : (this.active + count - (this.active < 0 ? 0 : 1)) % count;
      this.#mark();
    }
  }
}
