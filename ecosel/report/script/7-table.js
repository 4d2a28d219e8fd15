// The table of the models to choose from: search, order, columns, pins with differences, and the charts that follow it.
const MOST_LINES_SHOWN = 100;
let isWhole = false; // all lines, not only the first
const settings = page.columns.map((name, c) => c).filter((c) => !page.labels.includes(page.columns[c]) && !objectives.some((o) => o.column === page.columns[c]));
const shownColumns = () => state.columns ?? [];

const searchText = (group, at) => {
  group.texts ??= [];
  return (group.texts[at] ??= [nameOf(group, at), ...settings.map((c) => group.cells[c][at] ?? "")].join(" ").toLowerCase());
};
const isSearched = (group, at) => !state.search || state.search.toLowerCase().split(/\s+/).every((word) => searchText(group, at).includes(word));

const frontsOf = (group, g) => {
  const own = new Set(frontOf(group, page.answer));
  for (const plane of planes) if (plane.g === g) for (const at of frontOf(group, [plane.y, plane.x].sort((a, b) => a - b))) own.add(at);
  for (const at of lettered(group)) own.add(at);
  return own;
};

function listed() {
  const lines = [];
  groups.forEach((group, g) => {
    if (!isShown(g)) return;
    const own = state.scope === "front" ? frontsOf(group, g) : null;
    for (const at of everyone(group)) {
      const row = group.models.row[at];
      const isPinned = state.pins.includes(row);
      if (isPinned || ((!own || own.has(at)) && isLeft(group, at) && isFound(group, at))) lines.push({ group, g, at, row, isPinned });
    }
  });
  const [by, way] = state.sort ?? ["", ""];
  const key = keyOf(by);
  if (key) {
    const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a ?? "").localeCompare(String(b ?? ""), "en", { numeric: true }));
    lines.sort((p, q) => compare(key(p), key(q)) * (way === "down" ? -1 : 1));
  }
  const order = (line) => (line.isPinned ? state.pins.indexOf(line.row) : state.pins.length);
  return lines.sort((p, q) => order(p) - order(q));
}

function keyOf(by) {
  const number = Number(by.slice(1));
  if (by === "row") return (line) => line.row;
  if (by === "name") return (line) => nameOf(line.group, line.at);
  if (by === "group") return (line) => line.group.name;
  if (by[0] === "v" && objectives[number]) return (line) => valuesOf(line.group, number)[line.at];
  if (by[0] === "c" && number < page.columns.length) return (line) => line.group.cells[number][line.at];
  return null;
}

// The model that a line is compared with: the first pinned one, else the best of its group in the first quality.
function baseOf(group) {
  const pinned = groups.flatMap((other) => (state.pins.length ? [[other, other.models.row.indexOf(state.pins[0])]] : [])).find(([, at]) => at >= 0);
  if (pinned) return pinned;
  const k = referenceOf(page.answer);
  return [group, remembered(group, "base", () => {
    const values = valuesOf(group, k);
    const [low, high] = endsOf(values, everyone(group));
    return values.indexOf(objectives[k].isQuality ? high : low);
  })];
}

function interval(group, k, at) {
  const [below, above] = (group.errors[k] ?? [[], []]).map((side) => side[at] ?? 0);
  if (!(Math.max(below, above) > 0)) return "";
  const [low, high] = [below, above].map((side) => rounded(side * objectives[k].factor, 2));
  return low === high ? ` ± ${low}` : ` −${low} +${high}`;
}

const tagOf = (group, at) => make("span", { class: "tag" }, group.models.letter[at]);
const called = (group, at) => [...(group.models.letter[at] ? [tagOf(group, at), " "] : []), make("bdi", {}, nameOf(group, at))];

