// One camera on the page: its video, over WebRTC or, where that is blocked, as JPEGs over HTTP; its state; and the last
// frame, dimmed, while none arrives.

import { Viewer } from "./whep.js";

const STALLED_MS = 2000;
const BEHIND_S = 1;
const SEARCHED = 0.25;
// Share of a camera's frames below which the machine is overloaded: two of three may be skipped in any case
// (stream/tracking/detection_schedule.py).

export class Tile {
  // `pictures` is what fetches JPEGs, `tellBlocked` is given why it has to; `prefix` stands before every address.
  constructor(figure, camera, { prefix, headers, pictures, text, tellBlocked }) {
    Object.assign(this, { figure, headers, pictures, text, tellBlocked, name: camera.name, size: "grid", visible: false });
    this.url = prefix + camera.whep;
    this.video = figure.querySelector("video");
    this.canvas = figure.querySelector("canvas");
    this.viewer = null;
    this.state = this.reason = "";
    this.blocked = ""; // why WebRTC cannot pass
    this.seen = 0;
    this.watchdog = setInterval(() => this.check(), STALLED_MS / 4);
    this.describe(camera);
  }

  // Pictures are fetched only for who sees them.
  see(visible) {
    if (visible === this.visible) return;
    this.visible = visible;
    if (visible) this.open();
    else this.leave();
  }

  resize(size) {
    if (size === this.size) return;
    this.size = size;
    if (!this.visible) return;
    this.leave();
    this.open();
  }

  open() {
    if (this.camera.state === "ended") return;
    this.enter("connecting");
    if (this.blocked) this.pictures.add(this.name, (picture) => this.draw(picture));
    else this.viewer = new Viewer(this.video, `${this.url}?size=${this.size}`, this.headers, (...now) => this.enter(...now));
  }

  leave() {
    this.freeze();
    this.viewer?.close();
    this.viewer = null;
    this.pictures.remove(this.name);
    this.enter("");
  }

  close() {
    clearInterval(this.watchdog);
    this.leave();
  }

  // What the server says of the camera.
  describe(camera) {
    const ended = camera.state === "ended" && this.camera?.state !== "ended";
    this.camera = camera;
    this.lost = false;
    if (ended) this.leave();
    this.viewer?.hurry();
    this.say();
  }

  enter(state, reason = "") {
    if (state === "blocked") return this.fall(reason);
    if (state !== "live") this.freeze();
    Object.assign(this, { state, reason });
    this.canvas.hidden = state === "live" && !this.blocked;
    this.say();
  }

  fall(reason) {
    this.blocked = reason;
    this.tellBlocked(reason);
    this.viewer?.close();
    this.viewer = null;
    this.open();
  }

  // A JPEG.
  draw(picture) {
    this.copy(picture, picture.width, picture.height);
    picture.close();
    this.seen = performance.now();
    if (this.state !== "live") this.enter("live");
  }

  check() {
    if (this.blocked && this.state === "live" && performance.now() - this.seen > STALLED_MS) this.enter("stalled");
  }

  // The browser puts up black where a stream ends.
  freeze() {
    if (this.state === "live" && !this.blocked) this.copy(this.video, this.video.videoWidth, this.video.videoHeight);
    this.canvas.hidden = false;
  }

  copy(picture, width, height) {
    if (!width) return;
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.canvas.getContext("2d").drawImage(picture, 0, 0);
  }

  say() {
    const { camera, text } = this;
    if (this.lost) return this.sayLost();
    const down = camera.state in text.faults;
    const time = camera.since && new Date(camera.since).toLocaleTimeString([], { timeStyle: "short" });
    const since = time ? ` ${text.since.replace("{time}", time)}` : "";
    const error = down && camera.last_error ? ` (${camera.last_error})` : "";
    this.figure.dataset.state = camera.state === "ended" ? "ended" : this.state;
    this.put(".fault", down ? text.faults[camera.state] + since + error : this.overload());
    this.put(".state", this.reason || text.states[this.blocked && this.state === "live" ? "jpeg" : this.state] || "");
    this.figure.querySelector(".state").hidden = camera.state === "ended";
    const live = this.state === "live" && !down && camera.frame_age_s !== null;
    this.put(".rate", live ? this.describeRate() : "");
  }

  describeRate() {
    const { fps, frame_age_s: age } = this.camera;
    const rate = this.text.rate.replace("{fps}", fps.toFixed(0));
    return age > BEHIND_S ? `${rate}, ${this.text.behind.replace("{age}", age.toFixed(0))}` : rate;
  }

  // The server does not respond: its last report is out of date.
  lose() {
    this.lost = true;
    this.say();
  }

  // Pictures may still come; that they do is all that is known.
  sayLost() {
    const live = this.state === "live";
    this.figure.dataset.state = live ? "live" : "lost";
    this.put(".rate", "");
    this.put(".fault", "");
    this.put(".state", live ? this.text.states[this.blocked ? "jpeg" : "live"] : "");
  }

  overload() {
    const { searched_fps: searched, delay_p95_s: delay, samples_dropped: dropped, fps } = this.camera;
    if (searched == null || !fps || searched >= SEARCHED * fps) return "";
    const late = delay == null ? "" : this.text.late.replace("{delay}", delay.toFixed(1));
    const lost = dropped ? this.text.dropped.replace("{dropped}", dropped.toLocaleString()) : "";
    return this.text.overload.replace("{searched}", searched.toFixed(0)).replace("{fps}", fps.toFixed(0)) + late + lost;
  }

  put(name, message) {
    const element = this.figure.querySelector(name);
    if (element.textContent !== message) element.textContent = message; // else it would be read out again
  }
}
