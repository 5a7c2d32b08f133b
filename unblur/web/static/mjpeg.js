// Cameras as JPEG pictures over HTTP, where WebRTC cannot pass: all of them in one answer, since a browser has few
// connections to one server.

const RETRY_MS = 2000;

export class Pictures {
  constructor(url, headers) {
    Object.assign(this, { url, headers, shown: new Map(), size: "grid", reading: null, timer: null });
  }

  // `show` is given each picture of this camera, as an ImageBitmap that is its own to close.
  add(camera, show) {
    this.shown.set(camera, show);
    this.begin();
  }

  remove(camera) {
    if (this.shown.delete(camera)) this.begin();
  }

  resize(size) {
    if (size === this.size) return;
    this.size = size;
    this.begin();
  }

  close() {
    this.shown.clear();
    this.begin();
  }

  // Anew, with those that are shown now; several changes at once make one.
  begin() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.read(), 0);
  }

  async read() {
    this.reading?.abort();
    if (this.shown.size === 0) return;
    const reading = (this.reading = new AbortController());
    const wanted = new URLSearchParams([...[...this.shown.keys()].map((name) => ["camera", name]), ["size", this.size]]);
    try {
      const response = await fetch(`${this.url}?${wanted}`, { headers: this.headers, signal: reading.signal });
      if (!response.ok) throw new Error(`${response.status}`);
      for await (const { camera, body } of parts(response.body)) {
        const picture = await createImageBitmap(new Blob([body], { type: "image/jpeg" }));
        if (reading.signal.aborted || !this.shown.has(camera)) picture.close();
        else this.shown.get(camera)(picture);
      }
    } catch (error) {
      if (reading.signal.aborted) return;
      console.warn(`${this.url}: ${error.message}`);
    }
    if (!reading.signal.aborted) this.timer = setTimeout(() => this.read(), RETRY_MS);
  }
}

// The parts of a multipart/x-mixed-replace answer, each by the length that its head gives.
async function* parts(stream) {
  const reader = stream.getReader();
  let held = new Uint8Array();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    held = joined(held, value);
    for (let part = first(held); part; part = first(held)) {
      yield part;
      held = held.slice(part.end);
    }
  }
}

function first(held) {
  const end = headEnd(held);
  if (end < 0) return null;
  const head = new TextDecoder().decode(held.subarray(0, end));
  const length = Number(/Content-Length: (\d+)/i.exec(head)[1]);
  if (held.length < end + length) return null;
  const camera = decodeURIComponent(/X-Camera: (\S+)/i.exec(head)[1]);
  return { camera, body: held.slice(end, end + length), end: end + length };
}

// Behind the empty line.
function headEnd(held) {
  for (let at = 0; at + 3 < held.length; at++) {
    if (held[at] === 13 && held[at + 1] === 10 && held[at + 2] === 13 && held[at + 3] === 10) return at + 4;
  }
  return -1;
}

function joined(before, more) {
  const both = new Uint8Array(before.length + more.length);
  both.set(before);
  both.set(more, before.length);
  return both;
}
