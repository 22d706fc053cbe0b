"use strict";
const cards = [...document.querySelectorAll("article")];
const words = cards.map((card) => card.textContent.toLowerCase());
const find = document.getElementById("find");
function show() {
  const kind = document.querySelector("input[name=kind]:checked").value;
  const wanted = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let left = 0;
  cards.forEach((card, i) => {
    const fits = (!kind || card.dataset.kind === kind) && wanted.every((word) => words[i].includes(word));
    card.hidden = !fits;
    left += fits;
  });
  document.getElementById("count").textContent = left + " of " + cards.length;
  document.getElementById("none").hidden = left > 0;
}
find.addEventListener("input", show);
document.querySelectorAll("input[name=kind]").forEach((one) => one.addEventListener("change", show));
document.getElementById("poses").addEventListener("change", (event) =>
  document.getElementById("cards").classList.toggle("bare", !event.target.checked));
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== find) { event.preventDefault(); find.focus(); }
  if (event.key === "Escape" && document.activeElement === find) { find.value = ""; show(); }
});
show();
