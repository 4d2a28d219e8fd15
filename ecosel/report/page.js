"use strict";
(() => {
  const page = JSON.parse(document.getElementById("contents").textContent);
  const weights = page.weights.slice();
  const views = [];
  let marked = [];
  const byId = (id) => document.getElementById(id);
  const rowsOf = (columns) => {
    const names = Object.keys(columns);
    const count = names.length ? columns[names[0]].length : 0;
    return Array.from({ length: count }, (_, k) => Object.fromEntries(names.map((name) => [name, columns[name][k]])));
  };
  const short = (number) => (Number.isFinite(number) ? String(Number(number.toPrecision(4))) : "");
  const settings = () => ({ zoom: byId("zoom").value === "interest", scale: byId("scale").value });

  // Heat maps are shipped as cells; what their edges are depends on the axes.
  const heatRows = (view, variant) => {
    const [[x0, x1], [y0, y1]] = variant.domains;
    const [columns, rows] = page.heatCells;
    const at = (k) => (variant.log ? x0 * Math.pow(x1 / x0, k / columns) : x0 + ((x1 - x0) * k) / columns);
    const up = (k) => y0 + ((y1 - y0) * k) / rows;
    return variant.heat.n.map((n, k) => {
      const [i, j] = [variant.heat.i[k], variant.heat.j[k]];
      return { [view.x]: at(i), x2: at(i + 1), [view.y]: up(j), y2: up(j + 1), n };
    });
  };

  const variantOf = (view) => {
    const { zoom, scale } = settings();
    const log = view.mayBeLog && (scale === "log" || (scale === "auto" && view.log));
    return view.variants[`${zoom ? "zoom" : "whole"}-${log ? "log" : "linear"}`];
  };

  const dataOf = (view, variant) => {
    const data = Object.fromEntries(Object.entries(view.data || {}).map(([name, columns]) => [name, rowsOf(columns)]));
    if (view.front) {
      const all = page.groups[view.group].models;
      const pick = (k) => Object.fromEntries(Object.keys(all).map((name) => [name, all[name][k]]));
      data.front = view.front.map(pick);
      if (variant) data.models = rowsOf(all);
    }
    if (variant) {
      Object.assign(data, { roles: rowsOf(variant.roles), letters: rowsOf(variant.letters) });
      if (variant.heat) data.heat = heatRows(view, variant);
    }
    return data;
  };

  const specOf = (view, variant) => {
    const spec = structuredClone(page.specs[view.spec]);
    const signals = { marked, joint: view.joint };
    if (variant) {
      const [x, y] = variant.domains;
      Object.assign(signals, { x0: x[0], x1: x[1], y0: y[0], y1: y[1] });
      Object.assign(spec.encoding.x.scale, { domain: x, type: variant.log ? "log" : "linear" });
      spec.encoding.y.scale.domain = y;
      const axis = spec.encoding.x.axis;
      if (variant.ticks) axis.values = variant.ticks;
      else {
        delete axis.values;
        axis.tickCount = 5;
      }
    }
    for (const param of spec.params || []) {
      const weight = /^w(\d+)$/.exec(param.name);
      if (weight) param.value = weights[Number(weight[1])];
      else if (signals[param.name] !== undefined) param.value = signals[param.name];
    }
    return spec;
  };

  const pickSource = (marks) => {
    for (const mark of marks || []) {
      const found = mark.name === "pick_marks" ? mark.from.data : pickSource(mark.marks);
      if (found) return found;
    }
    return null;
  };

  async function draw(view) {
    const element = byId(view.id);
    const words = element.getAttribute("aria-label");
    const variant = view.variants ? variantOf(view) : null;
    if (view.made) view.made.finalize();
    const rows = dataOf(view, variant);
    // The data go in behind Vega-Lite, which would copy and hash them.
    const fill = (spec) => {
      for (const source of spec.data) if (rows[source.name]) source.values = rows[source.name];
      return spec;
    };
    const made = await window.vegaEmbed(element, specOf(view, variant), {
      ast: true, actions: false, renderer: "svg", config: page.config, defaultStyle: false, tooltip: showTooltip, hover: false, patch: fill,
    });
    view.made = made;
    view.vega = made.view;
    view.signals = new Set((page.specs[view.spec].params || []).map((param) => param.name));
    view.pickData = pickSource(made.vgSpec.marks);
    view.vega.addEventListener("click", (event, item) => {
      if (item && item.datum && Number.isInteger(item.datum.row)) mark(item.datum.row);
    });
    // Vega writes a name and a role of its own over the words that stand for the chart.
    element.removeAttribute("aria-roledescription");
    if (words) element.setAttribute("role", "img");
    if (words) element.setAttribute("aria-label", words);
    document.body.dataset.firstChartMs ??= String(performance.now());
    if (variant) {
      const note = byId(`${view.id}-note`);
      if (note) note.textContent = view.notes[settings().zoom ? 0 : 1];
    }
    tell(view);
  }

  // Who the pick is, read from Vega's own data.
  function tell(view) {
    if (!view.pickData) return;
    const picks = view.vega.data(view.pickData);
    view.picks = picks.map((datum) => datum.row);
    const place = byId(`${view.id}-pick`);
    if (place) {
      place.replaceChildren();
      if (!picks.length) place.textContent = "none: at least one weight must be above 0";
      picks.slice(0, 8).forEach((datum, k) => {
        if (k) place.append(", ");
        const name = document.createElement("b");
        name.textContent = datum.letter || datum.name;
        place.append(name, datum.letter && datum.letter !== datum.name ? ` ${datum.name}` : "");
      });
      if (picks.length > 8) place.append(` and ${picks.length - 8} that tie`);
      if (picks.length) place.append(` · distance ${short(picks[0].distance)}`);
      place.dataset.rows = view.picks.join(" ");
      place.dataset.distance = picks.length ? picks[0].distance : "";
    }
    if (view.isJoint) {
      for (const other of views) {
        if (other.vega && other.group === view.group && other.choice !== view.choice && other.signals.has("joint")) {
          other.joint = view.picks;
          if (JSON.stringify(other.vega.signal("joint")) !== JSON.stringify(view.picks)) other.vega.signal("joint", view.picks).run();
        }
      }
    }
    for (const other of views) {
      if (other.isBars && other.group === view.group && other.choice === view.choice) {
        other.joint = view.picks;
        if (other.vega) other.vega.signal("joint", view.picks).run();
      }
    }
  }

  function weigh() {
    for (const view of views) {
      if (!view.vega || hidden(view)) continue;
      let changed = false;
      weights.forEach((weight, k) => {
        if (view.signals.has(`w${k}`) && view.vega.signal(`w${k}`) !== weight) {
          view.vega.signal(`w${k}`, weight);
          changed = true;
        }
      });
      if (changed) {
        view.vega.run();
        tell(view);
      }
    }
  }

  const hidden = (view) => byId(view.id).closest("[hidden]") !== null;

  let waiting = false;
  function onSlider(event) {
    const k = Number(event.target.dataset.weight);
    weights[k] = Number(event.target.value);
    byId(`weight-${k}-value`).textContent = short(weights[k]);
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      weigh();
    });
  }

  function mark(row) {
    marked = marked.length && marked[0] === row ? [] : [row];
    for (const view of views) if (view.vega && view.signals.has("marked")) view.vega.signal("marked", marked).run();
    for (const line of document.querySelectorAll("tr[data-row]")) {
      line.classList.toggle("marked", marked.length > 0 && Number(line.dataset.row) === marked[0]);
      line.querySelector("button")?.setAttribute("aria-pressed", String(line.classList.contains("marked")));
    }
    const details = byId("marked");
    details.replaceChildren();
    if (marked.length) {
      const head = document.createElement("h3");
      head.textContent = "Marked model";
      details.append(head, wholeRow(marked[0]));
    }
  }

  // All that the archive says of a model, as text.
  function wholeRow(row) {
    const list = document.createElement("dl");
    const say = (name, value) => {
      if (value === null || value === undefined || value === "") return;
      const [term, text] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = name;
      text.textContent = String(value);
      list.append(term, text);
    };
    for (const group of page.groups) {
      const k = group.models.row.indexOf(row);
      if (k < 0) continue;
      if (group.models.letter[k]) say("letter", group.models.letter[k]);
      say("row", row);
      page.columns.forEach((name, c) => say(name, group.cells[c][k]));
    }
    if (page.columnsLeftOut) say("", `${page.columnsLeftOut} more columns stand in the archive`);
    return list;
  }

  function showTooltip(handler, event, item, value) {
    const tip = byId("tip");
    tip.replaceChildren();
    if (!value || !item || !item.datum) {
      tip.hidden = true;
      return;
    }
    if (Number.isInteger(item.datum.row) && item.datum.low === undefined && item.datum.share === undefined) {
      tip.append(wholeRow(item.datum.row));
    } else {
      const list = document.createElement("dl");
      for (const [name, text] of Object.entries(value)) {
        const [term, described] = [document.createElement("dt"), document.createElement("dd")];
        term.textContent = name;
        described.textContent = String(text);
        list.append(term, described);
      }
      tip.append(list);
    }
    tip.hidden = false;
    const [width, height] = [tip.offsetWidth, tip.offsetHeight];
    const left = event.clientX + 14 + width > innerWidth ? event.clientX - width - 14 : event.clientX + 14;
    const top = Math.min(event.clientY + 14, innerHeight - height - 4);
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${Math.max(4, top)}px`;
  }

  function showGroup() {
    const chosen = byId("group") ? byId("group").value : "all";
    for (const element of document.querySelectorAll("[data-group]")) {
      element.hidden = chosen !== "all" && element.dataset.group !== chosen;
    }
    for (const line of document.querySelectorAll("tr[data-of-group]")) {
      line.hidden = chosen !== "all" && line.dataset.ofGroup !== chosen;
    }
    redraw(false);
  }

  let drawing = Promise.resolve();
  function redraw(again) {
    drawing = drawing.then(async () => {
      for (const view of views) if (!hidden(view) && (!view.vega || (again && view.variants))) await draw(view);
      weigh();
      document.body.dataset.readyMs ??= String(performance.now());
      document.body.dataset.ready = "yes";
    });
    return drawing;
  }

  const start = () => {
    page.groups.forEach((group) => views.push(...group.views));
    views.push(...page.views);
    for (const slider of document.querySelectorAll("input[data-weight]")) slider.addEventListener("input", onSlider);
    byId("reset")?.addEventListener("click", () => {
      for (const slider of document.querySelectorAll("input[data-weight]")) {
        slider.value = slider.defaultValue;
        slider.dispatchEvent(new Event("input"));
      }
    });
    byId("zoom")?.addEventListener("change", () => redraw(true));
    byId("scale")?.addEventListener("change", () => redraw(true));
    byId("group")?.addEventListener("change", showGroup);
    for (const button of document.querySelectorAll("button[data-mark]")) {
      button.addEventListener("click", () => mark(Number(button.dataset.mark)));
    }
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      byId("tip").hidden = true;
      if (marked.length) mark(marked[0]);
    });
    showGroup();
  };
  start();
})();
