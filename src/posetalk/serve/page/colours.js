// The colours of posetalk's drawings (posetalk.draw): left orange, right blue, the middle green; one for each person.

export const DARK = "#12141a";
const SIDES = { left: "#ff8a30", right: "#40a0ff", middle: "#80e270" };
const PEOPLE = ["#ffd63c", "#eb50cd", "#5ae1e1", "#a573ff", "#ff6969", "#c8f050", "#ffaad2", "#28bea0", "#e1b982", "#bec8ff"];

export const personColour = (index) => PEOPLE[index % PEOPLE.length];

export function sideColour(name) {
  const words = name.toLowerCase().split(/[^a-z]+/);
  return words.includes("left") ? SIDES.left : words.includes("right") ? SIDES.right : SIDES.middle;
}

const RAMP = [[68, 20, 120], [160, 40, 130], [228, 80, 90], [252, 160, 70], [252, 250, 180]];

/** A heat map {rows, columns, values} as the address of a PNG: what is unlikely is transparent. */
export function heatImage({ rows, columns, values }) {
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(columns, rows);
  const flat = values.flat();
  const most = flat.reduce((a, b) => Math.max(a, b), 1e-12);
  flat.forEach((value, i) => {
    const share = Math.sqrt(Math.max(value, 0) / most);
    const at = share * (RAMP.length - 1);
    const low = RAMP[Math.floor(at)];
    const high = RAMP[Math.min(Math.floor(at) + 1, RAMP.length - 1)];
    for (let c = 0; c < 3; c += 1) pixels.data[4 * i + c] = low[c] + (high[c] - low[c]) * (at % 1);
    pixels.data[4 * i + 3] = 235 * Math.min(1, 1.6 * share);
  });
  context.putImageData(pixels, 0, 0);
  return canvas.toDataURL();
}
