// The curves of the cost, the sizes of the gradients, and matrices as pictures.
"use strict";

const MOST_PLACES = 600; // of a curve
const [SMALLEST, LARGEST] = [-7, 1]; // powers of ten, of the norms that are shown

/** Add a place to the curves; of long ones every second place is left out. */
function remember(history, epoch, learned, heldOut) {
  history.push({ epoch, learned, heldOut });
  if (history.length > MOST_PLACES) {
    for (let i = 1; i < history.length - 1; i++) history.splice(i, 1);
  }
}

/** The largest of 1, 2 and 5 times a power of ten that is at most x. */
function roundedDown(x) {
  const power = 10 ** Math.floor(Math.log10(x));
  return power * [5, 2, 1].find((n) => n * power <= x * 1.000001);
}

/** Draw the cost of what is learned from, and, dashed, of what is held out. */
function drawCosts(canvas, history, colors) {
  const { context, width, height } = emptyCanvas(canvas);
  const [left, right, bottom] = [30, 6, 16];
  const last = history.at(-1)?.epoch ?? 0;
  const costs = history.flatMap(({ learned, heldOut }) => [learned, heldOut]).filter(Number.isFinite);
  const most = Math.max(0.1, ...costs.filter((cost) => cost < 4));
  const [w, h] = [width - left - right, height - bottom - 6];
  const x = (epoch) => left + (w * epoch) / Math.max(last, 1);
  const y = (cost) => 6 + h * (1 - Math.min(cost, most * 1.05) / (most * 1.05));
  [context.strokeStyle, context.fillStyle, context.lineWidth] = [colors.border, colors.muted, 1];
  context.textBaseline = "middle";
  context.textAlign = "right";
  const tick = roundedDown(most / 2);
  for (let cost = 0; cost <= most * 1.05; cost += tick) {
    context.fillText(String(Number(cost.toPrecision(2))), left - 5, y(cost));
    context.beginPath();
    context.moveTo(left, y(cost));
    context.lineTo(width - right, y(cost));
    context.stroke();
  }
  context.textBaseline = "alphabetic";
  context.fillText(last ? `epoch ${Math.floor(last)}` : "epochs", width - right, height - 2);
  for (const [name, color, dashes] of [["heldOut", colors.muted, [5, 4]], ["learned", colors.ink, []]]) {
    [context.strokeStyle, context.lineWidth] = [color, 2];
    context.setLineDash(dashes);
    context.beginPath();
    for (const one of history) if (Number.isFinite(one[name])) context.lineTo(x(one.epoch), y(one[name]));
    context.stroke();
  }
  context.setLineDash([]);
}

/** Draw the norm of dW of the layers for which it is known, on a logarithmic scale; one bar may be lit. */
function drawGradients(canvas, training, known, lit, colors) {
  const { context, width, height } = emptyCanvas(canvas);
  const [left, right, bottom] = [30, 6, 16];
  const x = (power) => left + ((width - left - right) * (power - SMALLEST)) / (LARGEST - SMALLEST);
  [context.strokeStyle, context.fillStyle, context.lineWidth] = [colors.border, colors.muted, 1];
  context.textAlign = "center";
  for (let power = SMALLEST + 1; power <= LARGEST; power += 2) {
    context.beginPath();
    context.moveTo(x(power), 0);
    context.lineTo(x(power), height - bottom);
    context.stroke();
    context.fillText(power < -2 ? `1e${power}` : String(10 ** power), x(power), height - 2);
  }
  const row = (height - bottom) / training.L;
  const size = Math.min(14, 0.6 * row);
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (let l = 1; l <= training.L; l++) {
    const middle = row * (l - 0.5);
    context.fillStyle = colors.muted;
    context.fillText(`[${l}]`, left - 5, middle);
    if (!known.includes(l)) continue;
    const power = Math.log10(training.normOfGradient(l) || 10 ** SMALLEST);
    const end = x(Math.max(SMALLEST, Math.min(LARGEST, power)));
    context.fillStyle = l === lit ? colors.primary : colors.ink;
    context.fillRect(left, Math.round(middle - size / 2), Math.round(end) - left, Math.round(size));
  }
}

/** Draw a matrix with a rectangle for each number, as dark as it is large. */
function drawMatrix(canvas, matrix, colors) {
  canvas.hidden = matrix === null;
  if (matrix === null) return;
  const { values, rows, columns } = matrix;
  [canvas.width, canvas.height] = [columns, rows];
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  let largest = 1e-30;
  for (let i = 0; i < rows * columns; i++) largest = Math.max(largest, Math.abs(values[i]));
  for (let i = 0; i < pixels.length; i++) pixels[i] = shadeOf(colors.shades, values[i] / largest);
  context.putImageData(image, 0, 0);
}
