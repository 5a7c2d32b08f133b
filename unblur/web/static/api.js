// Authorized requests to the REST interface. Throws an error in the server's words; for an answer that is not the
// server's, such as a proxy's error page, or for none, in ours.

import { authority, enter, PREFIX } from "./authorization.js";

const SAID = JSON.parse(document.getElementById("answers").textContent);

// The response, whatever its status. Throws if there is none.
export async function reach(url, options = {}) {
  const response = await fetch(url, options).catch(() => {
    throw new Error(SAID.none);
  });
  enter(response);
  return response;
}

// The JSON of a response. Throws an error with the response's `status`.
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

// Runs `what` when the form is sent; an error is shown in the form's alert.
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
