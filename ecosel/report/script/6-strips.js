// Two interactive drawings: the strip of weights below a plane, and the parallel coordinates of all objectives.
function makeStrip(plane) {
  const bar = make("div", { class: "bar" });
  const needle = make("i", { class: "needle" });
  const label = make("p", { class: "small muted" });
  const element = make("div", { class: "strip", role: "img" }, bar, label);
  const move = (event) => {
    const box = bar.getBoundingClientRect();
    const part = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    const [a, b] = stripObjectives(plane);
    const sum = state.weights[a] + state.weights[b] || 1;
    // the two weights keep their sum, within the range of the sliders
    state.weights[a] = Math.min(Number((part * sum).toFixed(3)), SLIDER_END);
    state.weights[b] = Math.min(Number(((1 - part) * sum).toFixed(3)), SLIDER_END);
    refresh();
  };
  bar.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    bar.setPointerCapture(event.pointerId);
    bar.addEventListener("pointermove", move);
    bar.addEventListener("pointerup", () => bar.removeEventListener("pointermove", move), { once: true });
    move(event);
  });
  return { element, bar, needle, label };
}

const stripObjectives = (plane) => [plane.y, plane.x].sort((p, q) => p - q);

function drawStrip(plane) {
  const { strip, group } = plane;
  const [a, b] = stripObjectives(plane);
  const segments = plane.front.length ? segmentsOf(group, [a, b]) : [];
  strip.element.hidden = segments.length < 2;
  if (strip.element.hidden) return;
  const parts = segments.map(({ at, low, high }, n) => {
    const part = make("span", { class: n % 2 ? "odd" : "", title: `${nameOf(group, at)}: ${share(low, false)} to ${share(high, false)}`, "data-at": at });
    Object.assign(part.style, { left: `${100 * low}%`, width: `${100 * (high - low)}%` });
    if (high - low > 0.05) part.textContent = group.models.letter[at] ?? "";
    return part;
  });
  strip.bar.replaceChildren(...parts, strip.needle);
  strip.label.textContent = `Best trade-off by the weight on ${objectives[a].name}, 0 to 100 % (drag)`;
  strip.element.setAttribute("aria-label", `Best trade-off by the share of the weight on ${objectives[a].name}: ${segments.slice(0, 20).map(({ at, low, high }) =>
    `${nameOf(group, at)} from ${Math.round(100 * low)} to ${Math.round(100 * high)} %`).join("; ")}.`);
  moveNeedle(plane);
}

function moveNeedle(plane) {
  const [a, b] = stripObjectives(plane);
  const sum = state.weights[a] + state.weights[b];
  plane.strip.needle.hidden = !sum;
  plane.strip.needle.style.left = `${(100 * state.weights[a]) / (sum || 1)}%`;
  const now = new Set(plane.picks);
  for (const part of plane.strip.bar.querySelectorAll("span")) part.classList.toggle("now", now.has(Number(part.dataset.at)));
}

// ---- parallel coordinates: a line for each model, an axis for each objective, the better end on top
const SVG = "http://www.w3.org/2000/svg";
const MOST_LINES = 600, TALL = 300, TOP = 46, SIDE = 78;
const svg = (tag, attributes = {}, text = "") => {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  if (text) element.textContent = text;
  return element;
};

function heightOf(group, k, value) {
  const [low, high] = group.whole[k];
  if (!(high > low)) return TOP + TALL / 2;
  const log = objectives[k].canBeLog && !objectives[k].isQuality && high >= LOG_FROM * low;
  const part = log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  return TOP + TALL * (objectives[k].isQuality ? 1 - part : part);
}

function valueAt(group, k, height) {
  const [low, high] = group.whole[k];
  const log = objectives[k].canBeLog && !objectives[k].isQuality && high >= LOG_FROM * low;
  const up = Math.min(Math.max((height - TOP) / TALL, 0), 1);
  const part = objectives[k].isQuality ? 1 - up : up;
  return log ? low * Math.pow(high / low, part) : low + (high - low) * part;
}

const isFound = (group, at) => Object.entries(state.brushes).every(([k, [low, high]]) => {
  const value = valuesOf(group, Number(k))[at];
  return value >= low && value <= high;
}) && isSearched(group, at);

const parallels = [];
function makeParallel(group, g) {
  const holder = byId(`parallel-${g}`);
  if (objectives.length < 4 || group.models.row.length < 2) return;
  const text = make("p", { class: "small muted" }, "Each line is a model, with the better end of every objective at the top. Drag along an axis to keep only a range of it; click the axis to clear the range.");
  const clear = make("button", { type: "button", hidden: true, onclick: () => { state.brushes = {}; refresh({ filtered: true }); } }, "clear all ranges");
  const drawing = svg("svg", { role: "img" });
  const sliders = objectives.map((_, k) => rangeSliders(group, k));
  const ranges = make("details", { class: "ranges" }, make("summary", {}, "ranges without a pointer"), ...sliders.map(({ line }) => line));
  holder.append(make("h3", {}, "All objectives at once"), text, clear, drawing, ranges);
  parallels.push({ group, g, holder, clear, drawing, sliders });
}