// The roles of models under the current weights and limits, in words, by position.
function rolesOf(group) {
  const found = new Map();
  const put = (at, role, of) => {
    if (!found.has(at)) found.set(at, new Map());
    found.get(at).set(role, [...(found.get(at).get(role) ?? []), of]);
  };
  const names = (ks) => (ks.length > 2 ? "all objectives together" : objectives[ks[0]].isAccuracy ? objectives[ks[1]].name : ks.map((k) => objectives[k].name).join(" against "));
  const choices = page.answer.length > 1 ? [...page.pairs.filter((ks) => String(ks) !== String(page.answer)), page.answer] : [];
  for (const ks of choices) for (const at of pickOf(group, ks).picks) put(at, "best trade-off:", names(ks));
  page.answer.forEach((k) => bestOf(group, k, frontOf(group, page.answer)).forEach((at) => put(at, objectives[k].isQuality ? "highest" : "lowest", objectives[k].name)));
  return found;
}
const rolesIn = (roles, at) => [...(roles.get(at) ?? [])].map(([role, of]) => make("span", {}, make("bdi", {}, `${role} ${of.join(", ")}`)));

function lineOf({ group, g, at, row, isPinned }, roles) {
  const [baseGroup, base] = baseOf(group);
  const name = make("th", { scope: "row", class: "name" },
    make("button", { type: "button", class: "pin", "aria-pressed": isPinned, "aria-label": `pin ${nameOf(group, at)}`, title: "pin: compare with others", onclick: () => pin(row) }, isPinned ? "★" : "☆"),
    make("button", { type: "button", class: "link", "data-mark": row, "aria-pressed": state.marked === row, title: "highlight it in the charts", onclick: () => markRow(row) }, ...called(group, at)));
  const cells = objectives.map((o, k) => {
    const value = valuesOf(group, k)[at];
    const isBest = value === group.whole[k][o.isQuality ? 1 : 0];
    return make("td", { class: `number${isBest ? " best" : ""}`, title: value, "data-value": value }, valueText(k, value) + interval(group, k, at),
      make("span", { class: "ratio" }, baseGroup === group && base === at ? "" : difference(k, value, valuesOf(baseGroup, k)[base])));
  });
  const best = make("td", { class: "roles" }, ...rolesIn(roles.get(group), at));
  const extra = shownColumns().map((c) => make("td", { class: typeof group.cells[c][at] === "number" ? "number" : "name" }, make("bdi", {}, String(group.cells[c][at] ?? ""))));
  const of = groups.length > 1 ? make("td", { class: "name" }, make("bdi", {}, group.name)) : null;
  const classes = [isPinned ? "pinned" : "", state.marked === row ? "marked" : "", group.models.letter[at] || isPinned ? "" : "unlettered",
    answerOf(group).picks.includes(at) ? "now" : ""].filter(Boolean).join(" ");
  return make("tr", { "data-row": row, "data-of-group": g, class: classes }, name, ...cells, ...extra, best, of, make("td", { class: "number" }, String(row)));
}

function drawTable() {
  const table = byId("models");
  const focused = document.activeElement?.dataset?.mark ?? null;
  const isPin = document.activeElement?.classList.contains("pin") ? document.activeElement.closest("tr")?.dataset.row : null;
  const lines = listed();
  const roles = new Map(groups.map((group, g) => [group, isShown(g) ? rolesOf(group) : new Map()]));
  const head = (by, label, options = {}) => {
    const way = state.sort?.[0] === by ? (state.sort[1] === "up" ? "ascending" : "descending") : null;
    return make("th", { scope: "col", "aria-sort": way, ...options }, make("button", { type: "button", "data-by": by, onclick: () => {
      state.sort = way === "ascending" ? [by, "down"] : way === "descending" ? null : [by, "up"];
      refresh({ listed: true });
      byId("models").querySelector(`button[data-by="${by}"]`)?.focus();
    } }, label));
  };
  table.tHead.replaceChildren(make("tr", {}, head("name", "model"),
    ...objectives.map((o, k) => head(`v${k}`, `${o.title} ${o.isQuality ? "↑" : "↓"}`, { class: "number", title: o.column })),
    ...shownColumns().map((c) => head(`c${c}`, page.columns[c])), make("th", { scope: "col" }, "best at"),
    groups.length > 1 ? head("group", "group") : null, head("row", "row", { class: "number" })));
  table.tBodies[0].replaceChildren(...lines.slice(0, isWhole ? lines.length : MOST_LINES_SHOWN + state.pins.length).map((line) => lineOf(line, roles)));
  byId("more").hidden = isWhole || lines.length <= MOST_LINES_SHOWN + state.pins.length;
  byId("more").textContent = `show all ${grouped(String(lines.length))}`;
  byId("count").textContent = `${grouped(String(lines.length))} model${lines.length === 1 ? "" : "s"}`;
  byId("base").textContent = state.pins.length ? `the first pinned model` : `the ${objectives[referenceOf(page.answer)].bestWord} of the same group`;
  if (isPin) table.querySelector(`tr[data-row="${isPin}"] .pin`)?.focus();
  else if (focused) table.querySelector(`button[data-mark="${focused}"]`)?.focus();
}

