// Lay out axes (range and ticks), and place letters so that they do not overlap.
const MARGIN = 0.06, LOG_FROM = 30, TINY = 1e-300, HUGE = 1.7e308;

function padded([low, high], log) {
  if (log) {
    const margin = MARGIN * (Math.log(high) - Math.log(low) || 1);
    return [Math.max(low * Math.exp(-margin), Math.min(low, TINY)), Math.min(high * Math.exp(margin), HUGE)];
  }
  const margin = 2 * MARGIN * (high / 2 - low / 2 || Math.abs(high) / 2 || 0.5);
  const below = Math.max(low - margin, -HUGE);
  return [low >= 0 && below < 0 ? Math.max(below, 0) : below, Math.min(high + margin, HUGE)];
}

// The range of a plane, and whether its axes are logarithmic: as requested, else if a cost spans a wide range.
function frameOf(plane) {
  const { group, x, y } = plane;
  const turned = !group.planes[`${x}-${y}`];
  const { near } = group.planes[turned ? `${y}-${x}` : `${x}-${y}`];
  const ranges = [x, y].map((k, i) => {
    const close = near[turned ? 1 - i : i];
    const isAll = state.range === "all" || spread(...group.whole[k]) <= 2 * spread(...close);
    return isAll ? group.whole[k] : close;
  });
  const logs = [x, y].map((k, i) => {
    const asked = i ? state.scaleY : state.scaleX;
    const o = objectives[k];
    return o.canBeLog && (asked === "log" || (asked === "auto" && !o.isQuality && ranges[i][1] >= LOG_FROM * ranges[i][0]));
  });
  const zoom = state.zooms[plane.key];
  const domains = zoom ? [zoom.slice(0, 2), zoom.slice(2)] : ranges.map((range, i) => padded(range, logs[i]));
  return { domains, logs: logs.map((log, i) => log && domains[i][0] > 0) };
}

function ticksOf([low, high], log) {
  if (!log) return null;
  const decades = Math.log10(high) - Math.log10(low);
  const steps = decades < 0.7 ? null : decades < 1.6 ? [1, 2, 5] : decades < 3 ? [1, 3] : [1];
  if (!steps) return null;
  const every = decades < 7 ? 1 : Math.ceil(decades / 6);
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    if (((power % every) + every) % every) continue;
    for (const step of steps) {
      const tick = Number(`${step}e${power}`);
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  }
  return ticks;
}

function labelOf(k, [low, high]) {
  const o = objectives[k];
  if (o.isKnown && !o.unit) return "replace(format(datum.value, '~s'), 'G', 'B')";
  if (o.unit) return `format(datum.value * ${o.factor}, ',~r')`;
  const largest = Math.max(Math.abs(low), Math.abs(high));
  if (!largest || (largest >= 1e-3 && largest < 1e5)) return "format(datum.value, ',~r')";
  return largest >= 1e5 && largest < 1e15 ? "format(datum.value, '~s')" : "datum.value ? format(datum.value, '~e') : '0'";
}

const WAYS = [[0.8, -0.8], [0, -1], [-0.8, -0.8], [1, 0], [-1, 0], [0.8, 0.8], [0, 1], [-0.8, 0.8]];
const overlap = (a, b) => Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));

// Place labels one after another where they cover the fewest points and labels, preferably at the upper right.
function offsets(points, widths, [right, bottom]) {
  const boxes = [];
  return points.map(([px, py], n) => {
    const width = widths[n];
    let [best, least] = [[0, 0], Infinity];
    for (const far of [16, 24, 34]) {
      for (const [ux, uy] of WAYS) {
        const [dx, dy] = [ux * (far + (width - 8) / 2), uy * far];
        const box = [px + dx - width / 2, py + dy - 7, px + dx + width / 2, py + dy + 7];
        const outside = box[0] < 0 || box[1] < 0 || box[2] > right || box[3] > bottom;
        const covered = boxes.reduce((sum, other) => sum + overlap(box, other), 0)
          + points.reduce((sum, [qx, qy]) => sum + overlap(box, [qx - 9, qy - 9, qx + 9, qy + 9]), 0);
        const cost = covered + (outside ? 120 : 0) + far;
        if (cost < least) [best, least] = [[dx, dy], cost];
      }
    }
    boxes.push([px + best[0] - width / 2, py + best[1] - 7, px + best[0] + width / 2, py + best[1] + 7]);
    return best;
  });
}

// The letters of a plane: those out of range are placed at the edge with an arrow; models at the same place share a label.
function letterRows(plane, frame, size) {
  const { group, x, y } = plane;
  const [[x0, x1], [y0, y1]] = frame.domains;
  const [own, places] = [new Set([...plane.own, ...answerOf(group).picks]), new Map()];
  for (const at of lettered(group)) {
    const [a, b] = [valuesOf(group, x)[at], valuesOf(group, y)[at]];
    const arrow = (a < x0 ? "←" : a > x1 ? "→" : "") + (b < y0 ? "↓" : b > y1 ? "↑" : "");
    if (arrow && !own.has(at)) continue;
    const place = [Math.min(Math.max(a, x0), x1), Math.min(Math.max(b, y0), y1)];
    const key = `${place} ${arrow}`;
    if (!places.has(key)) places.set(key, { x: place[0], y: place[1], arrow, row: group.models.row[at], letters: [] });
    places.get(key).letters.push(group.models.letter[at]);
  }
  const rows = [...places.values()];
  const along = (v, [low, high], log) => (log ? Math.log(v / low) / Math.log(high / low) : (v - low) / (high - low));
  for (const row of rows) {
    const { letters } = row;
    row.text = (letters.length <= 3 ? letters.join(",") : `${letters[0]},${letters[1]} +${letters.length - 2}`) + row.arrow;
  }
  const points = rows.map((r) => [size[0] * along(r.x, [x0, x1], frame.logs[0]), size[1] * (1 - along(r.y, [y0, y1], frame.logs[1]))]);
  offsets(points, rows.map((r) => 8 * r.text.length), size).forEach(([dx, dy], n) => Object.assign(rows[n], { dx, dy }));
  return rows;
}

const lettered = (group) => (group.lettered ??= everyone(group).filter((at) => group.models.letter[at]));
