// The data sets: points of two classes in the plane, in [-REACH, REACH] each way.
"use strict";

const REACH = 2.5;
const TRAINED_ON = 400;
const HELD_OUT = 200;

// Each takes a stream of random numbers, the class 0 or 1, and the noise; it gives a point.
const DATA_SETS = {
  spiral({ uniform, normal }, y, noise) {
    const u = 0.06 + 0.94 * Math.sqrt(uniform());
    const angle = 2 * Math.PI * 1.25 * u + Math.PI * y;
    return [2.3 * u * Math.cos(angle) + noise * normal(), 2.3 * u * Math.sin(angle) + noise * normal()];
  },
  moons({ uniform, normal }, y, noise) {
    const angle = Math.PI * (uniform() + y);
    const [x1, x2] = [Math.cos(angle) + (y ? 0.5 : -0.5), Math.sin(angle) + (y ? 0.25 : -0.25)];
    return [1.4 * x1 + noise * normal(), 1.4 * x2 + noise * normal()];
  },
  flower({ uniform, normal }, y, noise) {
    const t = Math.PI * (y + uniform()) + 0.5 * noise * normal();
    const r = 2.2 * Math.sin(4 * t) + noise * normal();
    return [r * Math.sin(t), r * Math.cos(t)];
  },
  circles({ uniform, normal }, y, noise) {
    const [angle, r] = [2 * Math.PI * uniform(), (y ? 1.9 : 0.8) + noise * normal()];
    return [r * Math.cos(angle), r * Math.sin(angle)];
  },
  xor({ uniform, normal }, y, noise) {
    const [right, spread] = [uniform() < 0.5 ? 1 : -1, 0.3 + noise];
    return [1.15 * right + spread * normal(), 1.15 * (y ? -right : right) + spread * normal()];
  },
};

/** `n` points of a data set, of both classes in turn: X (n, 2) and Y (n, 1), in row-major order. */
function drawPoints(name, noise, n, random) {
  const [X, Y] = [new Float64Array(2 * n), new Float64Array(n)];
  for (let i = 0; i < n; i++) {
    Y[i] = i % 2;
    X.set(DATA_SETS[name](random, Y[i], noise), 2 * i);
  }
  return { X, Y };
}

/** The points to learn from, and those that are held out to judge by. */
function drawData(name, noise, seed) {
  return {
    learned: drawPoints(name, noise, TRAINED_ON, randomStream(seed, "points to learn from")),
    heldOut: drawPoints(name, noise, HELD_OUT, randomStream(seed, "points to judge by")),
  };
}

/** Points with one more, or, without a point, with one less. */
function changedPoints({ X, Y }, point, y) {
  if (point) return { X: Float64Array.of(...X, ...point), Y: Float64Array.of(...Y, y) };
  return { X: X.slice(0, Math.max(0, X.length - 2)), Y: Y.slice(0, Math.max(0, Y.length - 1)) };
}
