// What is shown of faces: boxes in a picture, a table for each, and words.

const dark = matchMedia("(prefers-color-scheme: dark)");
const emoji = new Map();
let colors = new Map();

export async function prepare(emotions) {
  colors = new Map(emotions.map(({ name, color }) => [name, color]));
  await Promise.all([...colors.keys(), "unsure"].map(async (name) => {
    const answer = await fetch(`/emoji/${name}.svg`);
    if (!answer.ok) return; // a network of other classes
    // Some browsers draw no SVG that has no size of its own.
    const svg = (await answer.text()).replace("<svg ", '<svg width="96" height="96" ');
    const image = new Image();
    image.src = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
    await image.decode();
    emoji.set(name, image);
  }));
}

// An emotion's colour; in the dark lightened until it shows.
export function colorOf(name, onDark = dark.matches) {
  const color = colors.get(name) ?? "#888888";
  if (!onDark) return color;
  const parts = [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));
  const luma = 0.299 * parts[0] + 0.587 * parts[1] + 0.114 * parts[2];
  const share = Math.max(0, (125 - luma) / (255 - luma));
  return `rgb(${parts.map((part) => Math.round(part + share * (255 - part))).join(" ")})`;
}

export function onThemeChange(call) {
  dark.addEventListener("change", call);
}

// With a space at which no line breaks.
export const percent = (share) => `${Math.round(100 * share)}\u00a0%`;

const nameOf = (face) => (face.abstains ? "unsure" : face.emotion);

// "2 faces: face 1 happiness 93 %, face 2 unsure"
export function words(faces, shares = true) {
  if (!faces.length) return "No face found";
  const each = faces.map((face) => {
    const share = shares && !face.abstains ? ` ${percent(face.probabilities[face.emotion])}` : "";
    return `face ${face.face} ${nameOf(face)}${share}`;
  });
  return `${faces.length} ${faces.length === 1 ? "face" : "faces"}: ${each.join(", ")}`;
}

// Give a canvas as many pixels as the screen shows of it; returns its context in CSS pixels.
export function fit(canvas, width, height) {
  const ratio = Math.min(3, devicePixelRatio || 1);
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

// Draw the boxes of an answer; `place` maps the photo into the canvas: scale, left, top.
export function drawBoxes(context, answer, { scale, left = 0, top = 0, mirrored = false }) {
  const placed = answer.faces.map((face) => {
    const [x, y, width, height] = face.box;
    const start = mirrored ? answer.width - x - width : x;
    return { face, x: left + scale * start, y: top + scale * y, wide: scale * width, high: scale * height };
  });
  for (const box of placed) {
    for (const [inside, width, color] of [[-2, 1, "#000"], [0, 3, colorOf(nameOf(box.face), true)], [2, 1, "#fff"]]) {
      context.strokeStyle = color;
      context.lineWidth = width;
      context.strokeRect(box.x + inside, box.y + inside, box.wide - 2 * inside, box.high - 2 * inside);
    }
  }
  for (const box of placed) drawLabel(context, box, left, top + scale * answer.height, left + scale * answer.width);
}

function drawLabel(context, { face, x, y, wide, high }, left, bottom, right) {
  const brief = wide < 72;
  const name = nameOf(face);
  const text = brief ? `${face.face}` : `${face.face} ${name}`;
  context.font = '600 13px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif';
  context.textBaseline = "middle";
  const size = 22;
  const width = context.measureText(text).width + size + 18;
  const height = size + 6;
  // Above the box, below it where there is no room, or else in it; always in the picture.
  let at = y - height - 2;
  if (at < 0) at = y + high + 2;
  if (at + height > bottom) at = Math.min(Math.max(y, 0) + 3, bottom - height);
  const start = Math.max(left, Math.min(x - 2, right - width));
  context.fillStyle = "rgb(24 24 28 / 82%)";
  context.beginPath();
  context.roundRect(start, at, width, height, 6);
  context.fill();
  if (emoji.has(name)) context.drawImage(emoji.get(name), start + 4, at + 3, size, size);
  context.fillStyle = "#fff";
  context.fillText(text, start + size + 10, at + height / 2 + 0.5);
}

// Tables of faces, kept and changed in place while a face keeps its number.
export class FaceTables {
  constructor(container) {
    this.container = container;
    this.tables = new Map();
    onThemeChange(() => this.tables.forEach(({ rows }) => rows.forEach(paint)));
  }

  show(faces) {
    const seen = new Set(faces.map((face) => face.face));
    for (const [number, { table }] of this.tables) {
      if (seen.has(number)) continue;
      table.remove();
      this.tables.delete(number);
    }
    for (const face of [...faces].sort((one, other) => one.face - other.face)) {
      if (!this.tables.has(face.face)) {
        const made = makeTable(face);
        this.tables.set(face.face, made);
        this.container.append(made.table);
      }
      fill(this.tables.get(face.face), face);
    }
  }
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const paint = ({ bar, name }) => bar.style.setProperty("--color", colorOf(name));

function makeTable(face) {
  const image = make("img", { alt: "", width: 36, height: 36 });
  const [name, more] = [make("strong"), make("small")];
  const title = make("span", {}, `Face ${face.face}: `, name, more);
  const rows = Object.keys(face.probabilities).map((emotion) => {
    // The number beside it says the same to a screen reader.
    const bar = make("span", { class: "bar", "aria-hidden": "true" });
    const share = make("td");
    const row = make("tr", {}, make("th", { scope: "row" }, emotion), make("td", {}, bar), share);
    const made = { row, bar, share, name: emotion };
    paint(made);
    return made;
  });
  const table = make("table", { class: "face" },
    make("caption", {}, image, title), make("tbody", {}, ...rows.map(({ row }) => row)));
  return { table, image, name, more, rows };
}

function fill({ image, name, more, rows }, face) {
  const best = face.probabilities[face.emotion];
  const shown = nameOf(face);
  if (name.textContent !== shown) {
    name.textContent = shown;
    if (emoji.has(shown)) image.src = emoji.get(shown).src;
    image.hidden = !emoji.has(shown);
  }
  more.textContent = face.abstains ? `perhaps ${face.emotion}, ${percent(best)}` : `probability ${percent(best)}`;
  for (const { row, bar, share, name: emotion } of rows) {
    bar.style.setProperty("--share", Math.round(100 * face.probabilities[emotion]) / 100);
    share.textContent = percent(face.probabilities[emotion]);
    row.classList.toggle("most", emotion === face.emotion);
  }
}
