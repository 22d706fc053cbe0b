// Run exported networks on crops as they are. argv: files of the crops (uint8) and the boxes (float32), then networks.
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-web";
import { metadata } from "./pose.mjs";

const [crops, boxes, ...networks] = process.argv.slice(2).map((name) => new Uint8Array(readFileSync(name)));
const answers = [];
for (const network of networks) {
  const about = metadata(network);
  const { size } = JSON.parse(about.crop);
  const people = crops.length / (size * size * 3);
  const session = await ort.InferenceSession.create(network);
  const found = await session.run({
    image: new ort.Tensor("uint8", crops, [people, size, size, 3]),
    box: new ort.Tensor("float32", new Float32Array(boxes.buffer), [people, 2]),
  });
  answers.push({ about, ...Object.fromEntries(Object.entries(found).map(([name, { data }]) => [name, [...data]])) });
}
console.log(JSON.stringify(answers));
