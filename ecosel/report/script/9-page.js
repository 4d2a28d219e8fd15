// Keep all text and drawings in step with the state.
const others = []; // charts that do not depend on the weights

function tellPick(place, group, picks, ks) {
  place.dataset.rows = picks.map((at) => group.models.row[at]).join(" ");
  if (!picks.length) return place.replaceChildren(left(group).length ? "none: some weight must be above 0" : "no model meets the limits");
  const numbers = ks.map((k) => phrase(k, valuesOf(group, k)[picks[0]])).join(", ");
  return place.replaceChildren(...called(group, picks[0]), tied(picks), numbers ? make("span", { class: "muted" }, ` ${numbers}`) : "");
}
const tied = (picks) => (picks.length > 1 ? ` (and ${picks.length - 1} more that tie)` : "");

function tellAnswer(group, g) {
  const box = byId(`answer-${g}`);
  const { picks } = answerOf(group);
  const place = byId(`joint-${g}-pick`);
  place.dataset.rows = picks.map((at) => group.models.row[at]).join(" ");
  const tag = place.previousElementSibling;
  const [at] = picks;
  if (tag?.classList.contains("tag")) tag.remove();
  const reference = referenceOf(page.answer);
  const best = picks.length ? bestOf(group, reference, frontOf(group, page.answer))[0] : null;
  const none = left(group).length ? "none: some weight must be above 0" : "none: no model meets the limits";
  place.replaceChildren(...(picks.length ? [...called(group, at), tied(picks)] : [none]));
  const numbers = box.querySelectorAll(".number b, .value b");
  const ratios = box.querySelectorAll(".number .ratio");
  page.answer.forEach((k, i) => {
    const value = valuesOf(group, k)[at];
    numbers[i].textContent = picks.length ? valueText(k, value) : "–";
    if (ratios[i]) ratios[i].textContent = picks.length ? difference(k, value, valuesOf(group, k)[best]) : "";
  });
  const within = groups.length > 1 ? document.querySelector(`section.group[data-group="${g}"]`) : box;
  within.querySelector(".trade").textContent = picks.length ? gain(group, page.answer, at) : "";
  within.querySelector(".sure").textContent = picks.length ? [certainty(group, picks), bounds(group, picks)].filter(Boolean).join(" ") : "";
  const wins = box.querySelector(".wins");
  if (wins) wins.textContent = picks.length ? winsText(group, picks) : "";
}

function winsText(group, picks) {
  const { shares, error } = sharesOf(group);
  const rival = rivalOf(shares, picks);
  const own = share(shares.get(picks[0]) ?? 0, error > 0);
  return rival ? `${own}; ${nameOf(group, rival[0])} ${share(rival[1], error > 0)}` : own;
}

function tellPairs(group, g) {
  page.pairs.forEach((ks, n) => {
    const place = byId(`pair-${g}-${n}-pick`);
    if (!place) return;
    const { picks } = pickOf(group, ks);
    const line = place.closest("tr");
    tellPick(place, group, picks, []);
    line.querySelectorAll(".value b").forEach((part, i) => { part.textContent = picks.length ? valueText(ks[i], valuesOf(group, ks[i])[picks[0]]) : "–"; });
    line.querySelector(".trade").textContent = picks.length ? gain(group, ks, picks[0]) : "";
  });
}

function tellShares(group, g) {
  const table = byId(`shares-${g}`);
  if (!table) return;
  const { shares, error } = sharesOf(group);
  const [pick] = answerOf(group).picks;
  const found = new Set([...shares].filter(([, part]) => part > 0).sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, 8).map(([at]) => at));
  if (pick !== undefined) found.add(pick);
  const measured = Boolean(group.resamples);
  table.tBodies[0].replaceChildren(...[...found].map((at) => {
    const part = shares.get(at) ?? 0;
    const probabilities = isLimited(group) ? ["", ""] : (group.again[at] ?? [0, 0]).map((p) => share(p, true));
    if (!isAsBegun()) probabilities[1] = "";
    return make("tr", { class: at === pick ? "now" : "" }, make("td", { class: "name" }, ...called(group, at)),
      make("td", {}, make("progress", { max: Math.max(...shares.values(), 0.0001), value: part, "aria-hidden": "true" }), " ", make("span", {}, share(part, error > 0))),
      ...(measured ? probabilities.map((text) => make("td", { class: "number" }, text)) : []));
  }));
}

