// The tab "Points": what to find, and the list of what was found.

import { sideColour } from "./colours.js";
import { $, el, icon } from "./dom.js";
import { aboutPoint } from "./stage.js";
import { SentenceField, isKnown } from "./suggest.js";

export class PointsTab {
  constructor(root, state, actions) {
    this.state = state;
    this.actions = actions;
    this.skeleton = el("select", { id: "skeleton", onchange: () => actions.setSkeleton(this.skeleton.value) });
    this.field = new SentenceField({
      id: "sentence", label: "Describe a point", placeholder: "left heel: the back of the left foot",
      words: () => state.words, onenter: (text) => actions.addSentence(text),
    });
    this.note = el("p", { class: "note", id: "sentence-note", "aria-live": "polite" });
    this.field.input.setAttribute("aria-describedby", "sentence-note");
    this.field.input.addEventListener("input", () => this.#note());
    this.sentences = el("ul", { class: "sentences", "aria-label": "Your points" });
    this.list = el("div", { class: "list", role: "listbox", "aria-label": "Points", tabindex: "0" });
    this.list.addEventListener("keydown", (event) => this.#key(event));
    this.list.addEventListener("blur", () => actions.hover(null));
    this.count = el("span", { class: "count" });
    root.append(
      el("section", { class: "part" },
        el("label", { class: "title", for: "sentence" }, "Find a point"),
        el("div", { class: "with-button" }, this.field.node, el("button", { type: "button", class: "main", onclick: () => this.field.enter() }, "Find")),
        this.note, this.sentences),
      actions.placeForm,
      el("section", { class: "part" },
        el("div", { class: "title-row" }, el("h2", { class: "title" }, "Points"), this.count, el("label", { class: "hidden", for: "skeleton" }, "Set of points"), this.skeleton),
        this.list,
        el("p", { class: "fine keys" }, "Pick a point to see where else the model looked.")));
  }

  showSkeletons(skeletons) {
    const options = skeletons.map(({ name, keypoints }) => el("option", { value: name }, `${name} · ${keypoints.length} points`));
    this.skeleton.replaceChildren(...options, el("option", { value: "" }, "only my points"));
    this.skeleton.value = this.state.skeleton ?? "";
  }

  #note() {
    const typed = this.field.input.value;
    const open = !this.field.list.hidden;
    this.note.textContent = "";
    if (!typed.trim() || open || !this.state.words.length) return;
    const name = typed.split(":")[0].trim();
    if (isKnown(this.state.words, typed)) this.note.textContent = "The model has learned this name.";
    else if (typed.includes(":")) this.note.textContent = `The model has not learned “${name}”; it goes by the description.`;
    else this.note.textContent = `The model has not learned “${name}”. Describe it after a colon.`;
  }

  render() {
    this.#note();
    this.skeleton.value = this.state.skeleton ?? "";
    this.#renderSentences();
    this.#renderList();
  }

  #renderSentences() {
    const focused = document.activeElement?.closest?.(".sentences li")?.dataset.id;
    const place = [...(document.activeElement?.closest?.(".sentences li")?.querySelectorAll("input, button") ?? [])].indexOf(document.activeElement);
    this.sentences.replaceChildren(...this.state.sentences.map((sentence, i) => {
      const unknown = sentence.points?.some((point) => point.known === false);
      const input = el("input", { type: "text", "aria-label": `Point ${i + 1}`, maxlength: 300, spellcheck: "false", class: sentence.problem ? "wrong" : null,
        onchange: () => this.actions.changeSentence(sentence, input.value), onkeydown: (event) => { if (event.key === "Enter") input.blur(); } });
      input.value = sentence.text;
      return el("li", { "data-id": sentence.id },
        el("span", { class: "swatch" }),
        el("div", {}, input,
          sentence.problem && el("p", { class: "wrong-note", role: "alert" }, sentence.problem),
          unknown && el("p", { class: "unknown" }, el("span", { "aria-hidden": "true" }, "◌ "), "Not learned by name: it goes by the words.")),
        el("button", { type: "button", class: "quiet icon-only", title: "Compare with another wording", "aria-label": `Compare “${sentence.text}” with another wording`, onclick: () => this.actions.compare(sentence.text) }, icon("compare")),
        el("button", { type: "button", class: "quiet icon-only", title: "Remove", "aria-label": `Remove “${sentence.text}”`, onclick: () => { this.actions.removeSentence(sentence); $("sentence").focus(); } }, icon("close")));
    }));
    this.state.sentences.forEach((sentence, i) => {
      const name = sentence.text.split(":")[0];
      this.sentences.children[i].firstChild.style.background = sideColour(name);
    });
    if (focused) this.sentences.querySelector(`[data-id="${focused}"]`)?.querySelectorAll("input, button")[place]?.focus();
  }

