// Controls: weights as shares, limits with the number of models left, presets, groups, axes, links.
const SLIDER_END = Math.max(2, 2 * Math.max(...objectives.map((o) => o.weight)));
const STOPS = 100;
const controls = byId("controls");

// The possible values of a limit, the strictest last.
const stopsOf = (k) => {
  const o = objectives[k];
  const values = new Set(groups.flatMap((group, g) => (isShown(g) ? group.front.map((at) => valuesOf(group, k)[at]) : [])));
  let sorted = [...values].sort((a, b) => (o.isQuality ? a - b : b - a));
  if (sorted.length > STOPS) sorted = Array.from({ length: STOPS }, (_, n) => sorted[Math.round((n * (sorted.length - 1)) / (STOPS - 1))]);
  if (state.limits[k] !== null && !sorted.includes(state.limits[k])) sorted = [...sorted, state.limits[k]].sort((a, b) => (o.isQuality ? a - b : b - a));
  return sorted;
};

const presets = () => [
  { name: "balanced", weights: objectives.map(() => 1) },
  ...objectives.map((o, k) => ({ name: `${o.name} first`, weights: objectives.map((_, i) => (i === k ? 2 : 0.5)) })),
];

function makeControls() {
  const rows = objectives.map((o, k) => {
    const slider = (kind, label) => make("input", { type: "range", id: `${kind}-${k}`, [`data-${kind}`]: k, min: 0, autocomplete: "off", "aria-label": label });
    const weight = slider("weight", `weight of ${o.name}`);
    Object.assign(weight, { max: SLIDER_END, step: 0.01 });
    weight.addEventListener("input", () => { state.weights[k] = Number(weight.value); refresh(); });
    const limit = slider("limit", `limit of ${o.name}`);
    limit.addEventListener("input", () => {
      state.limits[k] = Number(limit.value) ? limit.stops[Number(limit.value) - 1] : null;
      refresh({ filtered: true });
    });
    return make("div", { class: "objective" }, make("h3", { title: o.column }, o.isKnown ? o.name[0].toUpperCase() + o.name.slice(1) : o.name),
      make("div", { class: "slider" }, make("span", {}, "weight"), weight, make("output", { id: `weight-${k}-value`, for: `weight-${k}` })),
      make("div", { class: "slider" }, make("span", {}, "limit"), limit, make("output", { id: `limit-${k}-value`, for: `limit-${k}` })));
  });
  const buttons = presets().map(({ name, weights }) => make("button", { type: "button", "data-preset": name, onclick: () => { state.weights = weights.slice(); refresh(); } }, name));
  const reset = make("button", { type: "button", id: "reset", onclick: () => {
    Object.assign(state, { weights: fresh().weights, limits: fresh().limits });
    refresh({ filtered: true });
  } }, "reset");
  const form = make("div", { class: "form" }, make("h2", {}, "What matters to you"),
    objectives.length > 1 ? make("div", { class: "presets", role: "group", "aria-label": "Weights" }, ...buttons, reset) : "", ...rows,
    make("p", { id: "left", class: "small" }), makeAxes(),
    make("div", { class: "presets" },
      make("button", { type: "button", id: "link", onclick: (event) => { writeHash(); copy(event.target, location.href, "The link is on the clipboard."); } }, "copy link"),
      make("button", { type: "button", id: "as-command", onclick: (event) => copy(event.target, asCommand(), "The command is on the clipboard.") }, "copy as command")));
  controls.append(make("div", { id: "bar" }, make("p", { id: "now" }), make("button", { type: "button", id: "unfold", "aria-expanded": "false", "aria-controls": "form",
    onclick: () => byId("unfold").setAttribute("aria-expanded", String(controls.classList.toggle("open"))) }, "weights and limits")), form, make("div", { id: "marked" }));
  form.id = "form";
  if (groups.length > 1) byId("frontier").before(makeTabs());
}

function makeAxes() {
  if (objectives.length < 2) return "";
  const select = (id, label, values) => make("label", { for: id }, make("span", {}, label),
    make("select", { id, autocomplete: "off", onchange: (event) => { state[id] = event.target.value; state.zooms = {}; refresh({ drawn: true }); } },
      ...values.map(([value, text]) => make("option", { value }, text))));
  const scales = [["auto", "automatic"], ["linear", "linear"], ["log", "logarithmic"]];
  return make("details", { class: "axes" }, make("summary", {}, "axes"), select("range", "range", [["near", "near the front"], ["all", "all models"]]),
    select("scaleX", "horizontal", scales), select("scaleY", "vertical", scales), make("p", { class: "small muted" }, "Drag in a chart to zoom, double-click to go back."));
}

