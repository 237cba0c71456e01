// The webcam: asked for, shown to be on, sent picture by picture, and switched off for certain.

import { post } from "/static/api.js";
import { drawBoxes, FaceTables, fit, percent, words } from "/static/faces.js";
import { Timeline } from "/static/timeline.js";

const WIDEST = 640;
const QUALITY = 0.8;
const EVERY = 125; // milliseconds between two pictures at least
const SECONDS = 10;
const SPEAK_EVERY = 4000; // milliseconds
const LONGEST_WAIT = 8000; // milliseconds, after errors in a row
const element = (id) => document.getElementById(id);
const pause = (time, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, time);
  signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
});

const PROBLEMS = {
  NotAllowedError: "The webcam was not allowed. You can allow it in your browser's settings for this page.",
  NotFoundError: "No webcam was found.",
  NotReadableError: "The webcam can not be used: perhaps another program uses it.",
  OverconstrainedError: "No webcam was found.",
};

export function start({ emotions }) {
  const webcam = new Webcam(new Timeline(
    element("timeline"), element("timeline-title"), element("legend"), emotions));
  element("webcam-start").addEventListener("click", () => webcam.start());
  element("webcam-stop").addEventListener("click", () => webcam.stop("The webcam is off."));
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) webcam.stop("The webcam was switched off because the page was hidden.");
  });
  addEventListener("pagehide", () => webcam.stop("The webcam is off."));
}

class Webcam {
  constructor(timeline) {
    this.timeline = timeline;
    this.tables = new FaceTables(element("webcam-faces"));
    this.video = element("webcam-video");
    this.frame = document.createElement("canvas");
    this.run = null; // an AbortController while the webcam is asked for or on
    this.title = document.title;
    new ResizeObserver(() => this.answer && this.draw()).observe(element("webcam-stage"));
  }

  async start() {
    if (this.run) return;
    this.say("");
    this.problem("");
    if (!navigator.mediaDevices?.getUserMedia) {
      this.problem(isSecureContext
        ? "This browser has no access to webcams."
        : "Browsers give the webcam only to pages from this computer itself (127.0.0.1) or over https.");
      return;
    }
    const run = (this.run = new AbortController());
    element("webcam-start").disabled = true;
    this.say("Waiting for your permission …");
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { width: { ideal: WIDEST }, height: { ideal: 480 }, facingMode: "user" },
      });
    } catch (error) {
      if (this.run === run) this.stop("");
      this.problem(PROBLEMS[error.name] ?? "The webcam can not be used.");
      return;
    }
    // Called off while the browser asked.
    if (run.signal.aborted) {
      stream.getTracks().forEach((track) => track.stop());
      return;
    }
    this.stream = stream;
    const [track] = stream.getVideoTracks();
    track.addEventListener("ended", () => this.run === run && this.stop("The webcam was unplugged or taken away."));
    this.mirrored = track.getSettings?.().facingMode !== "environment";
    this.show(true);
    this.video.classList.toggle("mirrored", this.mirrored);
    this.video.srcObject = stream;
    this.timeline.clear();
    this.reactions({ thumb_up: 0, thumb_side: 0, thumb_down: 0 });
    try {
      await this.video.play();
    } catch {
      // A browser that saves power plays it later; the pictures below wait for it.
    }
    await this.look(run.signal);
  }

  stop(reason) {
    if (!this.run) return;
    const focused = document.activeElement === element("webcam-stop");
    this.run.abort();
    this.run = null;
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = this.answer = null;
    this.video.srcObject = null;
    this.frame.width = this.frame.height = 1;
    this.tables.show([]);
    this.show(false);
    this.say(reason);
    if (focused) element("webcam-start").focus();
  }

  show(on) {
    const focused = document.activeElement === element("webcam-start");
    for (const id of ["webcam-sign", "webcam-stop", "webcam-stage"]) element(id).hidden = !on;
    element("webcam-start").hidden = on;
    element("webcam-start").disabled = false;
    if (on) {
      element("webcam-minute").hidden = false;
      document.querySelector("main").classList.add("webcam");
    }
    if (on && (focused || document.activeElement === document.body)) element("webcam-stop").focus();
    document.title = on ? `Camera is on – ${this.title}` : this.title;
  }

  say(text) {
    if (element("webcam-status").textContent !== text) element("webcam-status").textContent = text;
  }

  problem(text) {
    element("webcam-problem").textContent = text;
  }

  // One picture after another; the next only when the answer to the last is here.
  async look(signal) {
    const headers = { "X-Stream": uuid() };
    let failures = 0;
    this.spoken = { at: -Infinity, text: "" };
    this.say("The webcam is on. Looking for faces …");
    while (!signal.aborted) {
      const begun = performance.now();
      const picture = await this.picture();
      if (signal.aborted) return;
      let wait = EVERY;
      if (picture) {
        try {
          const answer = await post("/api/frame", picture, { headers, signal, seconds: SECONDS });
          if (signal.aborted) return;
          failures = 0;
          this.problem("");
          this.take(answer);
        } catch (error) {
          if (signal.aborted) return;
          failures += 1;
          wait = Math.min(LONGEST_WAIT, 500 * 2 ** (failures - 1));
          this.problem(`${error.message} Trying again …`);
        }
      }
      await pause(Math.max(0, begun + wait - performance.now()), signal);
    }
  }

  picture() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!width || !height) return null;
    const scale = Math.min(1, WIDEST / width);
    this.frame.width = Math.round(scale * width);
    this.frame.height = Math.round(scale * height);
    this.frame.getContext("2d").drawImage(this.video, 0, 0, this.frame.width, this.frame.height);
    return new Promise((resolve) => this.frame.toBlob(resolve, "image/jpeg", QUALITY));
  }

  take(answer) {
    this.answer = answer;
    this.draw();
    this.tables.show(answer.faces);
    this.timeline.add(performance.now() / 1000, answer.faces);
    this.reactions(answer.reactions);
    // In words only what changed, and not faster than it can be listened to.
    const now = performance.now();
    const text = words(answer.faces, false);
    if (text !== this.spoken.text && now - this.spoken.at >= SPEAK_EVERY) {
      this.spoken = { at: now, text };
      this.say(text);
      element("webcam-boxes").setAttribute("aria-label", `Webcam picture, ${text}`);
    }
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = element("webcam-stage");
    if (!width || !height) return;
    const context = fit(element("webcam-boxes"), width, height);
    // The video keeps its proportions within its box.
    const scale = Math.min(width / this.answer.width, height / this.answer.height);
    const left = (width - scale * this.answer.width) / 2;
    const top = (height - scale * this.answer.height) / 2;
    drawBoxes(context, this.answer, { scale, left, top, mirrored: this.mirrored });
  }

  reactions(shares) {
    const known = Object.values(shares).some((share) => share > 0);
    for (const [name, share] of Object.entries(shares)) {
      element(name).textContent = known ? percent(share) : "–";
    }
  }
}

// crypto.randomUUID is not there on pages without https.
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const text = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join("-");
}
