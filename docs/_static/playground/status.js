// Where the training is: in numbers, and in words for those who listen to the page.
"use strict";

const ANNOUNCED = 5000; // milliseconds between two announcements

/** Write where the training is. */
function showStatus() {
  const { training, learned, heldOut } = app;
  const percent = (x) => (Number.isNaN(x) ? "–" : `${(100 * x).toFixed(1)}%`);
  part("seed").textContent = app.seed;
  part("epochs").textContent = training.epoch;
  part("updates").textContent = training.updates;
  part("cost").textContent = Number.isNaN(learned.cost) ? "–" : learned.cost.toFixed(4);
  part("accuracy").textContent = percent(learned.accuracy);
  part("held-out").textContent = percent(heldOut.accuracy);
  if (app.isRunning && performance.now() - (app.announced ?? 0) > ANNOUNCED) announceStatus();
}

/** Say something to those who listen to the page; or, if it `isSeen`, to all. */
function announce(text, isSeen = false) {
  app.announced = performance.now();
  part("live").textContent = text;
  if (isSeen) part("caption").textContent = text;
}

/** Say where the training is, and describe the pictures so. */
function announceStatus() {
  const { training, learned, settings } = app;
  if (training.N === 0) return announce("There are no points yet.");
  const text = `Epoch ${training.epoch}, cost ${learned.cost.toFixed(3)}, accuracy ${(100 * learned.accuracy).toFixed(1)}%`;
  const norms = training.layers.map((l) => training.normOfGradient(l).toPrecision(2));
  part("costs").setAttribute("aria-label", `The cost, epoch by epoch. ${text}`);
  part("gradients").setAttribute("aria-label", `The norms of dW, layer by layer: ${norms.join(", ")}`);
  part("network").setAttribute("aria-label", `The network: 2 inputs, hidden layers of ${settings.widths.join(", ") || "none"}, 1 output`);
  announce(text);
}
