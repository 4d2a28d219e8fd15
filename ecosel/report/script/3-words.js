// Write values, differences and sentences as output/measures.py and output/sentences.py do.
const SPACE = "\u00a0";
const grouped = (digits) => digits.replace(/\B(?=(\d{3})+(?!\d))/g, ",");

// A number with that many significant digits, halves rounded away from zero; large ones in full or, if short, with M, B or T.
function rounded(value, digits, short = false) {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return (value < 0 ? "-" : "") + grouped(String(Math.abs(value)));
  let tail = "";
  let shift = 0;
  if (short && Math.abs(value) >= 1e6) [tail, shift] = Math.abs(value) >= 1e12 ? ["T", 12] : Math.abs(value) >= 1e9 ? ["B", 9] : ["M", 6];
  const [mantissa, power] = Math.abs(value).toExponential(digits - 1).split("e");
  const figures = mantissa.replace(".", "");
  const exponent = Number(power) - shift;
  const sign = value < 0 ? "-" : "";
  if (exponent < -6 || exponent >= 15) return `${sign}${mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa}e${exponent}`;
  const before = exponent < 0 ? "0" : figures.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  const after = exponent < 0 ? "0".repeat(-exponent - 1) + figures : figures.slice(exponent + 1);
  const written = sign + grouped(before) + (after.replace(/0+$/, "") ? `.${after.replace(/0+$/, "")}` : "");
  return tail ? `${written}${SPACE}${tail}` : written;
}

function percentage(part) {
  const percent = 100 * part;
  if (percent < 0.1) return `<0.1${SPACE}%`;
  if (percent > 99.9 && percent < 100) return `>99.9${SPACE}%`;
  return `${rounded(percent, percent >= 99 && percent < 100 ? 3 : 2)}${SPACE}%`;
}

function valueText(k, value) {
  const o = objectives[k];
  const written = rounded(value * o.factor, o.isKnown ? 3 : 5, o.isKnown);
  return o.unit ? `${written}${SPACE}${o.unit}` : written;
}
const phrase = (k, value) => (objectives[k].isKnown ? `${valueText(k, value)} ${objectives[k].name}` : `${objectives[k].name} ${valueText(k, value)}`);

function points(k, value, of) {
  const apart = Math.abs(value - of) * objectives[k].factor;
  const written = rounded(apart, apart >= 10 ? 3 : 2);
  return `${written} point${written === "1" ? "" : "s"}`;
}
const hasNoRatio = (o, value, of) => o.isSigned || of <= 0 || value < 0 || value / 1e15 > of;

function change(k, value, of) {
  const o = objectives[k];
  if (value === of) return "";
  if (o.isAccuracy) return `${points(k, value, of)} ${value < of ? "less" : "more"} accuracy`;
  if (hasNoRatio(o, value, of)) return `${phrase(k, value)} instead of ${valueText(k, of)}`;
  const ratio = value / of;
  if (ratio >= 2) return `${rounded(ratio, 2)} times the ${o.name}`;
  return ratio < 1 ? `${percentage(1 - ratio)} ${o.less} ${o.name}` : `${percentage(ratio - 1)} ${o.isKnown ? "more" : "higher"} ${o.name}`;
}

// The difference in few characters, for the table.
function difference(k, value, of) {
  const o = objectives[k];
  if (value === of) return "";
  const sign = value < of ? "−" : "+";
  if (o.isAccuracy) return sign + points(k, value, of);
  if (hasNoRatio(o, value, of)) return sign + valueText(k, Math.abs(value - of));
  if (value / of >= 2) return `× ${rounded(value / of, 2)}`;
  const part = percentage(Math.abs(value / of - 1));
  return /^[<>]/.test(part) ? `${part} ${value < of ? "less" : "more"}` : sign + part;
}

const joined = (words) => (words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : (words[0] ?? ""));

// A model's losses and gains against another.
function trade(group, ks, at, of, reference) {
  const [gains, losses, first] = [[], [], []];
  for (const k of [reference, ...ks.filter((other) => other !== reference)]) {
    const [value, other] = [valuesOf(group, k)[at], valuesOf(group, k)[of]];
    const words = change(k, value, other);
    const isBetter = objectives[k].isQuality ? value > other : value < other;
    if (words) (isBetter ? gains : k === reference ? first : losses).push(words);
  }
  if (gains.length || !losses.length) return [...first, ...gains].join(", ") + (losses.length ? `, but ${joined(losses)}` : "");
  return joined([...first, ...losses]);
}

