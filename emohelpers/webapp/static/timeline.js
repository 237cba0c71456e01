// The last minute of one face: stacked shares of the emotions, with gaps where it was not seen.

import { colorOf, fit, onThemeChange, percent } from "/static/faces.js";

const SECONDS = 60;
const GAP = 1.5; // seconds between two pictures after which nothing is known
const LEFT = 46, BOTTOM = 22, TOP = 6;

export class Timeline {
  constructor(canvas, title, legend, emotions) {
    this.canvas = canvas;
    this.title = title;
    this.names = emotions.map(({ name }) => name);
    this.swatches = this.names.map((name) => {
      const item = document.createElement("li");
      const swatch = document.createElement("i");
      item.append(swatch, name);
      legend.append(item);
      return [swatch, name];
    });
    onThemeChange(() => this.repaint());
    new ResizeObserver(() => this.draw()).observe(canvas);
    this.clear();
    this.repaint();
  }

  clear() {
    this.points = [];
    this.face = null;
    this.said = -Infinity;
    this.title.textContent = "Timeline";
    this.canvas.setAttribute("aria-label", "No face yet");
  }

  // The face that was followed, as long as it is seen; then the largest.
  add(time, faces) {
    const area = ({ box }) => box[2] * box[3];
    const largest = faces.reduce((one, other) => (one && area(one) >= area(other) ? one : other), null);
    const face = faces.find((one) => one.face === this.face) ?? largest;
    this.points = this.points.filter((point) => point.time > time - SECONDS - GAP);
    this.points.push({ time, face: face?.face, shares: face?.probabilities });
    if (face && face.face !== this.face) {
      this.face = face.face;
      this.title.textContent = `Timeline of face ${face.face}`;
    }
    this.now = time;
    this.draw();
    if (time - this.said >= 5) this.say(time);
  }

  say(time) {
    this.said = time;
    const seen = this.points.filter(({ shares }) => shares);
    if (!seen.length) {
      this.canvas.setAttribute("aria-label", "No face in the last minute");
      return;
    }
    const means = this.names
      .map((name) => [seen.reduce((sum, { shares }) => sum + shares[name], 0) / seen.length, name])
      .sort(([one], [other]) => other - one)
      .filter(([share]) => share >= 0.05);
    this.canvas.setAttribute("aria-label",
      `The last minute of face ${this.face}, on average: ${means.map(([share, name]) => `${name} ${percent(share)}`).join(", ")}`);
  }

  repaint() {
    for (const [swatch, name] of this.swatches) swatch.style.setProperty("--color", colorOf(name));
    this.draw();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    const context = fit(this.canvas, width, height);
    const style = getComputedStyle(this.canvas);
    const [line, soft, card] = ["--line", "--soft", "--card"].map((name) => style.getPropertyValue(name));
    const x = (time) => LEFT + (1 - (this.now - time) / SECONDS) * (width - LEFT - 1);
    const y = (share) => TOP + (1 - share) * (height - BOTTOM - TOP);
    context.save();
    context.beginPath();
    context.rect(LEFT, 0, width - LEFT, height);
    context.clip();
    for (const run of this.runs()) this.drawRun(context, run, x, y, card);
    context.restore();
    context.strokeStyle = line;
    context.lineWidth = 1;
    context.strokeRect(LEFT - 0.5, TOP - 0.5, width - LEFT, height - BOTTOM - TOP + 1);
    context.fillStyle = soft;
    context.font = `12px ${style.fontFamily}`;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const share of [0, 0.5, 1]) context.fillText(percent(share), LEFT - 5, Math.min(Math.max(y(share), 8), height - BOTTOM - 4));
    context.textBaseline = "bottom";
    for (const [ago, align] of [[60, "left"], [30, "center"], [0, "right"]]) {
      context.textAlign = align;
      context.fillText(ago ? `${ago} s ago` : "now", LEFT + (1 - ago / SECONDS) * (width - LEFT - 1), height - 2);
    }
  }

  runs() {
    const runs = [];
    let last = null;
    for (const point of this.points) {
      if (point.shares) {
        if (last?.shares && last.face === point.face && point.time - last.time <= GAP) runs.at(-1).push(point);
        else runs.push([point]);
      }
      last = point;
    }
    return runs;
  }

  drawRun(context, run, x, y, card) {
    const points = run.length > 1 ? run : [run[0], { ...run[0], time: run[0].time + 0.2 }];
    let below = points.map(() => 0);
    for (const name of this.names) {
      const above = points.map(({ shares }, place) => Math.min(1, below[place] + shares[name]));
      context.beginPath();
      points.forEach(({ time }, place) => context.lineTo(x(time), y(above[place])));
      for (let place = points.length - 1; place >= 0; place -= 1) context.lineTo(x(points[place].time), y(below[place]));
      context.closePath();
      context.fillStyle = colorOf(name);
      context.fill();
      context.strokeStyle = card;
      context.lineWidth = 1;
      context.stroke();
      below = above;
    }
  }
}
