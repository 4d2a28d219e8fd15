// Draw the planes of two objectives with Vega, and let a pointer mark a model or a range in them.
const planes = [];
const MOST_ERRORS = 150;

// One plane for each pair with a choice; with more than three objectives, a single plane with selectable axes.
function planesOf(group, g) {
  if (objectives.length < 2) return [];
  const reference = referenceOf(page.answer);
  const pairs = page.pairs.length ? page.pairs : objectives.map((_, k) => [reference, k]).filter(([a, b]) => a !== b);
  return (objectives.length > 3 ? pairs.slice(0, 1) : pairs).map(([y, x], n) => makePlane(group, g, n, x, y));
}

function makePlane(group, g, n, x, y) {
  const id = `panel-${g}-${n}`;
  const key = `${g}.${n}`;
  [x, y] = state.planes[key] ?? [x, y];
  const plane = { id, key, group, g, n, x, y, begun: [x, y], own: [] };
  const axis = (name, k) => make("select", { "aria-label": `${name} axis`, autocomplete: "off",
    onchange: (event) => {
      const chosen = Number(event.target.value);
      const other = name === "vertical" ? plane.x : plane.y;
      if (chosen === other) [plane.x, plane.y] = [plane.y, plane.x];
      else plane[name === "vertical" ? "y" : "x"] = chosen;
      state.planes[key] = [plane.x, plane.y];
      delete state.zooms[key];
      refresh({ drawn: true });
    } }, ...objectives.map((o, i) => make("option", { value: i, title: o.column }, o.title)));
  plane.selects = [axis("horizontal", x), axis("vertical", y)];
  plane.unzoom = make("button", { type: "button", hidden: true, onclick: () => { delete state.zooms[key]; refresh({ drawn: true }); } }, "reset zoom");
  plane.pick = make("span", { id: `${id}-pick`, class: "pick" });
  plane.note = make("span", { id: `${id}-note`, class: "note" });
  plane.chart = make("div", { class: "chart plane", id, role: "img" });
  plane.strip = makeStrip(plane);
  plane.figure = make("figure", {}, make("figcaption", {},
    make("p", { class: "axes" }, plane.selects[1], make("span", {}, "against"), plane.selects[0], plane.unzoom),
    make("p", {}, "Best of these two: ", plane.pick), make("p", {}, plane.note)), plane.chart, plane.strip.element);
  plane.chart.addEventListener("pointerdown", (event) => startZoom(plane, event));
  plane.chart.addEventListener("dblclick", () => { delete state.zooms[key]; refresh({ drawn: true }); });
  planes.push(plane);
  return plane;
}

const point = (plane, at) => ({ x: valuesOf(plane.group, plane.x)[at], y: valuesOf(plane.group, plane.y)[at], row: plane.group.models.row[at] });

function cloudRows(plane, frame) {
  const { group } = plane;
  const [fit, rest, front] = [[], [], new Set(plane.front)];
  const isDrawable = (p) => (!frame.logs[0] || p.x > 0) && (!frame.logs[1] || p.y > 0);
  // for a sample, only the models on the front are drawn; the shading shows the others
  for (const at of group.total > group.models.row.length ? group.front : everyone(group)) {
    if (front.has(at) || !isDrawable(point(plane, at))) continue;
    (isLeft(group, at) && isFound(group, at) ? fit : rest).push(point(plane, at));
  }
  const found = plane.front.filter((at) => isFound(group, at));
  const side = objectives[plane.x].isQuality ? -1 : 1; // starting from the better end, level first
  const line = plane.front.map((at) => point(plane, at)).sort((p, q) => (p.x - q.x) * side || p.y - q.y).map((p, k) => ({ ...p, k }));
  return { models: fit, dimmed: rest.concat(plane.front.filter((at) => !isFound(group, at)).map((at) => point(plane, at))),
    front: found.map((at) => point(plane, at)), line,
    errors: errorRows(plane), heat: heatRows(plane, frame), shade: shadeRows(plane, frame) };
}

function errorRows(plane) {
  const { group, front } = plane;
  if (front.length > MOST_ERRORS) return [];
  const rows = [];
  [plane.x, plane.y].forEach((k, i) => {
    const sides = group.errors[k];
    if (!sides) return;
    for (const at of front) {
      const [low, high] = [sides[0][at] ?? 0, sides[1][at] ?? 0];
      const p = point(plane, at);
      if (low || high) rows.push(i ? { x: p.x, x2: p.x, y: p.y - low, y2: p.y + high } : { x: p.x - low, x2: p.x + high, y: p.y, y2: p.y });
    }
  });
  return rows;
}

