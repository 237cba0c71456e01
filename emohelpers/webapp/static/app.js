// Puts the page together.

import { about } from "/static/api.js";
import { prepare } from "/static/faces.js";
import * as photos from "/static/photos.js";
import * as webcam from "/static/webcam.js";

try {
  const known = await about();
  await prepare(known.emotions);
  document.getElementById("server").textContent =
    ["127.0.0.1", "localhost", "[::1]"].includes(location.hostname)
      ? "the program on this computer that serves this page" : `the computer ${location.hostname}, which serves this page,`;
  document.getElementById("about").textContent =
    `Network ${known.network}, emohelpers ${known.version}. It tells apart: ${known.emotions.map(({ name }) => name).join(", ")}.`;
  photos.start(known);
  webcam.start(known);
} catch (error) {
  console.error(error);
  const problem = document.createElement("p");
  problem.className = "problem";
  problem.setAttribute("role", "alert");
  problem.textContent = "The server can not be reached: load the page again.";
  document.querySelector("main").prepend(problem);
}
