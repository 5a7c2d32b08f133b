// Asks the server for something, with the right to. What is refused is thrown in the server's own words; and what is no
// answer of the server's, as a proxy's error page or a network that is down, in ours.

import { authority, enter, PREFIX } from "./authorization.js";

const SAID = JSON.parse(document.getElementById("answers").textContent);

// An answer, whatever it is. Throws if there is none.
export async function reach(url, options = {}) {
  const response = await fetch(url, options).catch(() => {
    throw new Error(SAID.none);
  });
  enter(response);
  return response;
}

// The JSON of an answer. Throws what went wrong, with the answer's `status`.
export async function read(response) {
  const said = await response.json().catch(() => null);
  if (response.ok && said !== null) return said;
  throw Object.assign(new Error(said?.error ?? foreign(response)), { status: response.status });
}

export async function ask(method, path, body) {
  const form = body instanceof FormData;
  const headers = { ...authority(), ...(body && !form ? { "Content-Type": "application/json" } : {}) };
  return read(
    await reach(`${PREFIX}/api/v1${path}`, { method, headers, body: form ? body : body && JSON.stringify(body) }),
  );
}

function foreign({ status }) {
  return (SAID.statuses[status] ?? SAID.foreign).replace("{status}", status);
}

// What happens when a form is sent; a refusal stands in the form's own alert.
export function sending(form, what) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const fault = form.querySelector(".fault");
    const button = form.querySelector("button:not([type=button])");
    fault.textContent = "";
    button.disabled = true;
    try {
      await what(new FormData(form));
    } catch (error) {
      fault.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  });
}
