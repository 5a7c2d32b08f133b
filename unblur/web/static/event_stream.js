// Receives server-sent events, over fetch (an EventSource cannot send a token), while the page is open and the user is
// authorized.

import { reach } from "./api.js";

const RETRY_MS = 2000;

// From the event `last` on, if it is given.
export async function listen(url, headers, receive, last = "") {
  for (;;) {
    try {
      const response = await reach(url, { headers: { ...headers, ...(last ? { "Last-Event-ID": last } : {}) } });
      if (response.status === 401) return;
      if (!response.ok) throw new Error(`${response.status}`);
      for await (const message of messages(response.body)) {
        last = message.id;
        receive(JSON.parse(message.data));
      }
    } catch (error) {
      console.warn(`${url}: ${error.message}`);
    }
    await new Promise((done) => setTimeout(done, RETRY_MS));
  }
}

async function* messages(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (text + value).split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const lines = part.split("\n").filter((line) => !line.startsWith(":"));
      const fields = Object.fromEntries(lines.map((line) => line.split(/: (.*)/s).slice(0, 2)));
      if (fields.data) yield fields;
    }
  }
}
