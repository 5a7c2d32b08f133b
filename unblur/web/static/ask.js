// Asks the server for something, with the right to; what it refuses is thrown, in its own words.

import { authority } from "./authority.js";

export async function ask(method, path, body) {
  const form = body instanceof FormData;
  const headers = { ...authority(), ...(body && !form ? { "Content-Type": "application/json" } : {}) };
  const response = await fetch(`/api/v1${path}`, { method, headers, body: form ? body : body && JSON.stringify(body) });
  const said = await response.json().catch(() => ({ error: `${response.status} ${response.statusText}` }));
  if (!response.ok) throw Object.assign(new Error(said.error), { status: response.status });
  return said;
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
