// Keep what the page shows in its address, so that a reload, "back" and a shared link show the same.
const byId = (id) => document.getElementById(id);
const page = JSON.parse(byId("contents").textContent);
const { objectives, groups } = page;
const MOST_PINS = 4;

const make = (tag, options = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
};

const fresh = () => ({
  weights: objectives.map((o) => o.weight), limits: objectives.map((o) => o.limit ?? null),
  group: groups.length > 4 ? 0 : "all", marked: null, pins: [], planes: {}, zooms: {}, scaleX: "auto", scaleY: "auto", range: "near",
  search: "", columns: null, sort: null, scope: "front", brushes: {},
});
const state = fresh();

const isRow = (row) => groups.some((group) => group.models.row.includes(row));
const isShown = (g) => state.group === "all" || state.group === g;
const isAsBegun = () => objectives.every((o, k) => state.weights[k] === o.weight);
const hasLimits = () => state.limits.some((limit) => limit !== null);

const numbersIn = (text) => text.split(",").map((part) => (part === "" ? null : Number(part)));
const whole = (text) => (/^\d+$/.test(text ?? "") ? Number(text) : null);

// Each part of the state that may differ from the start: its key in the address, how it is written and how it is read.
const PARTS = {
  w: { write: () => (isAsBegun() ? "" : state.weights.join(",")),
    read: (text) => {
      const given = numbersIn(text);
      if (given.length === objectives.length && given.every((v) => v !== null && Number.isFinite(v) && v >= 0)) state.weights = given;
    } },
  l: { write: () => (hasLimits() || objectives.some((o) => (o.limit ?? null) !== null) ? state.limits.map((v) => v ?? "").join(",") : ""),
    read: (text) => {
      const given = numbersIn(text);
      if (given.length === objectives.length) state.limits = given.map((v) => (Number.isFinite(v) ? v : null));
    } },
  g: { write: () => (state.group === fresh().group ? "" : String(state.group)),
    read: (text) => {
      const g = whole(text);
      if (text === "all") state.group = "all";
      else if (g !== null && g < groups.length) state.group = g;
    } },
  m: { write: () => String(state.marked ?? ""), read: (text) => { if (isRow(whole(text))) state.marked = whole(text); } },
  p: { write: () => state.pins.join(","), read: (text) => { state.pins = text.split(",").map(whole).filter(isRow).slice(0, MOST_PINS); } },
  a: { write: () => Object.entries(state.planes).map(([id, [x, y]]) => `${id}:${x}-${y}`).join(";"),
    read: (text) => {
      for (const part of text.split(";")) {
        const found = /^(\d+\.\d+):(\d+)-(\d+)$/.exec(part);
        if (found && Number(found[2]) < objectives.length && Number(found[3]) < objectives.length) {
          state.planes[found[1]] = [Number(found[2]), Number(found[3])];
        }
      }
    } },
  z: { write: () => Object.entries(state.zooms).map(([id, ends]) => `${id}:${ends.join(":")}`).join(";"),
    read: (text) => {
      for (const part of text.split(";")) {
        const [id, ...ends] = part.split(":");
        if (/^\d+\.\d+$/.test(id) && ends.length === 4 && ends.every((v) => Number.isFinite(Number(v)))) state.zooms[id] = ends.map(Number);
      }
    } },
  b: { write: () => Object.entries(state.brushes).map(([k, ends]) => `${k}:${ends.join(":")}`).join(";"),
    read: (text) => {
      for (const part of text.split(";")) {
        const [k, low, high] = part.split(":").map(Number);
        if (objectives[k] && Number.isFinite(low) && Number.isFinite(high)) state.brushes[k] = [low, high];
      }
    } },
  x: choice("scaleX", ["auto", "linear", "log"]), y: choice("scaleY", ["auto", "linear", "log"]), r: choice("range", ["near", "all"]),
  s: choice("scope", ["front", "all"]),
  q: { write: () => state.search, read: (text) => { state.search = text.slice(0, 200); } },
  c: { write: () => (state.columns ? state.columns.join(",") || "none" : ""),
    read: (text) => { state.columns = text.split(",").map(whole).filter((c) => c !== null && c < page.columns.length); } },
  o: { write: () => (state.sort ? `${state.sort[0]},${state.sort[1]}` : ""),
    read: (text) => { if (/^[a-z]+\d*,(up|down)$/.test(text)) state.sort = text.split(","); } },
};

function choice(name, values) {
  return { write: () => (state[name] === values[0] ? "" : state[name]), read: (text) => { if (values.includes(text)) state[name] = text; } };
}

function asHash() {
  const parts = Object.entries(PARTS).map(([key, part]) => [key, part.write()]).filter(([, text]) => text !== "");
  return parts.map(([key, text]) => `${key}=${encodeURIComponent(text).replaceAll("%2C", ",").replaceAll("%3A", ":").replaceAll("%3B", ";")}`).join("&");
}

function readHash() {
  Object.assign(state, fresh());
  for (const part of location.hash.slice(1).split("&")) {
    const [key, text] = [part.slice(0, part.indexOf("=")), part.slice(part.indexOf("=") + 1)];
    try {
      if (Object.hasOwn(PARTS, key)) PARTS[key].read(decodeURIComponent(text));
    } catch {
      continue; // not written by this page
    }
  }
}

function writeHash() {
  const hash = asHash();
  if (location.hash.slice(1) !== hash) history.replaceState(null, "", hash ? `#${hash}` : location.href.split("#")[0]);
}