let announcing = 0;
function announce() {
  clearTimeout(announcing);
  const shown = groups.filter((_, g) => isShown(g));
  const words = shown.map((group) => {
    const [at] = answerOf(group).picks;
    const name = group.name ? `${group.name}: ` : "";
    return at === undefined ? `${name}no model` : `${name}${nameOf(group, at)}, ${page.answer.map((k) => phrase(k, valuesOf(group, k)[at])).join(", ")}`;
  }).join("; ");
  byId("now").replaceChildren(make("bdi", {}, words));
  announcing = setTimeout(() => say(words), 400);
}

function markRow(row) {
  state.marked = state.marked === row ? null : row;
  refresh({ marked: true });
}

function tellMarked() {
  const box = byId("marked");
  box.replaceChildren();
  const group = groups.find((one) => one.models.row.includes(state.marked));
  if (!group) return;
  const at = group.models.row.indexOf(state.marked);
  const [pick] = answerOf(group).picks;
  const isPinned = state.pins.includes(state.marked);
  box.append(make("h2", {}, "Marked: ", ...called(group, at)), factsOf(group, at),
    pick === undefined || pick === at ? "" : make("p", {}, `Against ${nameOf(group, pick)}: ${trade(group, page.answer, at, pick, referenceOf(page.answer)) || "no difference"}.`),
    make("div", { class: "presets" }, make("button", { type: "button", onclick: () => pin(state.marked) }, isPinned ? "unpin" : "pin"),
      make("button", { type: "button", onclick: () => markRow(state.marked) }, "unmark")),
    make("details", {}, make("summary", {}, "everything in the archive"), wholeRow(group, at)));
}

const term = (name, text) => [make("dt", {}, make("bdi", {}, name)), make("dd", {}, make("bdi", {}, String(text)))];
const factsOf = (group, at) => make("dl", {}, ...objectives.flatMap((o, k) => term(o.name, valueText(k, valuesOf(group, k)[at]) + interval(group, k, at))));
function wholeRow(group, at) {
  const cells = page.columns.flatMap((name, c) => (group.cells[c][at] === null || group.cells[c][at] === "" ? [] : term(name, group.cells[c][at])));
  const rest = page.columnsLeftOut ? [make("dt"), make("dd", {}, `the archive has ${page.columnsLeftOut} more columns`)] : [];
  return make("dl", {}, ...term("row", group.models.row[at]), ...cells, ...rest);
}

const modelTip = (group, at) => make("div", {}, make("b", {}, ...called(group, at)), factsOf(group, at), make("span", { class: "muted" }, "click to mark it"));
function tipAt(event, content) {
  const tip = byId("tip");
  tip.replaceChildren(content);
  tip.hidden = false;
  const [width, height] = [tip.offsetWidth, tip.offsetHeight];
  const right = event.clientX + 14 + width > innerWidth ? event.clientX - width - 14 : event.clientX + 14;
  Object.assign(tip.style, { left: `${Math.max(4, right)}px`, top: `${Math.max(4, Math.min(event.clientY + 14, innerHeight - height - 4))}px` });
}
const hideTip = () => { byId("tip").hidden = true; };

function showTooltip(handler, event, item, value) {
  const row = item?.datum?.row;
  const group = groups.find((one) => one.models.row.includes(row));
  if (group && item.datum.low === undefined) tipAt(event, modelTip(group, group.models.row.indexOf(row)));
  else if (value && item && typeof value === "object") tipAt(event, make("dl", {}, ...Object.entries(value).flatMap(([name, text]) => term(name, text))));
  else hideTip();
}

// What to update: all of a chart (drawn), its models (filtered), the table (listed), or only the pick.
const wanted = { drawn: false, filtered: false, listed: false, marked: false };
let waiting = false;
function refresh(parts = {}) {
  for (const name of Object.keys(wanted)) wanted[name] ||= Boolean(parts[name]);
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    const { drawn, filtered, listed: isListed, marked } = wanted;
    Object.assign(wanted, { drawn: false, filtered: false, listed: false, marked: false });
    update({ drawn, filtered, isListed, marked });
  });
}

