// Run an exported network on crops as they are. argv: network, file of the crops (uint8), file of the boxes (float32).
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-web";
import { metadata } from "./pose.mjs";

const [network, crops, boxes] = process.argv.slice(2).map((name) => new Uint8Array(readFileSync(name)));
const about = metadata(network);
const { size } = JSON.parse(about.crop);
const people = crops.length / (size * size * 3);
const session = await ort.InferenceSession.create(network);
const found = await session.run({
  image: new ort.Tensor("uint8", crops, [people, size, size, 3]),
  box: new ort.Tensor("float32", new Float32Array(boxes.buffer), [people, 2]),
});
const values = Object.fromEntries(Object.entries(found).map(([name, { data }]) => [name, [...data]]));
console.log(JSON.stringify({ about, ...values }));
