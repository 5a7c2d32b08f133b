import { ask, sending } from "./api.js";
import { PREFIX } from "./authorization.js";
import { Proposal } from "./photo_picker.js";

const TEXT = JSON.parse(document.getElementById("texts").textContent);
const person = document.getElementById("person");
const path = `/people/${person.dataset.id}`;

const open = ({ id }) => location.assign(`${PREFIX}/people/${id}`);

// Asks for confirmation: a deletion cannot be undone.
function sure(title, what, yes) {
  const dialog = document.getElementById("sure");
  dialog.querySelector("h2").textContent = title;
  dialog.querySelector(".what").textContent = what;
  dialog.querySelector("[value=yes]").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((said) =>
    dialog.addEventListener("close", () => said(dialog.returnValue === "yes"), { once: true }),
  );
}

async function trying(what) {
  const fault = person.querySelector(".fault");
  fault.textContent = "";
  try {
    await what();
  } catch (error) {
    fault.textContent = error.message;
    fault.scrollIntoView();
  }
}

for (const button of document.querySelectorAll(".remove")) {
  button.addEventListener("click", async () => {
    const { photo } = button.closest("li").dataset;
    if (await sure(button.getAttribute("aria-label"), TEXT.photo_gone, TEXT.remove)) {
      trying(async () => open(await ask("DELETE", `${path}/photos/${photo}`)));
    }
  });
}

document.getElementById("delete")?.addEventListener("click", async () => {
  if (!(await sure(TEXT.sure.replace("{}", document.getElementById("who").textContent), TEXT.gone, TEXT.delete))) return;
  trying(async () => {
    await ask("DELETE", path);
    location.assign(`${PREFIX}/people`);
  });
});

const more = document.getElementById("more");
if (more) {
  const proposal = new Proposal(more.querySelector(".propose"), TEXT);
  sending(more, async () => open(await ask("POST", `${path}/photos`, await proposal.chosen())));
  sending(document.getElementById("revise"), async (values) =>
    open(await ask("PATCH", path, { name: values.get("name"), description: values.get("description").trim() })),
  );
}

// Two people whose photos do not match are merged only after a second confirmation.
async function merged(into, title) {
  try {
    open(await ask("POST", `${path}/merge`, { into }));
  } catch (error) {
    if (error.status !== 409) throw error;
    if (await sure(title, error.message, TEXT.merge_anyway)) open(await ask("POST", `${path}/merge`, { into, sure: true }));
  }
}

const merge = document.getElementById("merge");
if (merge) {
  sending(merge, async (values) => {
    const into = merge.elements.into.selectedOptions[0].textContent;
    const title = TEXT.sure_merge.replace("{}", document.getElementById("who").textContent).replace("{}", into);
    if (await sure(title, TEXT.one_now, TEXT.merge)) await merged(values.get("into"), title);
  });
}