// A heat map comes as one shade per cell of the range near the front, or of the whole range.
function heatRows(plane, frame) {
  const { group, x, y } = plane;
  const turned = !group.planes[`${x}-${y}`];
  const { near, heat } = group.planes[turned ? `${y}-${x}` : `${x}-${y}`];
  if (!heat) return [];
  const isNear = state.range === "near" && !state.zooms[plane.key];
  const [a, b] = turned ? [y, x] : [x, y];
  const [ends, [columns, rows]] = [isNear ? near : [group.whole[a], group.whole[b]], page.heatCells];
  const cells = [];
  const edges = (k, [low, high], count) => Array.from({ length: count + 1 }, (_, n) =>
    objectives[k].canBeLog ? low * Math.pow(high / low, n / count) : low + ((high - low) * n) / count);
  const [along, up] = [edges(a, ends[0], columns), edges(b, ends[1], rows)];
  const inside = (low, high, [from, to]) => high > from && low < to;
  for (let n = 0; n < heat[0].length; n++) {
    const shade = parseInt(heat[isNear ? 0 : 1][n], 36);
    if (!shade) continue;
    const [i, j] = [Math.floor(n / rows), n % rows];
    const [p, q] = turned ? [[up[j], up[j + 1]], [along[i], along[i + 1]]] : [[along[i], along[i + 1]], [up[j], up[j + 1]]];
    if (inside(...p, frame.domains[0]) && inside(...q, frame.domains[1])) cells.push({ x: p[0], x2: p[1], y: q[0], y2: q[1], n: shade });
  }
  return cells;
}

function shadeRows(plane, frame) {
  const [[x0, x1], [y0, y1]] = frame.domains;
  const rows = [];
  [plane.x, plane.y].forEach((k, i) => {
    if (state.limits[k] === null) return;
    const [low, high] = i ? [y0, y1] : [x0, x1];
    const [from, to] = objectives[k].isQuality ? [low, Math.min(state.limits[k], high)] : [Math.max(state.limits[k], low), high];
    if (to > from) rows.push(i ? { x: x0, x2: x1, y: from, y2: to } : { x: from, x2: to, y: y0, y2: y1 });
  });
  return rows;
}

function markRows(plane, frame) {
  const { group } = plane;
  const [[x0, x1], [y0, y1]] = frame.domains;
  const clamp = (v, low, high) => Math.min(Math.max(v, low), high);
  const rows = [];
  const put = (role, positions) => {
    for (const at of positions) {
      const p = point(plane, at);
      rows.push({ role, row: p.row, x: clamp(p.x, x0, x1), y: clamp(p.y, y0, y1) });
    }
  };
  const at = (row) => group.models.row.indexOf(row);
  put("lowest", bestOf(group, plane.x, plane.front).slice(0, 3));
  put("highest", bestOf(group, plane.y, plane.front).slice(0, 3));
  put("pinned", state.pins.map(at).filter((k) => k >= 0));
  if (state.marked !== null) put("marked", [at(state.marked)].filter((k) => k >= 0));
  if (objectives.length > 2) put("joint", answerOf(group).picks.slice(0, 8));
  put("pick", plane.picks.slice(0, 8));
  return rows;
}

async function drawPlane(plane) {
  const { group, chart } = plane;
  settlePlane(plane);
  const frame = (plane.frame = frameOf(plane));
  const width = Math.max(220, Math.floor(plane.figure.clientWidth));
  const height = Math.round(Math.min(Math.max(width * 0.66, 220), 420, Math.max(240, innerHeight * 0.5)));
  const spec = structuredClone(page.plane);
  Object.assign(spec, { width, height, autosize: { type: "fit", contains: "padding" } });
  [["x", plane.x], ["y", plane.y]].forEach(([name, k], i) => {
    const { scale, axis } = spec.encoding[name];
    Object.assign(scale, { domain: frame.domains[i], type: frame.logs[i] ? "log" : "linear" });
    const ticks = ticksOf(frame.domains[i], frame.logs[i]);
    const title = `${objectives[k].title} ${objectives[k].isQuality ? "↑" : "↓"}`;
    Object.assign(axis, { title, labelExpr: labelOf(k, frame.domains[i]), titleLimit: i ? height - 20 : width - 60 }, ticks ? { values: ticks } : {});
  });
  const rows = cloudRows(plane, frame);
  Object.assign(rows, { marks: markRows(plane, frame), letters: letterRows(plane, frame, [width - 60, height - 60]) });
  plane.vega = await embed(chart, spec, rows, plane.vega);
  chart.setAttribute("aria-label", planeWords(plane));
  const inView = everyone(group).filter((at) => {
    const p = point(plane, at);
    return p.x >= frame.domains[0][0] && p.x <= frame.domains[0][1] && p.y >= frame.domains[1][0] && p.y <= frame.domains[1][1];
  }).length;
  const isWhole = group.total === group.models.row.length;
  plane.note.textContent = isWhole && inView < group.total ? `${grouped(String(inView))} of ${grouped(String(group.total))} models in range` : "";
  plane.unzoom.hidden = !state.zooms[plane.key];
}

