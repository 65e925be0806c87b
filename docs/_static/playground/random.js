// Random numbers from a small seeded generator: the same seed gives the same training, in every browser.
"use strict";

/** A stream of random numbers: one for each seed and purpose, so that no draw changes another's. */
function randomStream(seed, purpose) {
  let state = seed >>> 0;
  for (const letter of purpose) state = Math.imul(state ^ letter.charCodeAt(0), 0x9e3779b1) >>> 0;

  /** A number in [0, 1): mulberry32. */
  function uniform() {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** A number of the standard normal distribution: Box and Muller. */
  function normal() {
    return Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  }

  /** The numbers 0, ..., n - 1 in a random order: Fisher and Yates. */
  function order(n) {
    const rows = Int32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = Math.floor(uniform() * (i + 1));
      [rows[i], rows[j]] = [rows[j], rows[i]];
    }
    return rows;
  }

  return { uniform, normal, order };
}
