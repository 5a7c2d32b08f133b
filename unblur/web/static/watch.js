import { authority, enter } from "./authority.js";
import { listen } from "./events.js";
import { Viewer } from "./whep.js";

const TEXT = JSON.parse(document.getElementById("texts").textContent);
const MOST_EVENTS = 30;
const ASK_MS = 2000;
const viewers = [];

async function watch(token) {
  const headers = authority(token);
  const response = await fetch("/api/v1/cameras", { headers });
  enter(response);
  document.getElementById("ask").hidden = response.status !== 401;
  document.getElementById("refused").hidden = !(token && response.status === 401);
  if (!response.ok) return;
  const { cameras } = await response.json();
  document.getElementById("empty").hidden = cameras.length > 0;
  for (const camera of cameras) show(camera, headers);
  choose();
  setInterval(() => ask(headers), ASK_MS);
  listen("/api/v1/events/stream", headers, note);
}

function note(event) {
  const entry = document.getElementById("event").content.cloneNode(true).firstElementChild;
  const put = (name, text) => (entry.querySelector(`.${name}`).textContent = text);
  const when = event.wall_time ? new Date(event.wall_time).toLocaleTimeString() : `${event.pts_s.toFixed(1)} s`;
  entry.dataset.known = event.name !== null;
  put("when", when);
  put("who", event.name ?? TEXT.unknown);
  put("what", `${TEXT.events[event.type]}, ${event.camera}`);
  put("score", `${event.score.toFixed(2)} of ${event.threshold.toFixed(2)}`);
  put("restored", event.deblurred_by === "none" ? "" : TEXT.restored);
  put("withheld", event.name === null && event.score >= event.threshold ? TEXT.withheld : "");
  const list = document.getElementById("events");
  if (list.dataset.page) picture(entry, event, `${list.dataset.page}/${event.id}`);
  list.prepend(entry);
  while (list.childElementCount > MOST_EVENTS) list.lastElementChild.remove();
  list.closest("section").hidden = false;
}

// What the event was told by, where there is a page that says more of it.
function picture(entry, event, page) {
  const link = entry.querySelector(".crops");
  link.href = page;
  const kinds = event.deblurred_by === "none" ? ["raw"] : ["raw", "restored"];
  for (const kind of event.evidence === null ? [] : kinds) {
    const image = new Image();
    image.className = kind;
    image.alt = TEXT.crops[kind];
    image.addEventListener("error", () => image.remove());
    image.src = `/evidence/${event.id}/${kind}.png`;
    link.append(image);
  }
  link.append(entry.querySelector(".who"));
}

// How the cameras themselves are: the page may well be connected to one that is not.
async function ask(headers) {
  const response = await fetch("/api/v1/cameras", { headers }).catch(() => null);
  enter(response);
  if (!response?.ok) return;
  for (const camera of (await response.json()).cameras) {
    const down = camera.state in TEXT.faults;
    const figure = document.querySelector(`.camera[data-name="${CSS.escape(camera.name)}"]`);
    const since = camera.since ? ` ${new Date(camera.since).toLocaleTimeString()}` : "";
    const said = down ? TEXT.faults[camera.state] + since : "";
    const fault = figure.querySelector(".fault");
    if (fault.textContent !== said) fault.textContent = said; // else it would be read out again
    figure.querySelector(".state").hidden = camera.state === "ended"; // nothing is wrong with a picture that stays
    figure.querySelector(".rate").textContent = down || camera.frame_age_s === null ? "" : rate(camera);
  }
}

function rate(camera) {
  return TEXT.rate.replace("{fps}", camera.fps.toFixed(0)).replace("{age}", camera.frame_age_s.toFixed(1));
}

// The address names the camera that is shown alone; its name leads to it, and back to all of them.
function choose() {
  const chosen = new URLSearchParams(location.hash.slice(1)).get("camera");
  const figures = [...document.querySelectorAll(".camera")];
  const alone = figures.some((figure) => figure.dataset.name === chosen);
  for (const figure of figures) {
    const { name } = figure.dataset;
    figure.hidden = alone && name !== chosen;
    figure.querySelector(".name").href = alone ? "#" : `#camera=${encodeURIComponent(name)}`;
  }
}

function show(camera, headers) {
  const figure = document.getElementById("camera").content.cloneNode(true).firstElementChild;
  figure.dataset.name = camera.name;
  figure.querySelector(".name").textContent = camera.name;
  figure.querySelector("video").setAttribute("aria-label", camera.name);
  const state = figure.querySelector(".state");
  document.getElementById("cameras").append(figure);
  viewers.push(
    new Viewer(figure.querySelector("video"), camera.whep, headers, (now) => {
      figure.dataset.state = now;
      state.textContent = TEXT.states[now];
    }),
  );
}

document.getElementById("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  watch(document.getElementById("token").value);
});
addEventListener("hashchange", choose);
addEventListener("pagehide", () => viewers.forEach((viewer) => viewer.close()));
watch(new URLSearchParams(location.hash.slice(1)).get("token"));