// The front and the pick of the two objectives under the current weights and limits.
function settlePlane(plane) {
  const ks = [plane.y, plane.x].sort((a, b) => a - b);
  plane.front = frontOf(plane.group, ks);
  plane.picks = pickOf(plane.group, ks).picks;
  plane.own = [...plane.picks, ...[plane.x, plane.y].flatMap((k) => bestOf(plane.group, k, plane.front).slice(0, 3))];
  plane.selects.forEach((select, i) => { select.value = String(i ? plane.y : plane.x); });
  tellPick(plane.pick, plane.group, plane.picks, ks);
}

function planeWords(plane) {
  const { group, x, y } = plane;
  const says = (at) => `${nameOf(group, at)} (${phrase(y, valuesOf(group, y)[at])}, ${phrase(x, valuesOf(group, x)[at])})`;
  const picks = plane.picks.length ? `Best trade-off: ${says(plane.picks[0])}.` : "No models are left.";
  const name = group.name ? `, ${group.name}` : "";
  return `${objectives[y].name} against ${objectives[x].name}${name}: ${grouped(String(group.total))} models, ${plane.front.length} on the front. ${picks} The table has the numbers.`;
}

function updatePlane(plane, isFiltered) {
  settlePlane(plane);
  if (!plane.vega) return;
  const rows = isFiltered ? cloudRows(plane, plane.frame) : {};
  rows.marks = markRows(plane, plane.frame);
  for (const [name, values] of Object.entries(rows)) plane.vega.data(name, values);
  plane.vega.run();
  plane.chart.setAttribute("aria-label", planeWords(plane));
}

// Dragging over a plane zooms into it; touch scrolls.
function startZoom(plane, event) {
  if (event.button !== 0 || event.pointerType === "touch" || !plane.vega) return;
  const box = plane.chart.getBoundingClientRect();
  const scale = box.width / plane.vega.width() > 0 ? plane.chart.querySelector("svg").getBoundingClientRect() : box;
  const [left0, top0] = [scale.left - box.left + plane.vega.origin()[0], scale.top - box.top + plane.vega.origin()[1]];
  const size = [plane.vega.width(), plane.vega.height()];
  const inside = (e) => [Math.min(Math.max(e.clientX - box.left - left0, 0), size[0]), Math.min(Math.max(e.clientY - box.top - top0, 0), size[1])];
  const from = inside(event);
  const area = make("div", { class: "area", hidden: true });
  plane.chart.append(area);
  const move = (e) => {
    const to = inside(e);
    const [w, h] = [Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1])];
    area.hidden = w < 6 && h < 6;
    Object.assign(area.style, { left: `${left0 + Math.min(from[0], to[0])}px`, top: `${top0 + Math.min(from[1], to[1])}px`, width: `${w}px`, height: `${h}px` });
  };
  const end = (e) => {
    removeEventListener("pointermove", move);
    const to = inside(e);
    area.remove();
    if (Math.abs(to[0] - from[0]) < 6 || Math.abs(to[1] - from[1]) < 6) return;
    const [sx, sy] = [plane.vega.scale("x"), plane.vega.scale("y")];
    const [xs, ys] = [[from[0], to[0]].map((v) => sx.invert(v)).sort((a, b) => a - b), [from[1], to[1]].map((v) => sy.invert(v)).sort((a, b) => a - b)];
    state.zooms[plane.key] = [...xs, ...ys].map((v) => Number(v.toPrecision(6)));
    refresh({ drawn: true });
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", end, { once: true });
}

// Draw a specification into an element; the data bypass Vega-Lite, which would copy and hash them.
async function embed(element, spec, rows, before) {
  const words = element.getAttribute("aria-label");
  const patch = (made) => {
    for (const source of made.data) if (rows[source.name]) source.values = rows[source.name];
    return made;
  };
  const made = await window.vegaEmbed(element, spec, {
    ast: true, actions: false, renderer: "svg", config: page.config, defaultStyle: false, tooltip: showTooltip, hover: false, patch,
  });
  before?.finalize();
  made.view.addEventListener("click", (event, item) => {
    if (item && item.datum && isRow(item.datum.row)) markRow(item.datum.row);
  });
  // Vega overwrites the chart's alternative text with its own name and role
  element.removeAttribute("aria-roledescription");
  element.setAttribute("role", "img");
  if (words) element.setAttribute("aria-label", words);
  document.body.dataset.firstChartMs ??= String(performance.now());
  return made.view;
}
