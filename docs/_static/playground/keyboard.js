// The user's points, by mouse, finger or keyboard; and the keys of the buttons.
"use strict";

const CURSOR_STEP = 0.125;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const KEYS = { r: "run", s: "step", d: "epoch", w: "show", e: "reset", n: "new-seed" };

/** The class of a point that is added: the one that is chosen, or with Shift the other. */
function chosenClass(event) {
  const y = Number(document.querySelector("#playground input[name=pg-class]:checked").value);
  return event.shiftKey ? 1 - y : y;
}

/** Move the cursor of the plane by an arrow key; it stays on the plane. */
function movedCursor(cursor, arrow) {
  const kept = (x) => Math.max(-REACH, Math.min(REACH, x));
  return cursor.map((x, i) => kept(x + CURSOR_STEP * arrow[i]));
}

/** Listen to the plane: `add(point, y)` is called with a new point, `moved(cursor)` with its cursor or null. */
function onPlane(canvas, { add, moved }) {
  let cursor = [0, 0];
  canvas.addEventListener("click", (event) => add(pointAt(canvas, event), chosenClass(event)));
  canvas.addEventListener("focus", () => moved(canvas.matches(":focus-visible") ? cursor : null));
  canvas.addEventListener("blur", () => moved(null));
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key in ARROWS) {
      cursor = movedCursor(cursor, ARROWS[event.key]);
      moved(cursor);
    } else if (event.key === "Enter" || event.key === " ") add(cursor, chosenClass(event));
    else return;
    event.preventDefault();
  });
}

/** Press the buttons by their keys, except where something is written or chosen. */
function onKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.closest("select, textarea, dialog, input:not([type=range], [type=radio])")) return;
    const name = KEYS[event.key.toLowerCase()];
    if (name === undefined || (event.repeat && name !== "step")) return;
    part(name).click();
    event.preventDefault();
  });
}
