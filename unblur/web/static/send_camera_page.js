// Sends this device's camera over WHIP as the camera in the address: /send?camera=phone#token=...

import { read, reach } from "./api.js";
import { authority, PREFIX } from "./authorization.js";

const TEXT = JSON.parse(document.getElementById("texts").textContent);
const camera = new URLSearchParams(location.search).get("camera") ?? "";
const headers = authority(new URLSearchParams(location.hash.slice(1)).get("token"));
const own = document.getElementById("own");
const button = document.getElementById("send");
const state = document.getElementById("state");
let peer = null;
let session = null;

async function send() {
  if (!navigator.mediaDevices) throw new Error(TEXT.forbidden);
  own.srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: 1280, height: 720 }, audio: false });
  peer = new RTCPeerConnection();
  peer.onconnectionstatechange = () => {
    if (peer?.connectionState === "connected") state.textContent = TEXT.sending;
    else if (peer?.connectionState === "failed") stop(TEXT.lost);
  };
  peer.addTransceiver(own.srcObject.getVideoTracks()[0], { direction: "sendonly" });
  await peer.setLocalDescription(await peer.createOffer());
  const response = await reach(`${PREFIX}/${encodeURIComponent(camera)}/whip`, {
    method: "POST",
    headers: { ...headers, "Content-Type": "application/sdp" },
    body: peer.localDescription.sdp,
  });
  if (response.status !== 201) await read(response);
  session = response.headers.get("Location");
  await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
  button.textContent = TEXT.stop;
}

function stop(why) {
  own.srcObject?.getTracks().forEach((track) => track.stop());
  own.srcObject = null;
  peer?.close();
  if (session) fetch(session, { method: "DELETE", headers, keepalive: true }).catch(() => {});
  peer = session = null;
  button.textContent = TEXT.send;
  state.textContent = why;
}

button.addEventListener("click", () => {
  if (peer) stop(TEXT.stopped);
  else send().catch((error) => stop(error.message));
});
addEventListener("pagehide", () => stop(""));
button.disabled = false;
