// The settings: sliders and lists of the page, and what they stand for.
"use strict";

/** An element of the page by its name. */
function part(name) {
  return document.getElementById(`pg-${name}`);
}

/** The values of a slider that has a list of them, as texts; null for one that counts. */
function valuesOf(slider) {
  return slider.dataset.values?.split(" ") ?? null;
}

/** The value of a slider or a list, as a number where it is one; "all" is 0. */
function readControl(name) {
  const control = part(name);
  const text = valuesOf(control)?.[control.valueAsNumber] ?? control.value;
  if (control.type !== "range") return text;
  return text === "all" ? 0 : Number(text);
}

/** Set a slider or a list to a value that it has. */
function setControl(name, value) {
  const control = part(name);
  const values = valuesOf(control);
  if (values) Object.assign(control, { min: 0, max: values.length - 1, step: 1 });
  control.value = values ? values.indexOf(value === 0 && !values.includes("0") ? "all" : String(value)) : value;
}

/** The settings that the page shows. */
function readSettings() {
  const depth = readControl("depth");
  return {
    dataSet: readControl("data-set"),
    noise: readControl("noise"),
    widths: [1, 2, 3, 4].slice(0, depth).map((l) => readControl(`width-${l}`)),
    activation: readControl("activation"),
    optimizer: readControl("optimizer"),
    learningRate: readControl("learning-rate"),
    batchSize: readControl("batch-size"),
    l2: readControl("l2"),
    dropout: readControl("dropout"),
    speed: readControl("speed"),
  };
}

/** Let the page show these settings. */
function showSettings(settings) {
  setControl("data-set", settings.dataSet);
  setControl("noise", settings.noise);
  setControl("depth", settings.widths.length);
  settings.widths.forEach((n, l) => setControl(`width-${l + 1}`, n));
  setControl("activation", settings.activation);
  setControl("optimizer", settings.optimizer);
  setControl("learning-rate", settings.learningRate);
  setControl("batch-size", settings.batchSize);
  setControl("l2", settings.l2);
  setControl("dropout", settings.dropout);
  setControl("speed", settings.speed);
}

/** The settings as a part of the address, such as depth=2&noise=0.1. */
function settingsAsText() {
  const controls = [...document.querySelectorAll("#playground form :is(input, select)")];
  const pairs = controls.map((control) => {
    const text = valuesOf(control)?.[control.valueAsNumber] ?? control.value;
    return [control.id.replace("pg-", ""), text];
  });
  return new URLSearchParams(pairs).toString();
}

/** Let the page show the settings of an address; what it does not offer is passed over. */
function showSettingsOf(text) {
  for (const [name, value] of new URLSearchParams(text)) {
    const control = document.querySelector(`#playground form [id="pg-${CSS.escape(name)}"]`);
    if (!control) continue;
    const [before, wanted] = [control.value, String(valuesOf(control)?.indexOf(value) ?? value)];
    control.value = wanted;
    if (control.value !== wanted) control.value = before;
  }
}

/** Write the values beside their sliders, and show only those that count. */
function describeControls(settings) {
  for (const slider of document.querySelectorAll("#playground input[type=range]")) {
    const text = valuesOf(slider)?.[slider.valueAsNumber] ?? slider.value;
    slider.parentElement.querySelector("b").textContent = text;
    slider.setAttribute("aria-valuetext", text);
  }
  const depth = settings.widths.length;
  for (const l of [1, 2, 3, 4]) part(`width-${l}`).parentElement.toggleAttribute("data-off", l > depth);
  part("noise").disabled = settings.dataSet === "own";
  part("dropout").disabled = part("activation").disabled = depth === 0;
}

/** Call a function with the kind of the setting that was changed: "data", "network" or "training". */
function onSettings(changed) {
  const kinds = { "data-set": "data", noise: "data", depth: "network", activation: "network" };
  for (const l of [1, 2, 3, 4]) kinds[`width-${l}`] = "network";
  document.querySelector("#playground form").addEventListener("input", (event) => {
    changed(kinds[event.target.id.replace("pg-", "")] ?? "training");
  });
}
