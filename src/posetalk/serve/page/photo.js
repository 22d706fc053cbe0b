// Photos and frames of clips: from a file to something that can be shown and sent.

export class PhotoError extends Error {}

export const isClip = (file) => file.type.startsWith("video/");

/** A photo of a file: {name, blob, url, width, height}. Revoke it when another takes its place. */
export async function openPhoto(blob, name) {
  if (!blob.size) throw new PhotoError(`${name} is empty; choose another file.`);
  const url = URL.createObjectURL(blob);
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
  } catch {
    URL.revokeObjectURL(url);
    throw new PhotoError(`${name} is no image that this browser can show; choose a JPEG, PNG or WebP file.`);
  }
  return { name, blob, url, image, width: image.naturalWidth, height: image.naturalHeight };
}

/** Loads a clip into a video element, at its first frame. */
export async function openClip(file, video) {
  const url = URL.createObjectURL(file);
  video.src = url;
  try {
    await new Promise((done, fail) => {
      video.addEventListener("loadeddata", done, { once: true });
      video.addEventListener("error", fail, { once: true });
    });
  } catch {
    URL.revokeObjectURL(url);
    throw new PhotoError(`${file.name} is no clip that this browser can play; save it as MP4 (H.264) or WebM.`);
  }
  return url;
}

/** The frame that a video element stands at, as a photo. */
export async function frameOf(video, name) {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise((done) => { canvas.toBlob(done, "image/jpeg", 0.95); });
  return openPhoto(blob, `${name.replace(/\.[^.]*$/, "")} ${video.currentTime.toFixed(2)} s.jpg`);
}

/** Moves a video element and waits until it shows the frame. */
export function seek(video, seconds) {
  return new Promise((done) => {
    if (Math.abs(video.currentTime - seconds) < 1e-3) return done();
    video.addEventListener("seeked", done, { once: true });
    video.currentTime = seconds;
  });
}

/** A part of a photo on a small canvas, for the strip of people. */
export function thumbnail(photo, [x, y, w, h], side) {
  const scale = window.devicePixelRatio || 1;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side * scale;
  const span = Math.min(Math.max(w, Math.min(h, 1.3 * w)), photo.width, photo.height);
  const left = Math.min(Math.max(x + (w - span) / 2, 0), photo.width - span);
  const top = Math.min(Math.max(y - 0.04 * h, 0), photo.height - span);
  canvas.getContext("2d").drawImage(photo.image, left, top, span, span, 0, 0, canvas.width, canvas.height);
  return canvas;
}
