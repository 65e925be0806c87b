// The training: what is drawn and in which order. All that is computed with it is in steps.js.
"use strict";

const DEFAULTS = {
  dataSet: "spiral",
  noise: 0.05,
  widths: [8, 8],
  activation: "tanh",
  optimizer: "adam",
  learningRate: 0.03,
  batchSize: 32,
  l2: 0,
  dropout: 0,
};
const RELU_FAMILY = ["relu", "leaky_relu"];

/** The sizes of a network by the names that the steps have for them: n0, n1, .... */
function namedSizes(units) {
  return Object.fromEntries(units.map((n, l) => [`n${l}`, n]));
}

/** The name that the steps have for a network with this activation and number of layers. */
function networkName(activation, L) {
  return L > 1 ? `${activation}_${L - 1}` : "0";
}

/** Weights of random numbers, by He for the relu family, by Glorot for others; biases of zeros. */
function initialParameters(units, activation, seed) {
  const random = randomStream(seed, "weights");
  const parameters = {};
  for (let l = 1; l < units.length; l++) {
    const [n, before] = [units[l], units[l - 1]];
    const isHe = l < units.length - 1 && RELU_FAMILY.includes(activation);
    const deviation = Math.sqrt(2 / (isHe ? before : before + n));
    parameters[`W${l}`] = Float64Array.from({ length: n * before }, () => deviation * random.normal());
    parameters[`b${l}`] = new Float64Array(n);
  }
  return parameters;
}

/** A gradient step on these points, which takes up to all of them: its arrays, and `step(B)`. */
function gradientsOn(points, units, activation, parameters) {
  const [N, L] = [points.Y.length, units.length - 1];
  const given = { X: points.X, Y: points.Y, ...parameters };
  for (let l = 1; l < L; l++) given[`mask${l}`] = new Float64Array(units[l] * N).fill(1);
  given.rows = Int32Array.from({ length: N }, (_, i) => i);
  const create = STEPS[`gradients_${networkName(activation, L)}`];
  return create({ ...namedSizes(units), N, B: N }, given);
}

/** A function that gives the cost and the accuracy on these points; on none, NaN. */
function judgeOf(points, units, activation, parameters) {
  const N = points?.Y.length ?? 0;
  if (N === 0) return () => ({ cost: NaN, accuracy: NaN });
  const { arrays, step } = gradientsOn(points, units, activation, parameters);
  const A = arrays[`A${units.length - 1}`];
  return () => {
    step(N);
    const right = points.Y.filter((y, i) => A[i] > 0.5 === (y === 1)).length;
    return { cost: arrays.J[0], accuracy: right / N };
  };
}

/**
 * A network in training. `settings` is read at each update, so that it may change meanwhile, except for
 * the widths and the activation. `before` may hold the parameters of a training to go on with.
 */
function createTraining(settings, data, seed, before = null) {
  const units = [2, ...settings.widths, 1];
  const { activation } = settings;
  const [L, N] = [units.length - 1, data.learned.Y.length];
  const parameters = before ?? initialParameters(units, activation, seed);
  const random = { order: randomStream(seed, "order of rows"), masks: randomStream(seed, "dropout") };
  const gradients = N > 0 ? gradientsOn(data.learned, units, activation, parameters) : null;
  const arrays = gradients?.arrays ?? parameters;
  const training = { units, L, N, activation, parameters, arrays, data, epoch: 0, updates: 0 };
  training.layers = Array.from({ length: L }, (_, l) => l + 1);
  let [optimizer, numbers, layers, t] = [null, null, [], 0];
  let [order, next, masked] = [null, 0, false];

  /** Take the optimizer that is asked for, which begins anew. */
  function takeOptimizer() {
    [optimizer, t] = [settings.optimizer, 0];
    numbers = STEPS[`numbers_${optimizer}`]({});
    const examples = new Float64Array(1);
    layers = [];
    for (let l = 1; l <= L; l++) {
      const given = { J: arrays.J, numbers: numbers.arrays.numbers, examples };
      for (const name of ["W", "b", "dW", "db"]) given[name] = arrays[`${name}${l}`];
      const sizes = { inputs: units[l - 1], units: units[l] };
      layers.push(STEPS[`update_${optimizer}`](sizes, given));
    }
  }

  /** Draw the masks of dropout for a batch: each unit is kept with the probability 1 - rate. */
  function drawMasks(B, rate) {
    if (rate === 0 && !masked) return;
    masked = rate > 0;
    for (let l = 1; l < L; l++) {
      const mask = arrays[`mask${l}`];
      if (!masked) mask.fill(1);
      const count = masked ? units[l] * B : 0;
      for (let i = 0; i < count; i++) mask[i] = random.masks.uniform() >= rate ? 1 / (1 - rate) : 0;
    }
  }

  /** The first half of an update: gather the next batch, and compute its cost and gradients. */
  training.computeGradients = () => {
    if (optimizer !== settings.optimizer) takeOptimizer();
    if (order === null || next >= N) [order, next] = [random.order.order(N), 0];
    const B = Math.min(settings.batchSize || N, N - next);
    arrays.rows.set(order.subarray(next, next + B));
    drawMasks(B, settings.dropout);
    gradients.step(B);
    [training.B, training.costOfBatch, next] = [B, arrays.J[0], next + B];
    t += 1;
    numbers.arrays.t?.fill(t);
    numbers.arrays.learning_rate.fill(settings.learningRate);
    numbers.arrays.l2.fill(settings.l2);
    numbers.step();
    layers[0].arrays.examples.fill(B); // all layers have this array
  };

  /** The other half, for one layer: its weights, its biases and what the optimizer keeps of them. */
  training.updateLayer = (l) => layers[l - 1].step();

  /** Count an update that is complete. */
  training.endUpdate = () => {
    training.updates += 1;
    if (next >= N) training.epoch += 1;
  };

  /** How many epochs have passed, the one that is not complete with the part that is. */
  training.epochsPassed = () => training.epoch + (next < N ? next / N : 0);

  /** One update of all layers. */
  training.update = () => {
    training.computeGradients();
    for (let l = 1; l <= L; l++) training.updateLayer(l);
    training.endUpdate();
  };

  /** The Euclidean norm of dW[l], as the optimizer has got it. */
  training.normOfGradient = (l) => Math.sqrt(arrays[`dW${l}`].reduce((sum, x) => sum + x * x, 0));

  training.judgeLearned = judgeOf(data.learned, units, activation, parameters);
  training.judgeHeldOut = judgeOf(data.heldOut, units, activation, parameters);
  return training;
}
