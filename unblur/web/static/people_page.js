import { ask, sending } from "./api.js";
import { PREFIX } from "./authorization.js";
import { Proposal } from "./photo_picker.js";

const TEXT = JSON.parse(document.getElementById("texts").textContent);
const form = document.getElementById("enrol");

if (form) {
  const proposal = new Proposal(form.querySelector(".propose"), TEXT);
  const known = (name) => [...document.querySelectorAll("#names option")].find(({ value }) => value === name.trim())?.dataset.id;
  form.elements.name.addEventListener("change", ({ target }) => proposal.meant(known(target.value) ?? ""));
  sending(form, async (values) => {
    const name = values.get("name").trim();
    const there = known(name);
    const photos = await proposal.chosen();
    const person = there
      ? await ask("POST", `/people/${there}/photos`, photos)
      : await ask("POST", "/people", { name, description: values.get("description").trim() || null, ...photos });
    location.assign(`${PREFIX}/people/${person.id}`);
  });
  const asked = new URLSearchParams(location.search);
  form.elements.name.value ||= asked.get("name") ?? "";
  if (asked.has("event")) proposal.event(asked.get("event"));
}
