"use strict";
const one = (id) => document.getElementById(id);
const cards = [...document.querySelectorAll("article")];
const photos = [...document.querySelectorAll(".photos svg")];
const place = "posetalk keys " + document.querySelector("main").dataset.mark;
const verdicts = new Map(cards.filter((card) => card.dataset.verdict).map((card) => [card.dataset.id, card.dataset.verdict]));
const said = new Map();  // in this browser, "" where a verdict was cleared
let kept = true;
function put(id, verdict) {
  said.set(id, verdict);
  if (verdict) verdicts.set(id, verdict); else verdicts.delete(id);
}
try {
  JSON.parse(localStorage.getItem(place) || "[]").forEach(([id, verdict]) => put(id, verdict));
} catch (error) { kept = false; }
let near = false;
let at = Math.max(0, cards.findIndex((card) => !verdicts.has(card.dataset.id)));
function look(photo, marks) {  // all of the photo, or the marked people with some room around them
  const [, , width, height] = photo.dataset.all.split(" ").map(Number);
  if (!near || !marks) { photo.setAttribute("viewBox", photo.dataset.all); return; }
  const box = marks.getBBox(), room = 0.15 * Math.max(box.width, box.height);
  const x = Math.max(0, box.x - room), y = Math.max(0, box.y - room);
  const view = [x, y, Math.min(width, box.x + box.width + room) - x, Math.min(height, box.y + box.height + room) - y];
  photo.setAttribute("viewBox", view.join(" "));
}
function keep() {
  try {
    localStorage.setItem(place, JSON.stringify([...said]));
    kept = true;
  } catch (error) { kept = false; }
}
function show() {
  const card = cards[at], id = card.dataset.id, verdict = verdicts.get(id);
  cards.forEach((other) => { other.hidden = other !== card; });
  photos.forEach((photo, i) => photo.toggleAttribute("hidden", i !== Number(card.dataset.photo)));
  const photo = photos[card.dataset.photo], groups = [...photo.querySelectorAll("g")];
  groups.forEach((g) => g.toggleAttribute("hidden", g.dataset.id !== id));
  look(photo, groups.find((g) => g.dataset.id === id));
  const right = cards.filter((other) => verdicts.get(other.dataset.id) === "right").length;
  const text = (at + 1) + " of " + cards.length + " · " + right + " right, " + (verdicts.size - right) + " struck, " +
    (cards.length - verdicts.size) + " open";
  one("count").textContent = kept ? text : text + " · this browser keeps nothing: download before you close the page";
  one("meter").style.width = 100 * verdicts.size / cards.length + "%";
  one("said").textContent = { right: "You said: right", wrong: "You struck it" }[verdict] || "";
  one("said").className = "said " + (verdict || "");
}
function go(to) {
  at = Math.min(cards.length - 1, Math.max(0, to));
  show();
}
function say(verdict) {
  put(cards[at].dataset.id, verdict);
  keep();
  go(verdict ? at + 1 : at);
}
function nextOpen() {
  const open = (card) => !verdicts.has(card.dataset.id);
  const later = cards.findIndex((card, i) => i > at && open(card));
  const first = later < 0 ? cards.findIndex(open) : later;
  if (first >= 0) go(first);
}
function save() {
  const lines = cards.filter((card) => verdicts.has(card.dataset.id)).map((card) => JSON.stringify(
    { question_id: card.dataset.id, key: card.dataset.key, right: verdicts.get(card.dataset.id) === "right" }) + "\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" }));
  link.download = "keys.jsonl";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
const does = {
  yes: () => say("right"), no: () => say("wrong"), clear: () => say(""),
  back: () => go(at - 1), on: () => go(at + 1), next: nextOpen, save,
  zoom: () => { near = !near; show(); },
};
const keys = { y: "yes", n: "no", u: "clear", ArrowLeft: "back", ArrowRight: "on", j: "next", z: "zoom" };
Object.keys(does).forEach((id) => one(id).addEventListener("click", does[id]));
document.addEventListener("keydown", (event) => {
  const id = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!id || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  if (!event.repeat || id === "back" || id === "on") does[id]();
});
show();
