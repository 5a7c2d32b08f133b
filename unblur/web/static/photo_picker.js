// Photos of one person for enrollment: dropped, chosen or an event's crop, checked by the server, each with a checkbox.
// A doubtful photo starts unchecked; an unusable one cannot be checked.

import { ask } from "./api.js";

// What of the server's reason for a finding goes into its text; of the others, all of it.
const DETAILS = {
  blurred: /over ([\d.]+) pixels/,
  "near-duplicate": /^like (.+)$/,
  "looks like somebody else": /like (.+?)(?:, only [\d.]+ like their other photos)?$/,
  "somebody else's": /like (.+?), only [\d.]+ like their other photos$/,
  "unlike their other photos": /^(.+)$/,
};

const listItem = (text) => Object.assign(document.createElement("li"), { textContent: text });

export class Proposal {
  constructor(fieldset, text) {
    this.text = text;
    this.fieldset = fieldset;
    this.crops = new Map(); // by id, the title of an event's crop
    this.person = fieldset.dataset.person;
    this.most = Number(fieldset.dataset.most);
    this.bytes = Number(fieldset.dataset.bytes);
    this.list = fieldset.querySelector(".proposed");
    this.template = fieldset.querySelector("template");
    this.status = fieldset.querySelector(".progress");
    this.fault = fieldset.closest("form").querySelector(".fault");
    this.ticks = new Map(); // by id, what the user chose
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

  // One after the other, since each is compared with those before it. Never rejects: `look` shows what went wrong.
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

  // Sets the person whom the photos show ("": a new one): the findings depend on it.
  meant(person) {
    return this.queue(async () => {
      if (person === this.person) return;
      this.person = person;
      if (this.ids().length) await this.look("GET", `/people/photos?${this.query()}`);
    });
  }

  event(id) {
    return this.queue(async () => {
      this.cropTitle = await this.titleOf(id);
      return this.look("POST", "/people/crops", { event: id, person: this.person || null });
    });
  }

  // The title of an event's crop, for an operator: when it was taken.
  async titleOf(id) {
    const event = await ask("GET", `/events/${encodeURIComponent(id)}`).catch(() => null);
    if (!event?.wall_time) return this.text.event_crop;
    const time = new Date(event.wall_time).toLocaleString([], {
      day: "numeric", month: "short", hour: "2-digit", minute: "2-digit",
    });
    return this.text.crop.replace("{time}", time);
  }

  query() {
    return new URLSearchParams({ person: this.person, beside: this.ids().join(",") });
  }

  async look(method, path, body) {
    this.status.textContent = this.text.looking;
    this.fault.textContent = "";
    try {
      const { photos } = await ask(method, path, body);
      if (path === "/people/crops") this.crops.set(photos.at(-1).id, this.cropTitle);
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
    entry.querySelector(".file").textContent = this.crops.get(photo.id) ?? photo.name;
    const picture = entry.querySelector("img");
    if (photo.picture) picture.src = photo.picture;
    else picture.remove();
    const found = photo.findings;
    const list = entry.querySelector(".findings");
    for (const finding of found) list.append(this.describe(finding));
    if (!found.length) list.append(listItem(this.text.good));
    entry.dataset.verdict = !photo.usable ? "unusable" : found.length ? "doubtful" : "good";
    entry.querySelector(".use").textContent = this.text.use[entry.dataset.verdict];
    tick.disabled = !photo.usable;
    tick.checked = photo.usable && (this.ticks.get(photo.id) ?? !found.length);
    tick.addEventListener("change", () => this.ticks.set(photo.id, tick.checked));
    return entry;
  }

  // A finding in words. The server's reason carries its numbers and names.
  describe({ kind, why }) {
    const template = this.text.findings[kind];
    const detail = DETAILS[kind] ? DETAILS[kind].exec(why)?.[1] : why;
    const shown = kind === "near-duplicate" ? detail : detail?.replaceAll("_", " "); // a file's name stays as it is
    const item = listItem(detail === undefined ? `${kind}: ${why}` : template.replace("{}", shown));
    const name = this.fieldset.closest("form").elements.name;
    if (kind === "looks like somebody else" && detail && name) item.append(" ", this.addTo(name, detail));
    return item;
  }

  // A button that chooses the person whom the photo resembles.
  addTo(field, name) {
    const label = this.text.add_to.replace("{name}", name.replaceAll("_", " "));
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: label });
    button.addEventListener("click", () => {
      field.value = name;
      field.dispatchEvent(new Event("change"));
    });
    return button;
  }

  ids(which = "li[data-id]") {
    return [...this.list.querySelectorAll(which)].map((entry) => entry.dataset.id);
  }

  // The checked photos, and the doubtful ones among them, once all have been checked by the server. Throws if there are none.
  async chosen() {
    await this.pending;
    const photos = this.ids("li[data-id]:has(:checked)");
    if (!photos.length) throw new Error(this.text.none);
    return { photos, sure: this.ids("li[data-verdict=doubtful]:has(:checked)") };
  }
}
