// The network: a picture of the plane for each unit, layer by layer, and a line for each weight.
"use strict";

const TOP = 24; // pixels above the units, for the names of the layers

/** Where the units of each layer are: x, the y of each, and their size. */
function placesOf(units, width, height) {
  const column = width / units.length;
  return units.map((n, l) => {
    const room = (height - TOP) / n;
    const size = Math.min(54, 0.84 * room, 0.6 * column);
    const gap = Math.min(room, size + 14);
    const first = TOP + (height - TOP - gap * n) / 2 + gap / 2;
    return { x: column * (l + 0.5), y: Array.from({ length: n }, (_, i) => first + gap * i), size };
  });
}

/** Draw the weights between two layers: thick ones are large, orange ones positive. */
function drawWeights(context, W, from, to, colors) {
  to.y.forEach((y, i) => {
    from.y.forEach((before, j) => {
      const w = W[i * from.y.length + j];
      const [x0, x1] = [from.x + from.size / 2, to.x - to.size / 2];
      context.beginPath();
      context.moveTo(x0, before);
      context.bezierCurveTo((x0 + x1) / 2, before, (x0 + x1) / 2, y, x1, y);
      context.globalAlpha = Math.min(0.9, 0.12 + 0.3 * Math.abs(w));
      context.lineWidth = Math.min(5, 0.5 + 0.9 * Math.abs(w));
      context.strokeStyle = colors.classes[w > 0 ? 1 : 0];
      context.stroke();
    });
  });
  context.globalAlpha = 1;
}

/** Draw the name of a layer, such as A with [1] above, in the middle of its column. */
function drawName(context, letter, index, x, color) {
  const family = context.font.replace(/^\S+ /, "");
  context.fillStyle = color;
  context.textAlign = "right";
  context.font = `italic 15px ${family}`;
  context.fillText(letter, x, 16);
  context.textAlign = "left";
  context.font = `10px ${family}`;
  context.fillText(index, x + 1, 10);
  context.font = `12px ${family}`;
}

/** Draw the network; the layers whose numbers are in `lit` stand out. */
function drawNetwork(canvas, training, view, lit, colors) {
  const { context, width, height } = emptyCanvas(canvas);
  const places = placesOf(training.units, width, height);
  const column = width / places.length;
  context.fillStyle = colors.lit;
  for (const l of lit) {
    context.beginPath();
    context.roundRect(places[l].x - 0.42 * column, 0, 0.84 * column, height, 6);
    context.fill();
  }
  for (let l = 1; l < places.length; l++) {
    drawWeights(context, training.parameters[`W${l}`], places[l - 1], places[l], colors);
  }
  let unit = 0;
  places.forEach(({ x, y, size }, l) => {
    drawName(context, "A", `[${l}]`, x, lit.includes(l) ? colors.ink : colors.muted);
    for (const middle of y) {
      view.drawUnit(context, unit++, x - size / 2, middle - size / 2, size, size);
      [context.lineWidth, context.strokeStyle] = [1, lit.includes(l) ? colors.ink : colors.muted];
      context.strokeRect(x - size / 2, middle - size / 2, size, size);
    }
  });
}
