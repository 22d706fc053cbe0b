// What was found in the forms of other programs, and the code that finds the same.

const round = (value, digits) => Number(value.toFixed(digits));

/** As `posetalk locate --json` writes it. */
export function toJson(photo, people) {
  return {
    image: photo.name,
    people: people.map((person) => ({
      box: person.box,
      ...(person.score === null ? {} : { box_score: person.score }),
      keypoints: person.points.map((point) => ({
        name: point.name, x: point.x, y: point.y, score: point.score,
        ...(point.std ? { std: point.std } : {}),
        ...(point.visible === null ? {} : { visible: point.visible }),
        ...(point.known === null ? {} : { trained: point.known }),
      })),
    })),
  };
}

/** A COCO label file with one image, as `Poses.to_coco_labels` gives the records. */
export function toCoco(photo, people) {
  const first = people[0] ?? { points: [], limbs: [] };
  const place = new Map(first.points.map((point, i) => [point.index, i]));
  return {
    images: [{ id: 1, file_name: photo.name, width: photo.width, height: photo.height }],
    categories: [{ id: 1, name: "person", supercategory: "person", keypoints: first.points.map((point) => point.name),
      skeleton: first.limbs.map(([a, b]) => [place.get(a) + 1, place.get(b) + 1]) }],
    annotations: people.map((person, i) => ({
      id: i + 1, image_id: 1, category_id: 1, bbox: person.box, area: round(person.box[2] * person.box[3], 2), iscrowd: 0,
      num_keypoints: person.points.length,
      keypoints: person.points.flatMap((point) => [point.x, point.y, point.visible === false ? 1 : 2]),
    })),
  };
}

/** The columns of `Poses.to_pandas`. */
export function toCsv(people) {
  const columns = ["person", "keypoint", "x", "y", "score", "std_x", "std_y", "visible", "trained", "box_x", "box_y", "box_w", "box_h", "box_score"];
  const rows = people.flatMap((person) => person.points.map((point) =>
    [person.number + 1, point.name, point.x, point.y, point.score, ...(point.std ?? ["", ""]), point.visible ?? "", point.known ?? "", ...person.box, person.score ?? ""]));
  return `${[columns, ...rows].map((row) => row.map(cell).join(",")).join("\n")}\n`;
}

function cell(value) {
  const text = typeof value === "boolean" ? (value ? "True" : "False") : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function download(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** request: {name, skeleton, sentences, boxes or null, whole, model}; boxes only where one person was picked. */
export function pythonOf({ name, skeleton, sentences, boxes, whole, model }) {
  const text = (value) => JSON.stringify(value);
  const body = skeleton ? "*load_skeleton(" + text(skeleton) + ").keypoints" : null;
  const keypoints = skeleton && !sentences.length
    ? text(skeleton)
    : `[\n${[body, ...sentences.map(text)].filter(Boolean).map((line) => `    ${line},\n`).join("")}]`;
  const rest = boxes ? `, boxes=[${boxes.map((box) => `(${box.join(", ")})`).join(", ")}]` : whole ? ", whole_image=True" : "";
  return [
    `from posetalk import Localizer${skeleton && sentences.length ? ", load_skeleton" : ""}`, "",
    `keypoints = ${keypoints}`,
    `localizer = Localizer.from_pretrained(${text(model)}).set_image(${text(name)})`,
    `poses = localizer.locate(keypoints=keypoints${rest})`,
    "for person in poses.to_dicts():", "    print(person)",
  ].join("\n");
}

const quoted = (text) => (/^[\w./:,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

export function commandOf({ name, skeleton, sentences, boxes, whole, model }) {
  const parts = [`posetalk locate ${quoted(name)}`];
  if (model !== "bundled") parts.push(`--model ${quoted(model)}`);
  if (boxes) parts.push(...boxes.map((box) => `--box ${box.join(",")}`));
  if (whole && !boxes) parts.push("--whole-image");
  if (skeleton) parts.push(`--skeleton ${skeleton}`);
  parts.push(...sentences.map((text) => `--ask ${quoted(text)}`), "--json found.json --draw found.png");
  return parts.join(" \\\n    ");
}

export function curlOf({ name, skeleton, sentences, boxes, whole }, origin) {
  const request = { ...(skeleton ? { skeleton } : {}), ...(sentences.length ? { ask: sentences } : {}), ...(boxes ? { boxes } : {}), ...(whole && !boxes ? { whole_image: true } : {}) };
  return `curl ${origin}/v1/locate \\\n    -F ${quoted(`image=@${name}`)} \\\n    -F ${quoted(`request=${JSON.stringify(request)}`)}`;
}
