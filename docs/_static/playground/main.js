// The page: what its buttons do, and the pictures of a training that runs.
"use strict";

const GRID = { running: 64, runningLarge: 44, atRest: 100 }; // places, each way
const LARGE = 24; // units in all, from which on a network is large
const LONGEST = 10; // milliseconds of training per picture
const STILL = { milliseconds: 500, pictures: 30 }; // with reduced motion: so many pictures' training at once
const app = { isRunning: false, history: [], cursor: null, shown: null, lit: null, pictures: 0 };

/** Whether the reader has asked for less motion. */
function isStill() {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** Begin anew: with other points if `withData`, with the parameters `before` if they are given. */
function restart(withData, before = null) {
  endShownStep();
  const { settings, seed } = app;
  if (withData && settings.dataSet !== "own") app.data = drawData(settings.dataSet, settings.noise, seed);
  app.training = createTraining(settings, app.data, seed, before);
  app.views = {};
  app.history = [];
  judge();
  chooseFormulas(document.getElementById("playground"), settings);
  requestPicture();
}

/** The view of the network on a grid of this many places each way; made when it is first needed. */
function viewOf(places) {
  return (app.views[places] ??= createView(app.training, places));
}

/** How fine the pictures are. */
function resolution() {
  const count = app.training.units.reduce((sum, n) => sum + n, 0);
  return app.isRunning ? (count > LARGE ? GRID.runningLarge : GRID.running) : GRID.atRest;
}

/** Note the costs of what is learned from and of what is held out; stop where they are no numbers. */
function judge() {
  const { training } = app;
  app.learned = training.judgeLearned();
  app.heldOut = training.judgeHeldOut();
  if (training.N === 0) return;
  remember(app.history, training.epochsPassed(), app.learned.cost, app.heldOut.cost);
  if (app.isRunning && !Number.isFinite(app.learned.cost)) {
    run(false);
    announce("The cost is no number any more. Choose a smaller learning rate, and reset.", true);
  }
}

/** Train for one picture: some updates, but no longer than there is time. */
function trainForPicture() {
  const pictures = isStill() ? STILL.pictures : 1;
  const end = performance.now() + LONGEST * pictures;
  const count = app.settings.speed ? app.settings.speed * pictures : Infinity;
  for (let i = 0; i < count && performance.now() < end; i++) app.training.update();
  judge();
}

/** Draw everything once, soon. */
function requestPicture() {
  if (app.isRequested) return;
  app.isRequested = true;
  const draw = () => requestAnimationFrame(picture);
  if (app.isRunning && isStill()) setTimeout(draw, STILL.milliseconds);
  else draw();
}

/** Train, if it runs, and draw. */
function picture() {
  app.isRequested = false;
  if (app.isRunning) trainForPicture();
  const { training, shown, lit, colors } = app;
  const view = viewOf(resolution());
  const layers = lit?.layers ?? [];
  view.compute(colors.shades);
  drawPlane(part("plane"), view, app.data.learned, shown?.rows ?? [], app.cursor, colors);
  drawNetwork(part("network"), training, view, layers, colors);
  drawCosts(part("costs"), app.history, colors);
  const known = shown?.known ?? (training.updates ? training.layers : []);
  drawGradients(part("gradients"), training, known, lit?.formula === "dW" ? lit.l : 0, colors);
  drawMatrix(part("matrix"), lit?.matrix() ?? null, colors);
  showStatus();
  app.pictures += 1;
  if (app.isRunning) requestPicture();
}

/** Run, or pause. */
function run(isRunning) {
  endShownStep();
  app.isRunning = isRunning && app.training.N > 0;
  part("run").querySelector("span").textContent = app.isRunning ? "Pause" : "Run";
  part("step").disabled = part("epoch").disabled = part("show").disabled = app.isRunning;
  lightFormula(document.getElementById("playground"), null, 0, app.isRunning);
  if (!app.isRunning) announceStatus();
  requestPicture();
}

/** Make updates until `isEnough`, if there are points. */
function trainUntil(isEnough) {
  if (app.training.N === 0) return announce("Add points first.", true);
  endShownStep();
  do app.training.update();
  while (!isEnough());
  judge();
  announceStatus();
  requestPicture();
}

/** Begin to show a step; or, if one is shown, go on by hand from now on. */
function showStep() {
  if (app.training.N === 0) return announce("Add points first.", true);
  app.isByHand = app.shown !== null || isStill();
  if (app.shown === null) {
    app.shown = createShownStep(app.training);
    part("network").parentElement.scrollIntoView({ block: "nearest" });
  }
  showNextPart();
}

/** Show the next part of a step. */
function showNextPart() {
  clearTimeout(app.timer);
  app.lit = app.shown.next();
  if (app.lit === null) {
    endShownStep();
    judge();
    announceStatus();
  } else {
    part("show").querySelector("span").textContent = "Next formula";
    part("next").hidden = false;
    lightFormula(document.getElementById("playground"), app.lit.formula, app.lit.l, false);
    announce(app.lit.text, true);
    if (!app.isByHand) app.timer = setTimeout(showNextPart, 1000 * SECONDS_PER_FORMULA);
  }
  requestPicture();
}

/** Do what is left of the step that is shown, if there is one. */
function endShownStep() {
  clearTimeout(app.timer);
  app.shown?.finish();
  [app.shown, app.lit] = [null, null];
  part("show").querySelector("span").textContent = "Show the step";
  part("next").hidden = true;
  part("caption").innerHTML = "<b>Show the step</b> goes through one update, formula by formula.";
  lightFormula(document.getElementById("playground"), null, 0, app.isRunning);
}

/** Learn from the user's points, and go on with the present parameters. */
function takePoints(learned) {
  endShownStep();
  app.data = { learned, heldOut: null };
  setControl("data-set", "own");
  app.settings.dataSet = "own";
  describeControls(app.settings);
  restart(false, app.training.parameters);
  if (learned.Y.length === 0) run(false);
}

/** Put the seed and the settings into the address of the page. */
function keepInAddress() {
  window.history.replaceState(null, "", `#seed=${app.seed}&${settingsAsText()}`);
}

/** Listen to the buttons, the settings, the plane and the keys. */
function listen() {
  const pressed = (name, action) => part(name).addEventListener("click", action);
  pressed("run", () => run(!app.isRunning));
  pressed("step", () => trainUntil(() => true));
  pressed("epoch", () => {
    const { epoch } = app.training;
    trainUntil(() => app.training.epoch > epoch);
  });
  pressed("show", showStep);
  pressed("next", showStep);
  pressed("reset", () => {
    run(false);
    restart(false);
    announce("Reset, with the same seed.");
  });
  pressed("new-seed", () => {
    app.seed += 1;
    restart(true);
    keepInAddress();
    announce(`Reset, with seed ${app.seed}.`);
  });
  pressed("undo", () => takePoints(changedPoints(app.data.learned)));
  pressed("clear", () => takePoints({ X: new Float64Array(0), Y: new Float64Array(0) }));
  onSettings((kind) => {
    Object.assign(app.settings, readSettings());
    describeControls(app.settings);
    chooseFormulas(document.getElementById("playground"), app.settings);
    if (kind === "data" && app.settings.dataSet === "own") part("clear").click();
    else if (kind !== "training") restart(kind === "data");
  });
  document.querySelector("#playground form").addEventListener("change", keepInAddress);
  onPlane(part("plane"), {
    add(point, y) {
      takePoints(changedPoints(app.data.learned, point, y));
      announce(`Point ${app.data.learned.Y.length}, ${y ? "orange" : "blue"}`);
    },
    moved(cursor) {
      app.cursor = cursor;
      if (cursor) announce(cursor.map((x) => x.toFixed(2)).join(", "));
      requestPicture();
    },
  });
  onKeys();
  const repaint = () => {
    app.colors = readColors();
    requestPicture();
  };
  new MutationObserver(repaint).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  new ResizeObserver(requestPicture).observe(document.getElementById("playground"));
}

showSettings({ ...DEFAULTS, speed: 5 });
showSettingsOf(location.hash.slice(1));
app.seed = Math.abs(parseInt(new URLSearchParams(location.hash.slice(1)).get("seed"))) || 1;
app.settings = readSettings();
app.colors = readColors();
describeControls(app.settings);
restart(true);
listen();