function makeTools() {
  const search = make("input", { type: "search", id: "search", placeholder: "name or setting", autocomplete: "off", oninput: (event) => {
    state.search = event.target.value;
    refresh({ filtered: true });
  } });
  const option = (value, text) => make("option", { value }, text);
  const scope = make("select", { id: "scope", autocomplete: "off", onchange: (event) => { state.scope = event.target.value; refresh({ listed: true }); } },
    option("front", "on the front"), option("all", groups.some((group) => group.total > group.models.row.length) ? "all drawn models" : "all models"));
  const boxes = settings.map((c) => make("label", {}, make("input", { type: "checkbox", value: c, autocomplete: "off", onchange: () => {
    const chosen = [...byId("columns").querySelectorAll("input:checked")].map((box) => Number(box.value));
    state.columns = chosen.length ? chosen : null;
    refresh({ listed: true });
  } }), " ", make("bdi", {}, page.columns[c])));
  byId("tools").append(make("label", { for: "search" }, "search ", search), make("label", { for: "scope" }, "show ", scope),
    settings.length ? make("details", { id: "columns" }, make("summary", {}, "columns"), make("div", { class: "boxes" }, ...boxes)) : "",
    make("button", { type: "button", id: "csv", onclick: (event) => copy(event.target, asCsv(), "The table is on the clipboard as CSV.") }, "copy as CSV"),
    make("button", { type: "button", id: "unpin", hidden: true, onclick: () => { state.pins = []; refresh({ listed: true }); } }, "unpin all"), make("span", { id: "count", class: "muted" }));
  byId("models").closest(".scroll").after(make("button", { type: "button", id: "more", hidden: true, onclick: () => { isWhole = true; refresh({ listed: true }); } }));
}

function settleTools() {
  if (byId("search").value !== state.search) byId("search").value = state.search;
  byId("scope").value = state.scope;
  for (const box of document.querySelectorAll("#columns input")) box.checked = shownColumns().includes(Number(box.value));
  byId("unpin").hidden = !state.pins.length;
}

function pin(row) {
  const isPinned = state.pins.includes(row);
  if (!isPinned && state.pins.length >= MOST_PINS) return say(`At most ${MOST_PINS} models can be pinned; unpin one first.`);
  state.pins = isPinned ? state.pins.filter((other) => other !== row) : [...state.pins, row];
  return refresh({ listed: true });
}

// All lines of the table, with exact numbers. Text cells that a spreadsheet would take for a formula get an apostrophe.
function asCsv() {
  const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const cell = (value) => (typeof value === "number" ? String(value) : quoted(/^\s*[=+\-@\t\r]/.test(value) ? `'${value}` : String(value ?? "")));
  const withErrors = objectives.map((_, k) => groups.some((group) => group.errors[k]));
  const head = ["letter", "model", ...objectives.flatMap((o, k) => [o.column, ...(withErrors[k] ? [`${o.column}_low`, `${o.column}_high`] : [])]),
    ...shownColumns().map((c) => page.columns[c]), ...(groups.length > 1 ? ["group"] : []), "row"];
  const lines = listed().map(({ group, at, row }) => [group.models.letter[at] ?? "", nameOf(group, at),
    ...objectives.flatMap((_, k) => {
      const value = valuesOf(group, k)[at];
      const [below, above] = (group.errors[k] ?? [[], []]).map((side) => side[at] ?? 0);
      return [value, ...(withErrors[k] ? [value - below, value + above] : [])];
    }), ...shownColumns().map((c) => group.cells[c][at] ?? ""), ...(groups.length > 1 ? [group.name] : []), row]);
  return [head, ...lines].map((line) => line.map(cell).join(",")).join("\n") + "\n";
}
