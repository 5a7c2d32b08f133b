import { read, reach } from "./api.js";
import { PREFIX } from "./authorization.js";

const TEXT = JSON.parse(document.getElementById("texts").textContent);
const ASK_MS = 2000;
let lostSince = null;

async function ask() {
  try {
    const report = await read(await reach(`${PREFIX}/api/v1/health`));
    lostSince = null;
    show(report);
  } catch (error) {
    if (error.status === 401) return;
    lostSince ??= new Date();
    const time = lostSince.toLocaleTimeString([], { timeStyle: "short" });
    put(document.getElementById("summary"), `${TEXT.lost.replace("{time}", time)} ${error.message}`);
  }
  setTimeout(ask, ASK_MS);
}

function show(report) {
  const concerned = new Set(report.problems.map((problem) => problem.about));
  const worries = (thing) => concerned.has(thing.name);
  fill("problems", report.problems, (problem) => [problem.what, problem.remedy], () => true);
  fill("cameras", report.cameras, vitals, worries);
  fill("stages", report.stages, (stage) => [stage.name, number(stage.p50_ms, 1), number(stage.p95_ms, 1), number(stage.dropped)]);
  fill("networks", report.networks, (network) => [network.name, network.backend, reasons(network.passed_over)]);
  fill("disk", report.disk, (space) => [TEXT.places[space.name], bytes(space.size), bytes(space.free)]);
  fill("notifications", report.notifications, delivery, worries);
  fill("peers", [...report.lost_peers].reverse(), peer, () => true);
  put(document.getElementById("version"), report.version);
  put(document.getElementById("uptime"), duration(report.uptime_s));
  put(document.getElementById("people"), number(report.people));
  put(document.getElementById("viewers"), number(report.viewers));
  put(document.getElementById("summary"), summary(report));
}

const vitals = (camera) => [
  camera.name,
  TEXT.states[camera.state],
  camera.since ? new Date(camera.since).toLocaleString() : "",
  number(camera.fps, 1),
  camera.frame_age_s === null ? "" : `${number(camera.frame_age_s, 1)} ${TEXT.units.s}`,
  number(camera.searched_fps, 1),
  camera.delay_p95_s === null ? "" : `${number(camera.delay_p95_s, 1)} ${TEXT.units.s}`,
  number(camera.samples_dropped),
  number(camera.dropped),
  number(camera.reconnects),
  camera.last_error ?? "",
];

const delivery = (each) => [each.name, number(each.told), number(each.waiting), number(each.lost), each.problem ?? ""];

const peer = (each) => [each.camera, TEXT.kinds[each.kind], new Date(each.at).toLocaleString(), each.problem];

function summary(report) {
  const problems = report.problems.map((problem) => problem.what);
  if (!report.ready) return report.status === "ok" ? TEXT.finished : TEXT.unready + report.why;
  if (report.cameras.length === 0 && problems.length === 0) return TEXT.empty;
  if (problems.length === 0) return TEXT.well;
  const count = problems.length === 1 ? TEXT.troubled.one : TEXT.troubled.many.replace("{}", problems.length);
  return count + problems.join("; ");
}

// Only what has changed is touched, so that a selection, and a screen reader's place, are kept.
function fill(id, things, cells, worries = () => false) {
  const body = document.getElementById(id);
  body.closest("section").hidden = things.length === 0;
  while (body.rows.length > things.length) body.deleteRow(-1);
  things.forEach((thing, index) => {
    const row = body.rows[index] ?? body.insertRow();
    row.dataset.worry = worries(thing);
    cells(thing).forEach((text, column) => put(row.cells[column] ?? cell(row, column), text));
  });
}

function cell(row, column) {
  const made = document.createElement(column ? "td" : "th");
  if (!column) made.scope = "row";
  row.append(made);
  return made;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const number = (value, digits = 0) =>
  value === null ? "" : value.toLocaleString(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits });

const reasons = (passedOver) => Object.entries(passedOver).map(([name, why]) => `${name}: ${why}`).join("\n");

function bytes(value) {
  const unit = value < 1 ? 0 : Math.min(Math.floor(Math.log10(value) / 3), TEXT.units.bytes.length - 1);
  return `${number(value / 1000 ** unit, unit ? 1 : 0)} ${TEXT.units.bytes[unit]}`;
}

function duration(seconds) {
  const [days, hours] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24];
  const minutes = `${Math.floor(seconds / 60) % 60} ${TEXT.units.minute}`;
  return days ? `${days} ${TEXT.units.day} ${hours} ${TEXT.units.hour}` : `${hours} ${TEXT.units.hour} ${minutes}`;
}

ask();
