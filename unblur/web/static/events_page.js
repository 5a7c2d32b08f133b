// Shows the form's times in the browser's time zone, and counts the new events.

import { PREFIX } from "./authorization.js";
import { listen } from "./event_stream.js";

const TEXT = JSON.parse(document.getElementById("texts").textContent);
const form = document.querySelector(".search");

for (const image of document.querySelectorAll(".crops img")) {
  const hide = () => (image.closest("figure").hidden = true);
  if (image.complete && !image.naturalWidth) hide();
  image.addEventListener("error", hide);
}
if (form) {
  offerKnownPeople();
  useLocalTime();
  if (form.dataset.search) countNews(); // an invalid search has none
}

// "Known people" is no value of `person`, but known=true.
function offerKnownPeople() {
  const person = form.elements.person;
  person.querySelector("[data-known]").disabled = false;
  form.addEventListener("formdata", ({ formData }) => {
    if (!person.selectedOptions[0]?.dataset.known) return;
    formData.delete("person");
    formData.set("known", "true");
  });
}

// The form arrives in UTC and sends UTC; the fields show local time.
function useLocalTime() {
  const times = [...form.querySelectorAll("[type=datetime-local]")];
  for (const input of times.filter((input) => input.value)) {
    const time = new Date(`${input.value}Z`);
    time.setMinutes(time.getMinutes() - time.getTimezoneOffset());
    input.value = time.toISOString().slice(0, 19);
  }
  for (const zone of form.querySelectorAll(".zone")) zone.remove();
  form.addEventListener("formdata", ({ formData }) => {
    for (const [name, value] of [...formData]) if (!value) formData.delete(name);
    for (const { name, value } of times) if (value) formData.set(name, new Date(value).toISOString());
  });
}

function countNews() {
  const wanted = JSON.parse(form.dataset.search);
  const link = document.querySelector("#news a");
  const fresh = new Set();
  const count = (event) => {
    if (!matches(event, wanted) || document.getElementById(`event-${event.id}`)) return;
    fresh.add(event.id);
    link.textContent = TEXT.news.replace("{n}", fresh.size);
    link.hidden = false;
  };
  listen(`${PREFIX}/api/v1/events/stream`, {}, count, form.dataset.latest);
}

function matches(event, wanted) {
  const agrees = (asked, is) => asked === null || asked === is;
  const time = Date.parse(event.wall_time);
  return (
    (wanted.person === null || wanted.person.toLowerCase() === (event.name ?? "unknown").toLowerCase()) &&
    agrees(wanted.known, event.name !== null) &&
    agrees(wanted.camera, event.camera) &&
    agrees(wanted.restored, event.deblurred_by !== "none") &&
    agrees(wanted.type, event.type) &&
    (wanted.since === null || time >= Date.parse(wanted.since)) &&
    (wanted.until === null || time < Date.parse(wanted.until))
  );
}