function makeTabs() {
  const tab = (value, text) => make("button", { type: "button", "data-group-tab": value, onclick: () => { state.group = value; refresh({ drawn: true }); } }, make("bdi", {}, text));
  const tabs = make("div", { class: "presets tabs", role: "group", "aria-label": "Groups" }, groups.length <= 4 ? tab("all", "all") : "", ...groups.map((group, g) => tab(g, group.name)));
  for (const button of document.querySelectorAll("[data-open]")) {
    button.addEventListener("click", () => { state.group = Number(button.dataset.open); refresh({ drawn: true }); byId("frontier").scrollIntoView({ block: "start" }); });
  }
  return tabs;
}

function settleControls() {
  const sum = state.weights.reduce((a, b) => a + b, 0);
  objectives.forEach((o, k) => {
    const weight = byId(`weight-${k}`);
    const part = sum ? `${Math.round((100 * state.weights[k]) / sum)} %` : "0 %";
    if (Number(weight.value) !== state.weights[k]) weight.value = String(state.weights[k]);
    weight.setAttribute("aria-valuetext", `${part} of the weight`);
    byId(`weight-${k}-value`).textContent = part;
    const limit = byId(`limit-${k}`);
    const stops = stopsOf(k);
    limit.stops = stops;
    limit.max = String(stops.length);
    limit.value = String(state.limits[k] === null ? 0 : stops.indexOf(state.limits[k]) + 1);
    const words = state.limits[k] === null ? "none" : `${o.isQuality ? "≥" : "≤"} ${valueText(k, state.limits[k])}`;
    limit.setAttribute("aria-valuetext", state.limits[k] === null ? "no limit" : `at ${o.isQuality ? "least" : "most"} ${valueText(k, state.limits[k])}; ${counted()}`);
    byId(`limit-${k}-value`).textContent = words;
  });
  for (const button of controls.querySelectorAll("[data-preset]")) {
    const { weights } = presets().find(({ name }) => name === button.dataset.preset);
    button.setAttribute("aria-pressed", String(sum > 0 && weights.every((w, k) => Math.abs(w / weights.reduce((a, b) => a + b, 0) - state.weights[k] / sum) < 1e-9)));
  }
  byId("left").textContent = hasLimits() ? `${counted()} the limits.` : "";
  for (const id of ["range", "scaleX", "scaleY"]) if (byId(id)) byId(id).value = state[id];
  for (const button of document.querySelectorAll("[data-group-tab]")) button.setAttribute("aria-pressed", String(String(state.group) === button.dataset.groupTab));
}

// The number of models left in the groups shown; for a sample, only those known for certain are counted.
function counted() {
  let [rest, all, isSample] = [0, 0, false];
  groups.forEach((group, g) => {
    if (!isShown(g)) return;
    const sampled = group.total > group.models.row.length;
    isSample ||= sampled;
    rest += sampled ? frontOf(group, page.answer).length : left(group).length;
    all += sampled ? group.front.length : group.total;
  });
  return `${grouped(String(rest))} of ${grouped(String(all))} models${isSample ? " of the front" : ""} ${rest === 1 ? "meets" : "meet"}`;
}

const quotedWord = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`);
function asCommand() {
  const words = [...page.command];
  objectives.forEach((o, k) => { if (state.weights[k] !== 1) words.push("--weight", `${o.column}=${state.weights[k]}`); });
  objectives.forEach((o, k) => { if (state.limits[k] !== null) words.push("--limit", `${o.column} ${o.isQuality ? ">=" : "<="} ${state.limits[k]}`); });
  return words.map(quotedWord).join(" ");
}

async function copy(button, text, said) {
  button.dataset.copied = text;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  const before = (button.dataset.label ??= button.textContent);
  button.textContent = "copied";
  setTimeout(() => { button.textContent = before; }, 1500);
  say(said);
}

const say = (text) => { byId("said").textContent = text; };
