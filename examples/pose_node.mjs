// Keypoints of people in a JPEG, in Node.
//
//     npm install onnxruntime-web jpeg-js
//     node pose_node.mjs feet.onnx photo.jpg 10,20,100,200 [more boxes as left,top,width,height in px]

import { readFileSync } from "node:fs";
import jpeg from "jpeg-js";
import * as ort from "onnxruntime-web";
import { locate, metadata } from "./pose.mjs";

const [network, photo, ...boxes] = process.argv.slice(2);
const file = readFileSync(network);
const session = await ort.InferenceSession.create(file);
const image = jpeg.decode(readFileSync(photo)); // RGBA; a turned photo (EXIF) stays as it is
const people = await locate(ort, session, metadata(file), image, boxes.map((box) => box.split(",").map(Number)));
console.log(JSON.stringify(people));
