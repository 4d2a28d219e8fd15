// Apply the rule of `ecosel select`: fronts, ideal, scale, distance, ties, in the same order of operations.
const valuesOf = (group, k) => group.models[`v${k}`];
const costOf = (group, k, at) => (objectives[k].isQuality ? 0 - valuesOf(group, k)[at] : valuesOf(group, k)[at]);
const everyone = (group) => (group.every ??= group.models.row.map((_, at) => at));
const isLeft = (group, at) => !group.barred.includes(at) && isWithin(group, at);
const isWithin = (group, at) => state.limits.every((limit, k) =>
  limit === null || (objectives[k].isQuality ? valuesOf(group, k)[at] >= limit : valuesOf(group, k)[at] <= limit));

// Results computed for the current limits, by group.
const kept = new Map();
function remembered(group, name, compute) {
  const id = `${state.limits} ${groups.indexOf(group)} ${name}`;
  if (!kept.has(id)) {
    if (kept.size > 2000) kept.clear();
    kept.set(id, compute());
  }
  return kept.get(id);
}

const left = (group) => remembered(group, "left", () => (isLimited(group) ? everyone(group).filter((at) => isLeft(group, at)) : everyone(group)));
const isLimited = (group) => hasLimits() || group.barred.length > 0;

// Positions of the models on the front of some objectives, among those left. A model better than one within the limits
// is also within them, so the front of all objectives is that of the archive without those outside the limits.
const frontOf = (group, ks) => remembered(group, `front ${ks}`, () => {
  if (ks.length > 2 && !group.barred.length) return group.front.filter((at) => isWithin(group, at));
  if (ks.length > 2) return frontOfAll(group, ks, left(group));
  return frontOfTwo(group, ks, left(group));
});
const wholeFront = (group, ks) => (group.fronts ??= {}, (group.fronts[ks] ??= ks.length > 2 ? group.front : frontOfTwo(group, ks, everyone(group))));

function frontOfAll(group, ks, among) {
  const costs = among.map((at) => ks.map((k) => costOf(group, k, at)));
  const beats = (a, b) => a.every((cost, i) => cost <= b[i]) && a.some((cost, i) => cost < b[i]);
  return among.filter((_, n) => !costs.some((other) => beats(other, costs[n])));
}

function frontOfTwo(group, ks, among) {
  const [a, b] = ks;
  const cost = (k, at) => costOf(group, k, at);
  const sorted = among.slice().sort((p, q) => cost(a, p) - cost(a, q) || (b === undefined ? 0 : cost(b, p) - cost(b, q)));
  const front = [];
  let last = null;
  for (const at of sorted) {
    const here = [cost(a, at), b === undefined ? 0 : cost(b, at)];
    if (last === null || here[1] < last[1] || (here[0] === last[0] && here[1] === last[1])) {
      if (b === undefined && last !== null && here[0] !== last[0]) break;
      front.push(at);
      last = here;
    }
  }
  return front.sort((p, q) => p - q);
}

const spread = (low, high) => 2 * Math.min(0.5 * high - 0.5 * low, Number.MAX_VALUE / 2);
function endsOf(values, positions) {
  let [low, high] = [Infinity, -Infinity];
  for (const at of positions) {
    if (values[at] < low) low = values[at];
    if (values[at] > high) high = values[at];
  }
  return [low, high];
}

// Ideal and scale of each objective, as in Rule.ideal_point and Rule.scales: from all models, whatever the limits.
function ruleOf(group, ks) {
  const { scale, ideal, preset } = page.rule;
  const front = wholeFront(group, ks);
  return ks.map((k) => {
    const o = objectives[k];
    const [low, high] = endsOf(valuesOf(group, k), front);
    const best = o.isQuality ? high : low;
    const at = ideal[o.column] ?? (o.isAccuracy ? 1 : o.isQuality ? best : Math.min(0, best));
    const range = spread(low, high);
    let by = range;
    if (preset) by = preset[k];
    else if (scale === "none") by = 1;
    else if (scale === "archive-range") by = group.archiveRange[k];
    else if (scale === "max" && !o.isQuality && low >= 0) by = high;
    else if (scale === "max" && (o.isAccuracy || (o.isQuality && o.column in ideal))) by = Math.abs(at) || range;
    return { ideal: at, scale: by > 0 ? by : 1 };
  });
}