const nameOf = (group, at) => group.models.name[at];
const referenceOf = (ks) => ks.find((k) => objectives[k].isQuality) ?? ks[0];

function gain(group, ks, at) {
  if (usedOf(group) === 1) return "";
  const k = referenceOf(ks);
  const front = frontOf(group, ks);
  const within = isLimited(group) ? " within the limits" : "";
  const [low, high] = endsOf(valuesOf(group, k), front);
  const best = front.find((p) => valuesOf(group, k)[p] === (objectives[k].isQuality ? high : low));
  if (valuesOf(group, k)[at] === valuesOf(group, k)[best]) return `It is also the ${objectives[k].bestWord}${within}.`;
  return `Against ${nameOf(group, best)}, the ${objectives[k].bestWord}${within} (${valueText(k, valuesOf(group, k)[best])}): ${trade(group, ks, at, best, k)}.`;
}

function share(part, sampled) {
  const percent = 100 * part;
  if (sampled) return percent < 0.5 ? "<1 %" : percent >= 99.5 ? ">99 %" : `${Math.round(percent)} %`;
  if (percent > 0 && percent < 0.1) return "<0.1 %";
  if (percent > 99.9 && percent < 100) return ">99.9 %";
  return `${Number(percent.toPrecision(3))} %`;
}

const rivalOf = (shares, picks) => [...shares].filter(([p, part]) => part > 0 && !picks.includes(p)).sort((p, q) => q[1] - p[1] || p[0] - q[0])[0];

// How much the choice depends on the weights and, at the weights of the command, on the measurements.
const usedOf = (group) => (isLimited(group) ? left(group).length : group.total);
function certainty(group, picks) {
  if (usedOf(group) === 1) return "It is the only model.";
  const ks = page.answer;
  const [at] = picks;
  const { front } = deviationsOf(group, ks);
  if (front.every((p) => ks.every((k) => valuesOf(group, k)[p] === valuesOf(group, k)[front[0]]))) {
    return `No model${isLimited(group) ? " within the limits" : ""} is better in any objective than ${nameOf(group, at)}, whatever the weights.`;
  }
  const { shares, error } = sharesOf(group);
  const own = shares.get(at) ?? 0;
  const rival = rivalOf(shares, picks);
  const about = error ? ` (± ${Math.round(100 * error)} %)` : "";
  let text = `${nameOf(group, at)} is the best trade-off under ${share(own, error > 0)}${about} of all weightings${isLimited(group) ? " within the limits" : ""}`;
  if (rival) text += `, ${nameOf(group, rival[0])} under ${share(rival[1], error > 0)}`;
  if (rival && rival[1] > own) text += ": the choice depends on the weights, and another model wins under more of them.";
  else text += `: the choice ${own >= 0.9 ? "hardly depends" : own >= 0.5 ? "depends somewhat" : "depends"} on the weights.`;
  return text + (isLimited(group) || !group.resamples ? "" : again(group, picks));
}

// Whether each limit binds, and the gain from dropping it.
function bounds(group, picks) {
  const words = [];
  state.limits.forEach((limit, k) => {
    if (limit === null) return;
    const name = objectives[k].isKnown ? objectives[k].name[0].toUpperCase() + objectives[k].name.slice(1) : objectives[k].name;
    const said = `${name} ${objectives[k].isQuality ? "≥" : "≤"} ${valueText(k, limit)}`;
    state.limits[k] = null;
    const without = answerOf(group).picks;
    state.limits[k] = limit;
    const isSame = without.length === picks.length && without.every((at) => picks.includes(at));
    const gained = isSame ? "" : trade(group, page.answer, without[0], picks[0], referenceOf(page.answer)) || "the same values";
    words.push(isSame ? `${said} does not bind.` : `${said} binds: without it the choice would be ${nameOf(group, without[0])}: ${gained}.`);
  });
  return words.join(" ");
}

function again(group, picks) {
  const of = (p) => group.again[p] ?? [0, 0];
  const over = ` Over ${grouped(String(group.resamples))} resamplings of the measurements it is on the front in ${share(of(picks[0])[0], true)}`;
  if (!isAsBegun()) return `${over}.`;
  const other = Object.entries(group.again).filter(([p]) => !picks.includes(Number(p))).sort((a, b) => b[1][1] - a[1][1])[0];
  const rival = other && other[1][1] > 0 ? `, ${nameOf(group, other[0])} in ${share(other[1][1], true)}` : "";
  return `${over} and the best trade-off in ${share(of(picks[0])[1], true)}${rival}.`;
}
