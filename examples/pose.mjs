// Keypoints of people, from a file that `posetalk export-onnx` wrote: in a browser, or in Node. Needs onnxruntime-web.

// What the file says of itself: ONNX's metadata_props, which onnxruntime's JavaScript does not show. A file is a list of
// fields (protobuf): a number for the field and its kind, then its content; metadata is field 14, of a key and a value.
export function metadata(file) {
  const fields = (bytes) => {
    let at = 0;
    const found = [];
    const varint = () => {
      let value = 0;
      for (let factor = 1; ; factor *= 128) {
        const byte = bytes[at++];
        value += (byte & 127) * factor;
        if (byte < 128) return value;
      }
    };
    while (at < bytes.length) {
      const tag = varint();
      const kind = tag & 7;
      const length = kind === 0 ? void varint() : kind === 2 ? varint() : kind === 1 ? 8 : 4;
      if (kind !== 0) found.push([tag >> 3, bytes.subarray(at, at + length)]);
      at += length ?? 0;
    }
    return found;
  };
  const text = (bytes) => new TextDecoder().decode(bytes);
  const pairs = fields(file).filter(([number]) => number === 14).map(([, entry]) => fields(entry));
  return Object.fromEntries(pairs.map((pair) => pair.map(([, bytes]) => text(bytes))));
}

// The square around a box, bilinear and black outside. image: an ImageData, or {data (RGBA), width, height}; box: left,
// top, width, height in its px; rule: JSON.parse(metadata.crop).
export function cut(image, box, { size, padding }) {
  const [left, top, width, height] = box;
  const side = padding * Math.max(width, height);
  const corner = [left + width / 2 - side / 2, top + height / 2 - side / 2];
  const scale = side / size;
  const value = (x, y, channel) =>
    x < 0 || y < 0 || x >= image.width || y >= image.height ? 0 : image.data[4 * (y * image.width + x) + channel];
  const pixels = new Uint8Array(size * size * 3);
  for (let row = 0, at = 0; row < size; row++) {
    const y = row * scale + corner[1];
    const y0 = Math.floor(y);
    for (let column = 0; column < size; column++) {
      const x = column * scale + corner[0];
      const x0 = Math.floor(x);
      for (let channel = 0; channel < 3; channel++) {
        const upper = value(x0, y0, channel) * (1 - x + x0) + value(x0 + 1, y0, channel) * (x - x0);
        const lower = value(x0, y0 + 1, channel) * (1 - x + x0) + value(x0 + 1, y0 + 1, channel) * (x - x0);
        pixels[at++] = Math.round(upper * (1 - y + y0) + lower * (y - y0));
      }
    }
  }
  return { pixels, corner, scale, box: [width / scale, height / scale] };
}

// For each box a list of {name, x, y, score, visible}, x and y in px of the image. ort: onnxruntime-web; session: of the
// file; about: metadata(file).
export async function locate(ort, session, about, image, boxes) {
  const rule = JSON.parse(about.crop);
  const names = JSON.parse(about.keypoints).map((point) => point.name);
  const people = [];
  for (const box of boxes) {
    const crop = cut(image, box, rule);
    const found = await session.run({
      image: new ort.Tensor("uint8", crop.pixels, [1, rule.size, rule.size, 3]),
      box: new ort.Tensor("float32", Float32Array.from(crop.box), [1, 2]),
    });
    people.push(
      names.map((name, n) => ({
        name,
        x: found.xy.data[2 * n] * crop.scale + crop.corner[0],
        y: found.xy.data[2 * n + 1] * crop.scale + crop.corner[1],
        score: found.score.data[n],
        visible: found.visible.data[n],
      })),
    );
  }
  return people;
}