// The front of some objectives, with the deviation of each model from the ideal point in units of the scale.
const deviationsOf = (group, ks) => remembered(group, `deviations ${ks}`, () => {
  const front = frontOf(group, ks);
  const rule = ruleOf(group, ks);
  return { front, rule, parts: ks.map((k, i) => front.map((at) => Math.abs(valuesOf(group, k)[at] / rule[i].scale - rule[i].ideal / rule[i].scale))) };
});

// The best trade-off under the current weights: positions, including ties.
function pickOf(group, ks) {
  const { front, parts } = deviationsOf(group, ks);
  const weights = ks.map((k) => state.weights[k]);
  if (!front.length || !weights.some((w) => w > 0)) return { picks: [], distance: null };
  const distance = front.map((_, n) => {
    const weighted = parts.map((part, i) => part[n] * weights[i]);
    const largest = Math.max(...weighted);
    const safe = largest > 0 && Number.isFinite(largest) ? largest : 1;
    return largest * Math.sqrt(weighted.reduce((sum, part) => sum + (part / safe) ** 2, 0));
  });
  const nearest = Math.min(...distance);
  return { picks: front.filter((_, n) => distance[n] <= nearest * (1 + 1e-12)), distance: nearest };
}

const answerOf = (group) => pickOf(group, page.answer);
function bestOf(group, k, front) {
  const [low, high] = endsOf(valuesOf(group, k), front);
  const best = objectives[k].isQuality ? high : low;
  return front.filter((at) => valuesOf(group, k)[at] === best);
}

// The interval of the first weight's share in which each model is the best trade-off of two objectives (robustness.py).
const segmentsOf = (group, ks) => remembered(group, `segments ${ks}`, () => {
  const { front, parts } = deviationsOf(group, ks);
  const most = Math.max(...parts[0], ...parts[1], 0) || 1;
  const [a, b] = parts.map((part) => part.map((v) => (v / most) ** 2));
  const hull = [];
  for (const k of front.map((_, n) => n).sort((p, q) => a[p] - a[q] || b[p] - b[q])) {
    if (hull.length && b[k] >= b[hull.at(-1)]) continue;
    while (hull.length > 1) {
      const [i, j] = [hull.at(-2), hull.at(-1)];
      if ((b[i] - b[j]) * (a[k] - a[i]) > (b[i] - b[k]) * (a[j] - a[i])) break;
      hull.pop();
    }
    hull.push(k);
  }
  let high = 1;
  return hull.map((n, i) => {
    const next = hull[i + 1];
    const s = next === undefined ? 0 : Math.sqrt((b[n] - b[next]) / (a[next] - a[n]));
    const low = next === undefined ? 0 : s / (1 + s);
    const segment = { at: front[n], low, high };
    high = low;
    return segment;
  }).reverse();
});

// The share of all weightings under which each model is the best trade-off: that of `select` if there are no limits, exact
// for two objectives, and otherwise from a new sample.
const SAMPLES = 2000;
const sharesOf = (group) => remembered(group, "shares", () => {
  const ks = page.answer;
  if (!isLimited(group)) return { shares: new Map(Object.entries(group.shares).map(([at, part]) => [Number(at), part])), error: group.sharesError };
  if (ks.length === 2) return { shares: new Map(segmentsOf(group, ks).map(({ at, low, high }) => [at, high - low])), error: 0 };
  const { front, parts } = deviationsOf(group, ks);
  const squares = parts.map((part) => part.map((v) => v * v));
  const random = generator(1);
  const wins = new Map();
  for (let n = 0; n < SAMPLES && front.length; n++) {
    const weights = ks.map(() => Math.log(1 - random()) ** 2); // squares of exponentials: uniform on the simplex, up to a factor
    let [best, least] = [0, Infinity];
    for (let k = 0; k < front.length; k++) {
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i] * squares[i][k];
      if (sum < least) [best, least] = [k, sum];
    }
    wins.set(front[best], (wins.get(front[best]) ?? 0) + 1 / SAMPLES);
  }
  return { shares: wins, error: 0.98 / Math.sqrt(SAMPLES) };
});

function generator(seed) {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
