import { Viewer } from "./whep.js";

const SAID = {
  connecting: "connecting …",
  live: "live",
  stalled: "no new picture",
  reconnecting: "connection lost, trying again …",
};
const viewers = [];

async function watch(token) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch("/api/v1/cameras", { headers });
  document.getElementById("ask").hidden = response.status !== 401;
  document.getElementById("refused").hidden = !(token && response.status === 401);
  if (!response.ok) return;
  for (const camera of (await response.json()).cameras) show(camera, headers);
}

function show(camera, headers) {
  const figure = document.getElementById("camera").content.cloneNode(true).firstElementChild;
  figure.querySelector(".name").textContent = camera.name;
  figure.querySelector("video").setAttribute("aria-label", camera.name);
  const state = figure.querySelector(".state");
  document.getElementById("cameras").append(figure);
  viewers.push(
    new Viewer(figure.querySelector("video"), camera.whep, headers, (now) => {
      figure.dataset.state = now;
      state.textContent = SAID[now];
    }),
  );
}

document.getElementById("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  watch(document.getElementById("token").value);
});
addEventListener("pagehide", () => viewers.forEach((viewer) => viewer.close()));
watch(new URLSearchParams(location.hash.slice(1)).get("token"));
