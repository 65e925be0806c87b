// The plane: what each unit computes at every place of a grid, and the picture of it with the points.
"use strict";

const PALE = 0.75; // the colors of the plane, so that the points stand out

/** The places of a grid over the plane, row by row from the top: X (resolution^2, 2). */
function gridOf(resolution) {
  const X = new Float64Array(2 * resolution ** 2);
  const at = (i) => REACH * ((2 * i) / (resolution - 1) - 1);
  for (let i = 0; i < X.length / 2; i++) {
    X[2 * i] = at(i % resolution);
    X[2 * i + 1] = -at(Math.floor(i / resolution));
  }
  return X;
}

/** How the values of a unit become values in [-1, 1]: a factor and what is added. */
function rangeOf(values, activation) {
  if (activation === "sigmoid") return [2, -1];
  if (activation === "tanh") return [1, 0];
  let largest = 1e-9;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  return [1 / largest, 0];
}

/** A view of a network: `compute(shades)` makes a picture of each unit, one below the other in `canvas`. */
function createView(training, resolution) {
  const { units, L, activation, parameters } = training;
  const [N, X] = [resolution ** 2, gridOf(resolution)];
  const create = STEPS[`predictions_${networkName(activation, L)}`];
  const { arrays, step } = create({ ...namedSizes(units), N }, { X, ...parameters });
  const canvas = document.createElement("canvas");
  const count = units.reduce((sum, n) => sum + n, 0);
  [canvas.width, canvas.height] = [resolution, resolution * count];
  const context = canvas.getContext("2d", { alpha: false });
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  const inputs = new Float64Array(2 * N).map((_, i) => X[2 * (i % N) + (i < N ? 0 : 1)]);

  /** Draw units of a layer, from the unit `first` of all on. */
  function paint(A, n, kind, first, shades) {
    for (let i = 0; i < n; i++) {
      const values = A.subarray(i * N, (i + 1) * N);
      const [factor, shift] = rangeOf(values, kind);
      const start = (first + i) * N;
      for (let p = 0; p < N; p++) pixels[start + p] = shadeOf(shades, factor * values[p] + shift);
    }
  }

  /** Compute what all units do on the grid, and draw it. */
  function compute(shades) {
    step(N);
    paint(inputs, 2, "linear", 0, shades);
    let first = 2;
    for (let l = 1; l <= L; l++) {
      paint(arrays[`A${l}`], units[l], l === L ? "sigmoid" : activation, first, shades);
      first += units[l];
    }
    context.putImageData(image, 0, 0);
  }

  /** Draw the picture of a unit, counted through all layers, into a rectangle. */
  function drawUnit(target, unit, x, y, width, height) {
    const from = [0.5, unit * resolution + 0.5, resolution - 1, resolution - 1]; // between middles of pixels
    target.imageSmoothingQuality = "high";
    target.drawImage(canvas, ...from, x, y, width, height);
  }

  return { compute, drawUnit, output: count - 1 };
}

/** A point: a disc of class 0, a square of class 1. */
function drawPoint(context, x, y, isSquare, r) {
  context.beginPath();
  if (isSquare) context.rect(x - 0.9 * r, y - 0.9 * r, 1.8 * r, 1.8 * r);
  else context.arc(x, y, r, 0, 2 * Math.PI);
}

/** Draw the prediction for each place, the points, the batch with rings, and the cursor if there is one. */
function drawPlane(canvas, view, points, batch, cursor, colors) {
  const { context, width, height } = emptyCanvas(canvas);
  context.globalAlpha = PALE;
  view.drawUnit(context, view.output, 0, 0, width, height);
  context.globalAlpha = 1;
  const place = (x1, x2) => [((x1 / REACH + 1) / 2) * width, ((1 - x2 / REACH) / 2) * height];
  const { X, Y } = points;
  const radius = Math.max(2.4, width / 125);
  context.lineWidth = 1;
  context.strokeStyle = colors.background;
  for (const y of [0, 1]) {
    context.fillStyle = colors.classes[y];
    for (let i = 0; i < Y.length; i++) {
      if (Y[i] !== y) continue;
      drawPoint(context, ...place(X[2 * i], X[2 * i + 1]), y === 1, radius);
      context.fill();
      context.stroke();
    }
  }
  [context.strokeStyle, context.lineWidth] = [colors.ink, 1.8];
  for (const i of batch) {
    drawPoint(context, ...place(X[2 * i], X[2 * i + 1]), Y[i] === 1, radius + 2);
    context.stroke();
  }
  if (cursor) {
    const [x, y] = place(...cursor);
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 4 * dx, y + 4 * dy);
      context.lineTo(x + 13 * dx, y + 13 * dy);
    }
    context.stroke();
  }
}

/** The point of the plane where a mouse or a finger is. */
function pointAt(canvas, event) {
  const box = canvas.getBoundingClientRect();
  const [u, v] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  return [REACH * (2 * u - 1), REACH * (1 - 2 * v)];
}
