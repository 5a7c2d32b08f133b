// Uploads a photo, chosen or dropped, and opens the page of its result.

import { ask } from "./api.js";
import { PREFIX } from "./authorization.js";

const TEXT = JSON.parse(document.getElementById("texts").textContent);
const form = document.getElementById("send");
const drop = document.getElementById("drop");
const button = form.querySelector("button");
const state = document.getElementById("state");
const fault = document.getElementById("fault");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  busy(true);
  send()
    .then((page) => location.assign(page))
    .catch((error) => {
      fault.textContent = error.message;
      fault.hidden = false;
    })
    .finally(() => busy(false));
});

async function send() {
  const sent = new FormData(form);
  const method = sent.get("method");
  sent.delete("method");
  const { page } = await ask("POST", `/photos?${new URLSearchParams({ method })}`, sent);
  return PREFIX + page;
}

function busy(now) {
  button.disabled = now;
  state.textContent = now ? TEXT.working : "";
  if (now) fault.hidden = true;
}

// A photo dropped outside must not replace the page.
addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.toggle("over", drop.contains(event.target));
});
addEventListener("dragleave", () => drop.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const [dropped] = event.dataTransfer.files;
  if (!dropped) return;
  const one = new DataTransfer();
  one.items.add(dropped);
  document.getElementById(event.target.id === "sharp" ? "sharp" : "photo").files = one.files;
});
button.disabled = false;
