// The formulas: which are shown, which are lit, and a step that is shown one formula after the other.
"use strict";

const SECONDS_PER_FORMULA = 1.1;

/** Show the formulas of this optimizer and activation, with the penalty and the masks where they are. */
function chooseFormulas(root, settings) {
  const chosen = {
    if: (name) => settings[name] > 0,
    unless: (name) => !(settings[name] > 0),
    activation: (name) => name === settings.activation,
    optimizer: (name) => name === settings.optimizer,
  };
  for (const [kind, isShown] of Object.entries(chosen)) {
    for (const element of root.querySelectorAll(`[data-${kind}]`)) {
      element.toggleAttribute("data-off", !isShown(element.dataset[kind]));
    }
  }
}

/** Light one formula, which concerns layer `l`; or none; or, of a training that runs, all a little. */
function lightFormula(root, name, l, isRunning) {
  for (const element of root.querySelectorAll("[data-formula]")) {
    const isLit = element.dataset.formula === name;
    element.classList.toggle("pg-lit", isLit);
    element.classList.toggle("pg-running", isRunning);
    element.querySelector("b").textContent = isLit && l ? `l = ${l}` : "";
  }
}

/** The parts of a step, in their order: a formula, its layer, the layers it concerns, and what to say. */
function partsOfStep(training) {
  const { L, B, units, N, arrays } = training;
  const parts = [];
  const batch = () => {
    const values = new Float64Array(2 * B);
    for (let i = 0; i < 2 * B; i++) values[i] = arrays.X[2 * arrays.rows[i % B] + (i < B ? 0 : 1)];
    return { values, rows: 2, columns: B };
  };
  const shown = (name, rows, columns) => () => ({ values: arrays[name], rows, columns });
  const add = (formula, l, layers, text, matrix = () => null) =>
    parts.push({ formula, l, layers, text, matrix });

  add("X", 0, [0], `The batch: ${B} of the ${N} points, ringed on the plane. A[0] is 2 × ${B}.`, batch);
  for (let l = 1; l <= L; l++) {
    const [n, from, g] = [units[l], units[l - 1], l === L ? "sigmoid" : training.activation];
    const size = `${n} × ${B}`;
    const product = `(${n} × ${from}) times (${from} × ${B})`;
    add("Z", l, [l - 1, l], `Layer ${l}: ${product}. Z[${l}] is ${size}.`, shown(`Z${l}`, n, B));
    const what = l === L ? "the predictions" : "what its units answer to each point";
    add("A", l, [l], `Layer ${l}: ${g} of each number. A[${l}] is ${size}: ${what}.`, shown(`A${l}`, n, B));
  }
  const cost = () => `The cost of this batch is ${training.costOfBatch.toFixed(4)}.`;
  add("J", 0, [L], cost);
  for (let l = L; l >= 1; l--) {
    const [n, from] = [units[l], units[l - 1]];
    const error = l === L ? "how far each prediction is off" : `the errors of layer ${l + 1}, sent back`;
    add(l === L ? "Delta_L" : "Delta", l, l === L ? [l] : [l, l + 1], `Layer ${l}: ${error}. Delta[${l}] is ${n} × ${B}.`);
    const size = `${n} × ${from}, as W[${l}]`;
    add("dW", l, [l - 1, l], `Layer ${l}: dW[${l}] is ${size}; its norm is in the bars.`, shown(`dW${l}`, n, from));
    add("db", l, [l], `Layer ${l}: db[${l}] is ${n} × 1, as b[${l}].`, shown(`db${l}`, n, 1));
  }
  for (let l = 1; l <= L; l++) {
    const text = `Layer ${l}: the weights and biases move; so do the pictures.`;
    add("update", l, [l - 1, l], text, shown(`W${l}`, units[l], units[l - 1]));
  }
  return parts;
}

/** A step to be shown: `next()` does the next part and returns it, null after the last; `finish()` the rest. */
function createShownStep(training) {
  training.computeGradients();
  const parts = partsOfStep(training);
  const known = []; // the layers whose dW has been shown
  let i = 0;

  /** Do the next part: of all but the updates the numbers are there, and are shown. */
  function next() {
    if (i === parts.length) return null;
    const part = parts[i++];
    if (part.formula === "dW") known.push(part.l);
    if (part.formula === "update") training.updateLayer(part.l);
    if (i === parts.length) training.endUpdate();
    return { ...part, text: typeof part.text === "function" ? part.text() : part.text };
  }

  /** Do all that is left. */
  function finish() {
    while (next() !== null);
  }

  return { next, finish, known, rows: training.arrays.rows.slice(0, training.B) };
}
