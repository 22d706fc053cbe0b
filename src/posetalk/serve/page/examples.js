// The photos of the start page. Both are free of rights; scikit-image carries them too.

export const EXAMPLES = [
  { file: "camera.jpg", title: "A man with a camera", credit: "Lav Varshney, CC0" },
  { file: "astronaut.jpg", title: "Eileen Collins, astronaut", credit: "NASA, public domain" },
];