// The range of one objective as two sliders, for the lowest and highest values to keep, in hundredths of its axis.
const heightAt = (k, part) => TOP + (TALL * (objectives[k].isQuality ? 100 - part : part)) / 100;
function rangeSliders(group, k) {
  const ends = ["lowest", "highest"].map((end, n) => make("input", { type: "range", min: "0", max: "100", value: n ? "100" : "0", "aria-label": `${end} ${objectives[k].name} to keep` }));
  const move = () => {
    const parts = ends.map((input) => Number(input.value));
    if (parts[0] <= 0 && parts[1] >= 100) delete state.brushes[k];
    else state.brushes[k] = parts.map((part) => Number(valueAt(group, k, heightAt(k, part)).toPrecision(6))).sort((a, b) => a - b);
    refresh({ filtered: true });
  };
  for (const input of ends) input.addEventListener("input", move);
  return { ends, line: make("div", {}, make("span", {}, objectives[k].title), ...ends) };
}

function updateSliders(group, k, { ends }) {
  const kept = state.brushes[k] || group.whole[k];
  ends.forEach((input, n) => {
    const value = Math.min(Math.max(kept[n], group.whole[k][0]), group.whole[k][1]);
    const part = state.brushes[k] ? (100 * (heightOf(group, k, value) - TOP)) / TALL : 0;
    input.value = String(state.brushes[k] ? Math.round(objectives[k].isQuality ? 100 - part : part) : 100 * n);
    input.setAttribute("aria-valuetext", valueText(k, value));
  });
}

function drawParallel(view) {
  const { group, drawing, holder } = view;
  const width = Math.max(300, holder.clientWidth);
  const step = (width - 2 * SIDE) / (objectives.length - 1);
  view.at = (k) => SIDE + k * step;
  drawing.setAttribute("viewBox", `0 0 ${width} ${TOP + TALL + 26}`);
  drawing.setAttribute("aria-label", `All ${objectives.length} objectives of ${group.models.row.length} models, a line for each; the table has the numbers.`);
  const front = new Set(group.front);
  const others = everyone(group).filter((at) => !front.has(at));
  const every = Math.max(1, Math.ceil(others.length / MOST_LINES));
  const shown = [...others.filter((_, n) => n % every === 0), ...group.front.slice(0, MOST_LINES)];
  view.lines = shown.map((at) => {
    const points = objectives.map((_, k) => `${view.at(k).toFixed(1)},${heightOf(group, k, valuesOf(group, k)[at]).toFixed(1)}`);
    const line = svg("polyline", { points: points.join(" "), class: front.has(at) ? "front" : "model" });
    line.addEventListener("click", () => markRow(group.models.row[at]));
    line.addEventListener("pointermove", (event) => tipAt(event, modelTip(group, at)));
    line.addEventListener("pointerleave", hideTip);
    return { at, line };
  });
  drawing.classList.toggle("crowded", front.size > 100);
  drawing.replaceChildren(...view.lines.map(({ line }) => line));
  view.axes = objectives.map((o, k) => {
    const [low, high] = group.whole[k];
    const [best, worst] = o.isQuality ? [high, low] : [low, high];
    const x = view.at(k);
    const title = svg("text", { x, y: 14, class: "title" }, fitted(o.title, step));
    const area = svg("rect", { x: x - 14, y: TOP - 6, width: 28, height: TALL + 12, class: "grip" });
    const range = svg("rect", { x: x - 7, width: 14, class: "brush", y: 0, height: 0 });
    title.append(svg("title", {}, o.column));
    drawing.append(svg("line", { x1: x, x2: x, y1: TOP, y2: TOP + TALL, class: "axis" }), title,
      svg("text", { x, y: TOP - 12, class: "end" }, valueText(k, best)), svg("text", { x, y: TOP + TALL + 18, class: "end" }, valueText(k, worst)), range, area);
    area.addEventListener("pointerdown", (event) => startBrush(view, k, event));
    return { range };
  });
  updateParallel(view);
}

// A title cut to the space between two axes.
function fitted(title, step) {
  const most = Math.max(6, Math.floor(Math.min(step, 2 * SIDE) / 8.5));
  return title.length > most ? `${title.slice(0, most - 1)}…` : title;
}

function startBrush(view, k, event) {
  if (event.button !== 0) return;
  const box = view.drawing.getBoundingClientRect();
  const height = (e) => ((e.clientY - box.top) * (TOP + TALL + 26)) / box.height;
  const from = height(event);
  const move = (e) => {
    const ends = [valueAt(view.group, k, from), valueAt(view.group, k, height(e))].sort((a, b) => a - b);
    if (Math.abs(height(e) - from) < 4) delete state.brushes[k];
    else state.brushes[k] = ends.map((v) => Number(v.toPrecision(6)));
    refresh({ filtered: true });
  };
  event.preventDefault();
  addEventListener("pointermove", move);
  addEventListener("pointerup", (e) => { removeEventListener("pointermove", move); move(e); }, { once: true });
}

function updateParallel(view) {
  const { group } = view;
  const picks = new Set(answerOf(group).picks);
  for (const { at, line } of view.lines) {
    const row = group.models.row[at];
    line.classList.toggle("out", !(isLeft(group, at) && isFound(group, at)));
    for (const [name, is] of [["pick", picks.has(at)], ["marked", state.marked === row], ["pinned", state.pins.includes(row)]]) line.classList.toggle(name, is);
  }
  for (const { at, line } of view.lines) if (picks.has(at)) view.lines.at(-1).line.after(line);
  view.axes.forEach(({ range }, k) => {
    const ends = state.brushes[k];
    const [a, b] = ends ? ends.map((v) => heightOf(group, k, Math.min(Math.max(v, group.whole[k][0]), group.whole[k][1]))) : [0, 0];
    range.setAttribute("y", String(Math.min(a, b)));
    range.setAttribute("height", String(Math.abs(a - b)));
  });
  view.sliders.forEach((pair, k) => updateSliders(group, k, pair));
  view.clear.hidden = !Object.keys(state.brushes).length;
}
