// Requests to the server of this page. Every failure becomes a ServerError whose message can be shown as it is.

export class ServerError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

const BUSY_TRIES = 4;

async function send(path, options = {}, tries = BUSY_TRIES) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("The server does not answer. Is posetalk serve still running?");
  }
  if (response.ok) return response.json();
  if ((response.status === 503 || response.status === 429) && tries > 1) {
    const seconds = Math.min(Number(response.headers.get("Retry-After")) || 1, 5);
    await new Promise((done) => { setTimeout(done, 1000 * seconds); });
    options.signal?.throwIfAborted();
    return send(path, options, tries - 1);
  }
  const problem = await response.json().catch(() => ({}));
  const detail = typeof problem.detail === "string" ? problem.detail : `The server answered ${response.status} ${response.statusText}.`;
  throw new ServerError(detail, response.status);
}

const post = (path, body, signal) =>
  send(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });

function withPhoto(path, photo, request, signal) {
  const form = new FormData();
  form.append("image", photo.blob, photo.name);
  form.append("request", JSON.stringify(request));
  return send(path, { method: "POST", body: form, signal });
}

export const locate = (photo, request, signal) => withPhoto("v1/locate", photo, request, signal);
export const describe = (photo, request, signal) => withPhoto("v1/describe", photo, request, signal);
export const describeLocated = (body, signal) => post("v1/describe/located", body, signal);
export const facts = (body, signal) => post("v1/facts", body, signal);
export const ask = (body, signal) => post("v1/ask", body, signal);
export const write = (body, signal) => post("v1/write", body, signal);
export const skeletons = () => send("v1/skeletons");
export const words = () => send("v1/words");
