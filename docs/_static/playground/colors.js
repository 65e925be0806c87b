// Colors, by the theme of the site; and canvases as sharp as the screen.
"use strict";

const SHADES = 256;

/** A color of the site's theme or of the playground's, by its CSS variable. */
function themeColor(variable) {
  return getComputedStyle(document.getElementById("playground")).getPropertyValue(variable).trim();
}

/** The colors of the pictures: `shades` goes from blue through a pale one to orange, for -1 to 1. */
function readColors() {
  const isDark = document.documentElement.dataset.theme === "dark";
  const [low, pale, high] = isDark
    ? [[58, 146, 205], [24, 28, 34], [216, 118, 46]]
    : [[86, 166, 214], [250, 250, 250], [240, 150, 84]];
  const shades = new Uint32Array(SHADES);
  const bytes = new Uint8Array(shades.buffer);
  for (let i = 0; i < SHADES; i++) {
    const v = (2 * i) / (SHADES - 1) - 1;
    const end = v < 0 ? low : high;
    const channels = pale.map((from, c) => from + Math.abs(v) ** 0.8 * (end[c] - from));
    bytes.set([...channels, 255], 4 * i);
  }
  return {
    shades,
    ink: themeColor("--pst-color-text-base"),
    muted: themeColor("--pst-color-text-muted"),
    border: themeColor("--pst-color-border"),
    background: themeColor("--pst-color-background"),
    primary: themeColor("--pst-color-primary"),
    lit: themeColor("--pst-color-primary-bg"),
    classes: [themeColor("--pg-blue"), themeColor("--pg-orange")],
  };
}

/** The shade of a value in [-1, 1]. */
function shadeOf(shades, value) {
  return shades[Math.max(0, Math.min(SHADES - 1, Math.round((value + 1) * 0.5 * (SHADES - 1))))];
}

/** The context of an empty canvas that has the pixels of the screen, and its width and height in CSS. */
function emptyCanvas(canvas) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.textBaseline = "alphabetic";
  context.font = `12px ${getComputedStyle(canvas).fontFamily}`;
  return { context, width, height };
}
