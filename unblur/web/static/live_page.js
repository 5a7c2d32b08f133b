import { read, reach } from "./api.js";
import { authority, PREFIX } from "./authorization.js";
import { listen } from "./event_stream.js";
import { Pictures } from "./mjpeg.js";
import { Tile } from "./camera_tile.js";

const TEXT = JSON.parse(document.getElementById("texts").textContent);
const MOST_EVENTS = 30;
const STRONG_MARGIN = 0.1; // over the threshold; as in event_macros.html
const ASK_MS = 2000;
const ANSWERED_WITHIN_MS = 5000;
const tiles = new Map();
let pictures = null;
let lostSince = null;

async function watch(token) {
  const headers = authority(token);
  const response = await reach(`${PREFIX}/api/v1/cameras`, { headers }).catch(() => null);
  document.getElementById("ask").hidden = response?.status !== 401;
  document.getElementById("refused").hidden = !(token && response?.status === 401);
  if (response?.status === 401) return;
  pictures = new Pictures(`${PREFIX}/api/v1/mjpeg`, headers);
  if (response?.ok) describe((await response.json()).cameras, headers);
  else lose();
  listen(`${PREFIX}/api/v1/events/stream`, headers, note);
  for (;;) {
    await new Promise((done) => setTimeout(done, ASK_MS));
    await ask(headers);
  }
}

function note(event) {
  const entry = document.getElementById("event").content.cloneNode(true).firstElementChild;
  const put = (name, text) => (entry.querySelector(`.${name}`).textContent = text);
  const when = event.wall_time ? new Date(event.wall_time).toLocaleTimeString() : `${event.pts_s.toFixed(1)} s`;
  entry.dataset.known = event.name !== null;
  put("when", when);
  put("who", event.name?.replaceAll("_", " ") ?? TEXT.unknown);
  put("what", `${TEXT.events[event.type]} · ${event.camera}`);
  put("score", describeMatch(event));
  put("restored", event.deblurred_by === "none" ? "" : TEXT.restored);
  const list = document.getElementById("events");
  if (list.dataset.page) picture(entry, event, `${PREFIX}${list.dataset.page}/${event.id}`);
  list.prepend(entry);
  while (list.childElementCount > MOST_EVENTS) list.lastElementChild.remove();
  list.closest("section").hidden = false;
}

function describeMatch({ name, score, threshold }) {
  const named = score - threshold >= STRONG_MARGIN ? "strong" : "named";
  const kind = name !== null ? named : score >= threshold ? "uncertain" : "none";
  return TEXT.match[kind].replace("{score}", score.toFixed(2)).replace("{threshold}", threshold.toFixed(2));
}

// Adds the event's crops, with a link to its page, where there is one.
function picture(entry, event, page) {
  const link = entry.querySelector(".crops");
  link.href = page;
  const kinds = event.deblurred_by === "none" ? ["raw"] : ["raw", "restored"];
  for (const kind of event.evidence === null ? [] : kinds) {
    const image = new Image();
    image.className = kind;
    image.alt = TEXT.crops[kind];
    image.addEventListener("error", () => image.remove());
    image.src = `${PREFIX}/evidence/${event.id}/${kind}.png`;
    link.append(image);
  }
  link.append(entry.querySelector(".who"));
}

// The state of the cameras themselves: the page may be connected while a camera is not.
async function ask(headers) {
  const signal = AbortSignal.timeout(ANSWERED_WITHIN_MS);
  const answer = await reach(`${PREFIX}/api/v1/cameras`, { headers, signal }).then(read).catch(() => null);
  if (answer) describe(answer.cameras, headers);
  else lose();
}

function describe(cameras, headers) {
  const banner = document.getElementById("lost");
  banner.hidden = true;
  lostSince = null;
  document.getElementById("empty").hidden = cameras.length > 0;
  for (const camera of cameras) {
    if (tiles.has(camera.name)) tiles.get(camera.name).describe(camera);
    else add(camera, headers);
  }
}

// The server does not respond: shown once, with the time, rather than for each camera.
function lose() {
  lostSince ??= new Date();
  const banner = document.getElementById("lost");
  const message = TEXT.lost.replace("{time}", lostSince.toLocaleTimeString([], { timeStyle: "short" }));
  if (banner.textContent !== message) banner.textContent = message;
  banner.hidden = false;
  for (const tile of tiles.values()) tile.lose();
}

// The address names the camera that is shown alone; its name leads to it, and back to all of them.
function choose() {
  const chosen = new URLSearchParams(location.hash.slice(1)).get("camera");
  const alone = tiles.has(chosen);
  for (const [name, { figure }] of tiles) {
    figure.hidden = alone && name !== chosen;
    figure.querySelector(".name").href = alone ? "#" : `#camera=${encodeURIComponent(name)}`;
  }
  const size = alone || tiles.size === 1 ? "full" : "grid";
  pictures?.resize(size);
  for (const tile of tiles.values()) tile.resize(size);
}

function add(camera, headers) {
  const figure = document.getElementById("camera").content.cloneNode(true).firstElementChild;
  figure.dataset.name = camera.name;
  figure.querySelector(".name").textContent = camera.name;
  figure.querySelector("video").setAttribute("aria-label", camera.name);
  const sending = figure.querySelector(".send");
  if (sending && camera.whip) sending.href = `${PREFIX}/send?camera=${encodeURIComponent(camera.name)}`;
  else sending?.remove();
  document.getElementById("cameras").append(figure);
  tiles.set(camera.name, new Tile(figure, camera, { prefix: PREFIX, headers, pictures, text: TEXT, tellBlocked }));
  choose();
  shown.observe(figure);
}

// Once for all cameras: they are behind the same network.
function tellBlocked(reason) {
  const banner = document.getElementById("blocked");
  banner.textContent = TEXT.blocked[reason];
  banner.hidden = false;
}

// Only visible tiles fetch: not those scrolled away or hidden, and none on a page in the background.
const shown = new IntersectionObserver((changes) => {
  for (const { target, isIntersecting } of changes) {
    target.dataset.inView = isIntersecting;
    updateVisibility(target);
  }
});

function updateVisibility(figure) {
  tiles.get(figure.dataset.name).see(figure.dataset.inView === "true" && document.visibilityState === "visible");
}

document.getElementById("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  watch(document.getElementById("token").value);
});
addEventListener("hashchange", choose);
document.addEventListener("visibilitychange", () => tiles.forEach(({ figure }) => updateVisibility(figure)));
addEventListener("pagehide", () => tiles.forEach((tile) => tile.see(false)));
addEventListener("pageshow", ({ persisted }) => persisted && tiles.forEach(({ figure }) => updateVisibility(figure)));
watch(new URLSearchParams(location.hash.slice(1)).get("token"));
