// Watches one camera: a connection that is lost is made again for as long as the page is open.

const RETRY_MS = 1000;
const LONGEST_RETRY_MS = 15000;
const STALLED_MS = 2000;

export class Viewer {
  // `told` is given "connecting", "live", "stalled" or "reconnecting" whenever that changes.
  constructor(video, url, headers, told) {
    Object.assign(this, { video, url, headers, told, retry: RETRY_MS, state: "", seen: performance.now() });
    this.watchdog = setInterval(() => this.look(), STALLED_MS / 4);
    this.notice();
    this.connect();
  }

  async connect() {
    this.tell(this.state ? "reconnecting" : "connecting");
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
    peer.addTransceiver("video", { direction: "recvonly" });
    peer.ontrack = ({ track, receiver }) => {
      receiver.jitterBufferTarget = 0; // what happens now, rather than what is smooth
      this.video.srcObject = new MediaStream([track]);
    };
    peer.onconnectionstatechange = () => {
      if (peer === this.peer && ["failed", "disconnected", "closed"].includes(peer.connectionState)) this.again();
    };
    await peer.setLocalDescription(await peer.createOffer());
    const response = await fetch(this.url, {
      method: "POST",
      headers: { ...this.headers, "Content-Type": "application/sdp" },
      body: peer.localDescription.sdp,
    });
    if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
    this.session = new URL(response.headers.get("Location"), location.href);
    await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
  }

  again() {
    this.leave();
    this.tell("reconnecting");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), this.retry);
    this.retry = Math.min(2 * this.retry, LONGEST_RETRY_MS);
  }

  leave() {
    this.peer?.close();
    this.peer = null;
    if (this.session) fetch(this.session, { method: "DELETE", headers: this.headers, keepalive: true }).catch(() => {});
    this.session = null;
  }

  close() {
    clearInterval(this.watchdog);
    clearTimeout(this.timer);
    this.leave();
  }

  // Called by the browser for every picture that is really shown.
  notice() {
    this.video.requestVideoFrameCallback(() => {
      this.seen = performance.now();
      this.retry = RETRY_MS;
      this.tell("live");
      this.notice();
    });
  }

  look() {
    if (this.state === "live" && performance.now() - this.seen > STALLED_MS) this.tell("stalled");
  }

  tell(state) {
    if (state === this.state) return;
    this.state = state;
    this.told(state);
  }
}
