// Photos of one person that may be enrolled: dropped, chosen or an event's crop, looked at by the server, each with a
// box to tick. A doubtful photo is ticked by somebody who is sure, an unusable one by nobody.

import { ask } from "./api.js";

export class Proposal {
  constructor(fieldset, text) {
    this.text = text;
    this.person = fieldset.dataset.person;
    this.most = Number(fieldset.dataset.most);
    this.bytes = Number(fieldset.dataset.bytes);
    this.list = fieldset.querySelector(".proposed");
    this.template = fieldset.querySelector("template");
    this.status = fieldset.querySelector(".progress");
    this.fault = fieldset.closest("form").querySelector(".fault");
    this.ticks = new Map(); // by id, what a person has said
    this.pending = Promise.resolve();
    const input = fieldset.querySelector("input[type=file]");
    input.addEventListener("change", () => {
      this.take([...input.files]);
      input.value = "";
    });
    this.droppable(fieldset);
  }

  droppable(zone) {
    const over = (event, on) => {
      event.preventDefault();
      zone.classList.toggle("over", on);
    };
    zone.addEventListener("dragover", (event) => over(event, true));
    zone.addEventListener("dragleave", (event) => over(event, false));
    zone.addEventListener("drop", (event) => {
      over(event, false);
      this.take([...event.dataTransfer.files]);
    });
  }

  // One after the other, for each is told of those before it; never rejected, for `look` says what went wrong.
  queue(what) {
    return (this.pending = this.pending.then(what));
  }

  take(files) {
    return this.queue(async () => {
      for (const batch of this.batches(files)) {
        const form = new FormData();
        for (const file of batch) form.append("photo", file);
        if (!(await this.look("POST", `/people/photos?${this.query()}`, form))) return;
      }
    });
  }

  // As many together as one request may hold.
  *batches(files) {
    let batch = [];
    let bytes = 0;
    for (const file of files) {
      if (batch.length === this.most || (batch.length && bytes + file.size > this.bytes)) {
        yield batch;
        [batch, bytes] = [[], 0];
      }
      batch.push(file);
      bytes += file.size;
    }
    if (batch.length) yield batch;
  }

  // They are meant for somebody else than before ("": for somebody new): what speaks against them may be another thing.
  meant(person) {
    return this.queue(async () => {
      if (person === this.person) return;
      this.person = person;
      if (this.ids().length) await this.look("GET", `/people/photos?${this.query()}`);
    });
  }

  event(id) {
    return this.queue(() => this.look("POST", "/people/crops", { event: id, person: this.person || null }));
  }

  query() {
    return new URLSearchParams({ person: this.person, beside: this.ids().join(",") });
  }

  async look(method, path, body) {
    this.status.textContent = this.text.looking;
    this.fault.textContent = "";
    try {
      const { photos } = await ask(method, path, body);
      this.show(photos);
      return true;
    } catch (error) {
      this.fault.textContent = error.message;
      this.status.textContent = "";
      return false;
    }
  }

  show(photos) {
    this.list.replaceChildren(...photos.map((photo) => this.entry(photo)));
    const good = photos.filter((photo) => photo.usable && !photo.findings.length).length;
    const said = photos.length === 1 ? this.text.looked.one : this.text.looked.many;
    this.status.textContent = said.replace("{photos}", photos.length).replace("{good}", good);
  }

  entry(photo) {
    const entry = this.template.content.cloneNode(true).firstElementChild;
    const tick = entry.querySelector("input");
    entry.dataset.id = photo.id;
    entry.querySelector(".file").textContent = photo.name;
    const picture = entry.querySelector("img");
    if (photo.picture) picture.src = photo.picture;
    else picture.remove();
    const found = photo.findings.map(({ kind, why }) => `${this.text.findings[kind]}: ${why}`);
    for (const said of found.length ? found : [this.text.good]) {
      entry.querySelector(".findings").append(Object.assign(document.createElement("li"), { textContent: said }));
    }
    entry.dataset.verdict = !photo.usable ? "unusable" : found.length ? "doubtful" : "good";
    entry.querySelector(".use").textContent = this.text.use[entry.dataset.verdict];
    tick.disabled = !photo.usable;
    tick.checked = photo.usable && (this.ticks.get(photo.id) ?? !found.length);
    tick.addEventListener("change", () => this.ticks.set(photo.id, tick.checked));
    return entry;
  }

  ids(which = "li[data-id]") {
    return [...this.list.querySelectorAll(which)].map((entry) => entry.dataset.id);
  }

  // What was ticked, and of which of it somebody is sure, once everything has been looked at. Throws if it is nothing.
  async chosen() {
    await this.pending;
    const photos = this.ids("li[data-id]:has(:checked)");
    if (!photos.length) throw new Error(this.text.none);
    return { photos, sure: this.ids("li[data-verdict=doubtful]:has(:checked)") };
  }
}
