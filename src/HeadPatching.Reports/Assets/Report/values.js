const result = data.result;

const HEADS_AT_FIRST = 20;
const MOST_IMPORTANT_NAMED = 40;
const PAIRS_AT_A_TIME = 20;

// ---- Small helpers

function number(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const text = size !== 0 && (size >= 1e5 || size < 0.5 * 10 ** -digits) ? value.toExponential(1) : value.toFixed(digits);
  return text.replace("-", "−");
}

function interval(ends) {
  return ends ? `${number(ends[0])} to ${number(ends[1])}` : "–";
}

function duration(seconds) {
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${number(seconds, 1)} s`;
}

function plural(count, one, many) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

// Tokens that break lines or cannot be seen are shown by a sign.
function visible(text) {
  return text === "" ? "∅" : text.replace(/\r?\n|\r/g, "↵").replace(/\t/g, "⇥");
}

const mean = numbers => numbers.length ? numbers.reduce((sum, value) => sum + value, 0) / numbers.length : null;
const headResults = new Map(result.heads.map(head => [head.name, head]));
const pairs = result.pairs;
const pairsInAll = result.dataset.pairs;
const byPosition = result.positions === "each" || result.positions === "each-role"; // a result for each of several places
// The places are roles where each was patched in turn, or where a position is not the same place in all pairs and they name roles.
const roles = result.positions === "each-role" || result.heads.some(head => head.role !== undefined) ? result.roles.map(role => role.name) : null;

// What the grid's columns are: "heads", "key-value-heads", "layer" (one column) or "positions"; and what was patched: a head, a layer.
const { kind, unit } = byId("heatmap").dataset;
const units = `${unit}s`;
const columnsArePositions = kind === "positions" || kind === "roles";
const headsOf = result.heads.reduce((layers, head) => { (layers[head.layer] ??= []).push(head); return layers; }, []); // [layer][index]
const headAt = (layer, column) => headsOf[layer][columnsArePositions ? 0 : column];
const placeWord = roles ? "role" : "position";
const FEW_PAIRS = 5;
// What all heads say together; of results before it, and over few pairs, nothing.
const together = result.jointIntervals ?? null;
// What an adaptive sweep decided, and whether it had estimates.
const adaptive = result.adaptive ? { ...result.adaptive, estimates: result.heads.some(head => head.estimatedEffect !== undefined) } : null;
const isUnsure = head => head.excludesZero === false || (head.decision !== undefined && head.decision !== "above");
const percent = share => `${(100 * share).toFixed(share > 0.995 || share < 0.005 ? 1 : 0)} %`.replace(/^(0|100)\.0 /, "$1 ");
const signed = value => String(value).replace("-", "−");