let saving = 0;
function update({ drawn, filtered, isListed, marked }) {
  document.body.dataset.begun = isAsBegun() && !hasLimits() ? "yes" : "no";
  settleControls();
  groups.forEach((group, g) => { tellAnswer(group, g); if (isShown(g)) { tellPairs(group, g); tellShares(group, g); } });
  for (const element of document.querySelectorAll("[data-group]")) element.hidden = !isShown(Number(element.dataset.group));
  if (drawn) redraw();
  else for (const plane of planes) if (isShown(plane.g)) { updatePlane(plane, filtered || isListed); filtered ? drawStrip(plane) : moveNeedle(plane); }
  for (const view of parallels) if (isShown(view.g)) { if (drawn || !view.lines) drawParallel(view); else updateParallel(view); }
  settleTools();
  tellMarked();
  if (drawn || filtered || isListed) drawTable();
  else markLines();
  announce();
  clearTimeout(saving);
  saving = setTimeout(writeHash, 150);
}

function markLines() {
  const roles = groups.map((group, g) => (isShown(g) ? rolesOf(group) : new Map()));
  for (const line of byId("models").tBodies[0].rows) {
    const row = Number(line.dataset.row);
    const group = groups[Number(line.dataset.ofGroup)];
    line.classList.toggle("marked", state.marked === row);
    line.classList.toggle("now", answerOf(group).picks.some((at) => group.models.row[at] === row));
    line.querySelector(".roles").replaceChildren(...rolesIn(roles[Number(line.dataset.ofGroup)], group.models.row.indexOf(row)));
    line.querySelector("[data-mark]")?.setAttribute("aria-pressed", String(state.marked === row));
  }
}

let drawing = Promise.resolve();
function redraw() {
  delete document.body.dataset.ready;
  document.body.dataset.width = String(innerWidth);
  drawing = drawing.then(async () => {
    for (const plane of planes) if (isShown(plane.g)) { await drawPlane(plane); drawStrip(plane); }
    for (const view of others) {
      const element = byId(view.id);
      if (!view.vega && !element.closest("[hidden]")) view.vega = await embed(element, structuredClone(page.views.specs[view.spec]), recordsOf(view.data), null);
    }
    document.body.dataset.readyMs ??= String(performance.now());
    document.body.dataset.ready = "yes";
  });
}

const recordsOf = (data) => Object.fromEntries(Object.entries(data).map(([name, columns]) => {
  const keys = Object.keys(columns);
  return [name, (columns[keys[0]] ?? []).map((_, n) => Object.fromEntries(keys.map((key) => [key, columns[key][n]])))];
}));

// A page that is rewritten repeatedly reloads itself, unless somebody is using it, and shows its age.
function live() {
  const written = Number(document.body.dataset.written);
  if (!written) return;
  const idle = { since: performance.now() };
  for (const name of ["pointerdown", "pointermove", "keydown", "wheel"]) addEventListener(name, () => { idle.since = performance.now(); }, { passive: true });
  const tick = () => {
    const seconds = Math.max(0, Math.round(Date.now() / 1000 - written));
    byId("age").textContent = `made ${seconds < 120 ? `${seconds} s` : seconds < 7200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`} ago, refreshes itself`;
    const rest = performance.now() - idle.since;
    const wait = Number(document.body.dataset.renew) * (seconds < 60 ? 1000 : 6000); // less often if it is no longer rewritten
    if (!document.hidden && rest > Math.min(2000, wait) && performance.now() > wait && document.activeElement?.id !== "search") {
      writeHash();
      location.reload();
    }
  };
  tick();
  setInterval(tick, 1000);
}

function start() {
  document.documentElement.classList.add("scripted");
  readHash();
  groups.forEach((group, g) => {
    byId(`panels-${g}`).append(...planesOf(group, g).map((plane) => plane.figure));
    makeParallel(group, g);
  });
  others.push(...page.views.made);
  makeControls();
  makeTools();
  addEventListener("hashchange", () => {
    readHash();
    for (const plane of planes) [plane.x, plane.y] = state.planes[plane.key] ?? plane.begun;
    refresh({ drawn: true });
  });
  let width = innerWidth;
  let resizing = 0;
  addEventListener("resize", () => {
    clearTimeout(resizing);
    resizing = setTimeout(() => { if (innerWidth !== width) { width = innerWidth; refresh({ drawn: true }); } }, 150);
  });
  addEventListener("beforeprint", () => { for (const details of document.querySelectorAll("main details")) details.open = true; });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    hideTip();
    if (state.marked !== null) markRow(state.marked);
  });
  live();
  update({ drawn: true, filtered: true, isListed: true, marked: true });
}
start();
