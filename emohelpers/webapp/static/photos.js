// Photos: chosen or dropped, sent one after another, shown with what was found.

import { post } from "/static/api.js";
import { drawBoxes, FaceTables, fit, onThemeChange, words } from "/static/faces.js";

const SECONDS = 60;
const LONGEST = 1600; // of the copy that is kept for showing
const element = (id) => document.getElementById(id);

export function start({ limits }) {
  const [input, drop, status, clear, list] = ["files", "drop", "photos-status", "photos-clear", "photos"].map(element);
  const megabytes = Math.floor(limits.bytes / 2 ** 20);
  element("files-limits").textContent =
    `Up to ${limits.photos} at once, each up to ${megabytes} MB and ${limits.pixels / 1e6} megapixels.`;
  let redraws = [];
  let run = new AbortController();
  let last = Promise.resolve();

  const take = (files) => {
    const chosen = [...files].slice(0, limits.photos);
    const left = files.length - chosen.length;
    const { signal } = run;
    // One after another, also when more are chosen meanwhile.
    last = last.then(async () => {
      let faces = 0;
      for (const [place, file] of chosen.entries()) {
        if (signal.aborted) return;
        status.textContent = `Looking at photo ${place + 1} of ${chosen.length} …`;
        clear.hidden = false;
        document.querySelector("main").classList.add("photos");
        const figure = new Figure(file, list);
        const found = await figure.look(limits, signal);
        if (signal.aborted) return;
        redraws.push(() => figure.draw());
        faces += found?.length ?? 0;
        if (chosen.length === 1) status.textContent = figure.words;
      }
      if (chosen.length > 1) status.textContent = `${chosen.length} photos, ${faces} faces.`;
      if (left > 0) status.textContent += ` ${left} more were left out: choose them again.`;
    });
  };

  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = ""; // the same file may be chosen again
  });
  clear.addEventListener("click", () => {
    run.abort();
    run = new AbortController();
    list.replaceChildren();
    redraws = [];
    status.textContent = "The photos were removed.";
    clear.hidden = true;
    document.querySelector("main").classList.remove("photos");
    input.focus();
  });
  // Also beside the zone: a browser would leave the page for the photo.
  for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
  drop.addEventListener("dragover", () => drop.classList.add("over"));
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    drop.classList.remove("over");
    if (event.dataTransfer.files.length) take([...event.dataTransfer.files]);
  });
  const redraw = () => redraws.forEach((call) => call());
  new ResizeObserver(redraw).observe(list);
  onThemeChange(redraw);
}

class Figure {
  constructor(file, list) {
    this.file = file;
    this.words = "";
    this.figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    caption.textContent = file.name;
    this.note = document.createElement("p");
    this.note.textContent = "Looking …";
    this.figure.append(caption, this.note);
    list.prepend(this.figure);
  }

  // Returns the faces, or nothing where the photo was refused.
  async look(limits, signal) {
    try {
      if (this.file.size > limits.bytes) {
        throw new Error(`it has ${(this.file.size / 2 ** 20).toFixed(1)} MB, which is too much`);
      }
      const [answer, bitmap] = await Promise.all([
        post("/api/photo", this.file, { signal, seconds: SECONDS }), picture(this.file),
      ]);
      this.answer = answer;
      this.bitmap = bitmap;
    } catch (error) {
      this.words = `${this.file.name}: ${error.message}`;
      this.note.textContent = `Not looked at: ${error.message}`;
      this.note.className = "problem";
      return null;
    }
    const { faces } = this.answer;
    this.words = `${this.file.name}: ${words(faces)}`;
    this.note.textContent = "No face found. Faces are found best when seen from the front.";
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `Photo ${this.words}`);
    const tables = document.createElement("div");
    tables.className = "faces";
    this.picture = document.createElement("div");
    this.picture.className = "picture";
    this.picture.append(this.canvas);
    this.figure.classList.add("done");
    this.figure.append(this.picture, faces.length ? tables : this.note);
    if (faces.length) this.note.remove();
    this.draw();
    new FaceTables(tables).show(faces);
    return faces;
  }

  draw() {
    if (!this.canvas) return;
    const { width, height } = this.answer;
    const scale = Math.min(this.picture.clientWidth / width, (0.7 * innerHeight) / height, 3);
    this.canvas.style.width = `${Math.round(scale * width)}px`;
    this.canvas.style.height = `${Math.round(scale * height)}px`;
    const context = fit(this.canvas, scale * width, scale * height);
    if (this.bitmap) {
      context.drawImage(this.bitmap, 0, 0, scale * width, scale * height);
    } else {
      context.fillStyle = "#77808f";
      context.fillRect(0, 0, scale * width, scale * height);
    }
    drawBoxes(context, this.answer, { scale });
  }
}

// A copy for showing, turned by its EXIF data; nothing for kinds that this browser can not show.
async function picture(file) {
  try {
    const whole = await createImageBitmap(file);
    const scale = LONGEST / Math.max(whole.width, whole.height);
    if (scale >= 1) return whole;
    const small = await createImageBitmap(whole, {
      resizeWidth: Math.max(1, Math.round(scale * whole.width)),
      resizeHeight: Math.max(1, Math.round(scale * whole.height)),
      resizeQuality: "high",
    });
    whole.close();
    return small;
  } catch {
    return null;
  }
}
