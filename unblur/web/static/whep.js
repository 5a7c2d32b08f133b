// Watches one camera over WebRTC: a connection that is lost is made again until the viewer is closed.

const RETRY_MS = 1000;
const LONGEST_RETRY_MS = 15000;
const STALLED_MS = 2000;
const CONNECTED_WITHIN_MS = 8000;

export class Viewer {
  // `tell` is given a state, "connecting", "live", "stalled" or "reconnecting", whenever that changes; "refused" with
  // the server's words, where it has no room; and "blocked" with "ice", "dtls" or "absent", where WebRTC cannot pass.
  constructor(video, url, headers, tell) {
    Object.assign(this, { video, url, headers, tell, retry: RETRY_MS, state: "", reason: "", seen: 0, decoded: 0 });
    this.peer = null;
    this.session = null;
    this.watchdog = setInterval(() => this.check(), STALLED_MS / 4);
    this.connect();
  }

  async connect() {
    this.enter(this.state === "" ? "connecting" : "reconnecting");
    if (typeof RTCPeerConnection === "undefined") return this.enter("blocked", "absent");
    try {
      await this.join();
    } catch (error) {
      console.warn(`${this.url}: ${error.message}`);
      this.again();
    }
  }

  async join() {
    const peer = new RTCPeerConnection();
    this.peer = peer;
    this.decoded = 0;
    peer.addTransceiver("video", { direction: "recvonly" });
    peer.ontrack = ({ track, receiver }) => {
      receiver.jitterBufferTarget = 0; // what happens now, rather than what is smooth
      this.video.srcObject = new MediaStream([track]);
    };
    peer.onconnectionstatechange = () => peer === this.peer && this.follow(peer);
    await peer.setLocalDescription(await peer.createOffer());
    const response = await fetch(this.url, {
      method: "POST",
      headers: { ...this.headers, "Content-Type": "application/sdp" },
      body: peer.localDescription.sdp,
    });
    const text = await response.text();
    const session = response.status === 201 ? response.headers.get("Location").split("/").pop() : null;
    if (peer !== this.peer) return this.end(session); // closed meanwhile
    if (response.status === 503) return this.again("refused", said(text));
    if (!session) throw new Error(`${response.status} ${text}`);
    this.session = session;
    await peer.setRemoteDescription({ type: "answer", sdp: text });
    this.timer = setTimeout(() => peer === this.peer && this.fail(peer), CONNECTED_WITHIN_MS);
    this.notice(peer);
  }

  follow(peer) {
    if (peer.connectionState === "connected") clearTimeout(this.timer);
    else if (peer.connectionState === "failed") this.fail(peer);
    else if (["disconnected", "closed"].includes(peer.connectionState)) this.again();
  }

  // What was connected once is tried again; what never was, over a server that answers, does not come through.
  fail(peer) {
    if (peer.connectionState === "connected") return;
    if (this.decoded) return this.again();
    const isReached = ["connected", "completed"].includes(peer.iceConnectionState);
    this.leave();
    this.enter("blocked", isReached ? "dtls" : "ice");
  }

  again(state = "reconnecting", reason = "") {
    this.enter(state, reason);
    this.leave();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), this.retry);
    this.retry = Math.min(2 * this.retry, LONGEST_RETRY_MS);
  }

  // The server answers: there is nothing to wait for.
  hurry() {
    this.retry = RETRY_MS;
    if (!this.peer && this.state === "reconnecting") {
      clearTimeout(this.timer);
      this.connect();
    }
  }

  leave() {
    const { peer, session } = this;
    this.peer = this.session = null;
    peer?.close();
    this.end(session);
  }

  end(session) {
    if (session) fetch(`${this.url.split("?")[0]}/${session}`, { method: "DELETE", headers: this.headers, keepalive: true }).catch(() => {});
  }

  close() {
    clearInterval(this.watchdog);
    clearTimeout(this.timer);
    this.leave();
    this.state = "closed";
  }

  // Called by the browser for every picture that is shown; also for the black one that it puts up where a stream begins
  // or ends, which no decoder has made.
  notice(peer) {
    this.video.requestVideoFrameCallback(async () => {
      if (peer !== this.peer) return;
      this.notice(peer);
      if (this.state !== "live") this.decoded = await decodedOf(peer);
      if (peer !== this.peer || !this.decoded) return;
      this.seen = performance.now();
      this.retry = RETRY_MS;
      this.enter("live");
    });
  }

  check() {
    if (this.state === "live" && performance.now() - this.seen > STALLED_MS) this.enter("stalled");
  }

  enter(state, reason = "") {
    if (this.state === "closed" || (state === this.state && reason === this.reason)) return;
    Object.assign(this, { state, reason });
    this.tell(state, reason);
  }
}

async function decodedOf(peer) {
  for (const each of (await peer.getStats()).values()) {
    if (each.type === "inbound-rtp" && each.kind === "video") return each.framesDecoded ?? 0;
  }
  return 0;
}

function said(text) {
  try {
    return JSON.parse(text).error;
  } catch {
    return text.slice(0, 200); // of a proxy
  }
}