  #renderList() {
    const people = this.actions.shownPeople();
    const rows = [];
    this.rows = new Map();
    for (const person of people) {
      const options = person.points.map((point) => this.#row(point));
      rows.push(people.length > 1
        ? el("div", { role: "group", "aria-label": `Person ${person.number + 1}` }, el("h3", { role: "presentation" }, `Person ${person.number + 1}`), options)
        : options);
    }
    this.list.replaceChildren(...rows.flat());
    const total = people.reduce((sum, person) => sum + person.points.length, 0);
    const all = this.actions.allPoints();
    this.count.textContent = all > total ? `${total} of ${all}` : `${total}`;
    this.count.title = all > total ? "The others are below the score" : "";
    this.list.hidden = !total;
    this.mark();
  }

  #row(point) {
    const id = `p${point.person}-${point.own ? `s${point.own}` : point.index}`;
    const meter = el("span", { class: "meter", "aria-hidden": "true" }, el("i", {}));
    meter.firstChild.style.width = `${Math.round(100 * point.score)}%`;
    const swatch = el("span", { class: point.visible === false ? "swatch ring" : "swatch", "aria-hidden": "true" });
    swatch.style.setProperty("--colour", sideColour(point.name));
    const row = el("div", { role: "option", id, class: "row", "aria-selected": "false", "aria-label": `${point.name}: ${aboutPoint(point)}`,
      onpointerenter: () => this.actions.hover(point), onpointerleave: () => this.actions.hover(null), onclick: () => this.actions.pick(point) },
      swatch, el("span", { class: "what" }, point.name, point.known === false && el("small", { title: "Not learned by name" }, " ◌")),
      el("small", { class: "more" }, [point.visible === false ? "hidden" : null, point.std ? `± ${Math.max(...point.std).toFixed(0)} px` : null].filter(Boolean).join(" · ")),
      meter, el("span", { class: "number" }, point.score.toFixed(2)));
    this.rows.set(point, row);
    return row;
  }

  /** Marks the hovered and the picked point. */
  mark() {
    for (const [point, row] of this.rows ?? []) {
      row.classList.toggle("hovered", point === this.state.hovered);
      row.setAttribute("aria-selected", String(point === this.state.picked));
    }
    const row = this.rows?.get(this.state.hovered);
    if (row && document.activeElement === this.list) {
      this.list.setAttribute("aria-activedescendant", row.id);
      row.scrollIntoView({ block: "nearest" });
    } else {
      this.list.removeAttribute("aria-activedescendant");
    }
  }

  #key(event) {
    const points = [...this.rows.keys()];
    const at = points.indexOf(this.state.hovered ?? this.state.picked);
    const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? points.length - 1 : at - 1, Home: 0, End: points.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      this.actions.hover(points[Math.min(Math.max(to, 0), points.length - 1)]);
    } else if ((event.key === "Enter" || event.key === " ") && this.state.hovered) {
      event.preventDefault();
      this.actions.pick(this.state.hovered);
    }
  }
}
