// ---- What the heatmap shows: the mean or one pair; with a result per position, the strongest position or one of them

function tablesByPosition() { // [layer][place][head], or null
  if (view.pair !== null) return effectsByPlace(view.pair);
  return (roles ? result.heatmapByRole : result.heatmapByPosition) ?? null;
}

function effectsByPlace(pair) { // [layer][place][head], or null; 0 at a role that the pair does not name
  if (!roles) return pair.patchingEffectByPosition ?? null;
  if (!hasEffects(pair)) return null;
  return headsOf.map((heads, layer) => roles.map(role => pair.roles?.[role] === undefined
    ? heads.map(() => 0)
    : (pair.patchingEffectByRole?.[role][layer] ?? pair.patchingEffectByPosition[layer][pair.roles[role]])));
}

function patchedAt(pair, layer, place, index) {
  if (place === null) return pair.patchedMetric?.[layer][index];
  if (!roles) return pair.patchedMetricByPosition[layer][place][index];
  const role = roles[place];
  return pair.patchedMetricByRole?.[role]?.[layer][index] ?? pair.patchedMetricByPosition?.[layer][pair.roles?.[role]]?.[index];
}

function hasEffects(pair) {
  return Boolean(pair.patchingEffect || pair.patchingEffectByPosition || pair.patchingEffectByRole);
}

function strongestOver(table) { // [layer][position][head] to [layer][head]
  return table.map(positions => positions[0].map((_, head) =>
    positions.reduce((best, row) => Math.abs(row[head]) > Math.abs(best) ? row[head] : best, 0)));
}

function shownEffects() { // [layer][column]
  if (columnsArePositions) return tablesByPosition().map(positions => positions.map(row => row[0]));
  if (view.position !== null) return tablesByPosition().map(positions => positions[view.position]);
  if (view.pair === null) return result.heatmap;
  return view.pair.patchingEffect ?? strongestOver(effectsByPlace(view.pair));
}

// ---- Where nothing can be: another thing than an effect of 0

const firstDifferences = new Map(pairs.map(pair => {
  const at = pair.cleanTokens.findIndex((id, position) => id !== pair.corruptedTokens[position]);
  return [pair, at < 0 ? pair.cleanTokens.length : at];
}));

// The position of a place in a pair: undefined where it has none, null where it is not one position.
function positionIn(pair, place) {
  if (place !== null) return roles ? pair.roles?.[roles[place]] : place;
  if (typeof result.positions === "number") return result.positions < 0 ? pair.cleanTokens.length + result.positions : result.positions;
  return ["all", "each", "each-role"].includes(result.positions) ? null : pair.roles?.[result.positions];
}

function canChange(pair, layer, position) {
  if (position === undefined || data.reach[layer] === "nothing") return false;
  if (position === null) return true;
  return (data.changesBeforeDifference || position >= firstDifferences.get(pair))
    && (data.reach[layer] !== "last-position" || position === pair.cleanTokens.length - 1);
}

function isBlank(layer, place, effect) {
  if (effect !== 0) return false;
  const some = view.pair === null ? pairs.filter(pair => positionIn(pair, place) !== undefined) : [view.pair];
  return data.reach[layer] === "nothing" || (some.length > 0 && some.every(pair => !canChange(pair, layer, positionIn(pair, place))));
}

// One scale for all pairs and positions, that of the pictures too: what is beyond it has its strongest colour.
function colour(cell, effect, limit, blank = false) {
  const strength = Math.min(1, Math.abs(effect) / limit);
  cell.classList.toggle("blank", blank);
  cell.classList.toggle("positive", !blank && effect > 0);
  cell.classList.toggle("negative", !blank && effect < 0);
  cell.classList.toggle("strong", !blank && strength > 0.75);
  cell.style.setProperty("--strength", `${(strength * 100).toFixed(2)}%`);
}

const shortNumber = effect => number(Math.abs(effect) < 0.005 ? 0 : effect, 2);

// ---- Heatmap

const grid = byId("heatmap");
const cells = [...grid.querySelectorAll("[role=gridcell]")];
const rows = [...grid.querySelectorAll(".row:not(.columns)")].map(row => [...row.querySelectorAll("[role=gridcell]")]);
const hasValues = grid.dataset.values === "true";
let current = null; // the cell whose numbers are in the detail panel
let settled = null; // the one to go back to when the pointer leaves

const UNSURE = adaptive ? `not above ${result.threshold}, or not decided` : "may be 0";

function paint() {
  const effects = shownEffects();
  let blanks = false, beyond = false, unsures = false;
  for (const cell of cells) {
    const { layer, column } = cell.dataset;
    const effect = effects[layer][column];
    const head = headAt(layer, column);
    const blank = isBlank(Number(layer), columnsArePositions ? Number(column) : view.position, effect);
    blanks ||= blank;
    beyond ||= Math.abs(effect) > data.limit;
    cell.dataset.effect = String(effect);
    colour(cell, effect, data.limit, blank);
    const unsure = !blank && isUnsure(head) && isOfHead(Number(column), head);
    unsures ||= unsure;
    cell.classList.toggle("unsure", unsure);
    cell.classList.toggle("estimated", head.estimated === true);
    const where = columnsArePositions ? `, ${placeWord} ${positionName(Number(column))}` : "";
    cell.setAttribute("aria-label", `${head.name}${where}, ${blank ? "no effect possible" : `effect ${number(effect)}`}${unsure ? `, ${UNSURE}` : ""}${head.estimated ? ", estimated" : ""}`);
    if (hasValues) cell.textContent = blank ? "" : shortNumber(effect);
  }
  byId("legend-low").textContent = `${beyond ? "≤ " : ""}${number(-data.limit, 2)}`;
  byId("legend-high").textContent = `${beyond ? "≥ " : ""}${number(data.limit, 2)}`;
  byId("blank-note").hidden = !blanks;
  byId("unsure-note").hidden = !unsures;
  if (adaptive) byId("unsure-words").textContent = UNSURE;
  if (current) describe(current);
}

// Whether the numbers of heads[] are those of a head's cell: over all pairs, of all positions or of the head's strongest one.
function isOfHead(column, head) {
  return view.pair === null && (columnsArePositions ? column === columnOf(head) : view.position === null);
}

function describe(cell) {
  current?.classList.remove("current");
  current = cell;
  cell.classList.add("current");

  const head = headAt(cell.dataset.layer, cell.dataset.column);
  const column = Number(cell.dataset.column);
  const position = columnsArePositions ? column : view.position;
  const blank = cell.classList.contains("blank");
  const ofAllPairs = view.pair === null;
  const whole = isOfHead(column, head);
  const list = element("dl");
  definition(list, head.estimated ? "Effect (estimated)" : "Effect", blank ? "none possible" : number(Number(cell.dataset.effect), 4), "main-value");
  if (whole) {
    if (!head.estimated && head.estimatedEffect !== undefined) definition(list, "Estimated effect", number(head.estimatedEffect, 4));
    if (adaptive) {
      definition(list, "Decided", { above: `above ${result.threshold}`, below: `not above ${result.threshold}`, undecided: "left open" }[head.decision]);
      definition(list, "Interval", interval(head.anytimeInterval));
      definition(list, "Run on", `${head.pairsRun} of ${plural(head.pairs, "pair", "pairs")}`);
    } else {
      definition(list, "95 % interval", interval(head.confidenceInterval));
    }
    if (head.jointInterval) definition(list, `All ${units} at once`, interval(head.jointInterval));
    if (!adaptive) definition(list, "Standard error", number(head.standardError, 4));
    if (view.top !== null) definition(list, `In top ${view.top}`, percent(head.inTop[together.tops.indexOf(view.top)]));
    definition(list, "Clean metric", number(head.cleanMetric));
    definition(list, "Corrupted metric", number(head.corruptedMetric));
    definition(list, head.estimated ? "Patched metric (estimated)" : "Patched metric", number(head.patchedMetric));
    if (byPosition && !columnsArePositions) definition(list, `Strongest at ${placeWord}`, strongestPosition(head));
  } else {
    definition(list, "Clean metric", number(ofAllPairs ? head.cleanMetric : view.pair.cleanMetric));
    definition(list, "Corrupted metric", number(ofAllPairs ? head.corruptedMetric : view.pair.corruptedMetric));
    const index = headsOf[head.layer].indexOf(head);
    const patched = ofAllPairs ? undefined : patchedAt(view.pair, head.layer, position, index);
    if (patched !== undefined) definition(list, head.estimated ? "Patched metric (estimated)" : "Patched metric", number(patched));
  }
  if (ofAllPairs && head.directLogitAttribution !== undefined) definition(list, "Direct logit attribution", number(head.directLogitAttribution));
  const scope = ofAllPairs ? `over ${plural(head.pairs ?? pairsInAll, "pair", "pairs")}` : `pair ${view.pair.index}`;
  const where = position === null ? "" : `, ${placeWord} ${columnsArePositions || roles ? positionName(position) : position}`;
  byId("detail").replaceChildren(
    element("h3", "", head.name),
    element("p", "", head.hookPoint, element("br"), `${scope}${where}`),
    list);
}

// The column where the head's own numbers are: its own, or its strongest position.
function columnOf(head) {
  if (!columnsArePositions) return head.head ?? 0;
  return roles ? roles.indexOf(head.role) : result.heatmapByPosition[head.layer].length + head.position;
}

// Counted from the end, as the result has it, and from the start where all prompts have one length.
function strongestPosition(head) {
  const length = result.heatmapByPosition?.[0].length;
  const few = head.pairs > 0 && head.pairs < FEW_PAIRS ? `, ${plural(head.pairs, "pair", "pairs")}` : "";
  if (head.role !== undefined) return head.role + few;
  return (length === undefined ? signed(head.position) : `${length + head.position} (${signed(head.position)})`) + few;
}

// The cell that is chosen; whether it goes into the address: not where nobody chose it.
function settle(cell, chosen = true) {
  for (const other of cells) other.tabIndex = other === cell ? 0 : -1;
  settled = cell;
  describe(cell);
  view.head = chosen ? headAt(cell.dataset.layer, cell.dataset.column).name : null;
  if (columnsArePositions) view.position = chosen ? Number(cell.dataset.column) : null;
  if (chosen) keepAddress();
  showHead();
}

const chosenHead = () => settled ? headAt(settled.dataset.layer, settled.dataset.column) : ranked[0];

function focusCell(layer, column) {
  const cell = rows[layer][column];
  resting = true;
  cell.focus();
  cell.scrollIntoView({ block: "nearest", inline: "nearest" });
}

// A cell that comes to lie under a pointer that rests, because the page was scrolled to another, is not pointed at.
let resting = false;
addEventListener("pointermove", event => { if (event.movementX !== 0 || event.movementY !== 0) resting = false; });
grid.addEventListener("pointerover", event => {
  const cell = event.target.closest("[role=gridcell]");
  if (cell && !resting) describe(cell);
});
grid.addEventListener("pointerleave", () => { if (settled) describe(settled); });
grid.addEventListener("focusin", event => {
  const cell = event.target.closest("[role=gridcell]");
  if (cell) settle(cell);
});
grid.addEventListener("click", event => event.target.closest("[role=gridcell]")?.focus());
grid.addEventListener("keydown", event => {
  const cell = event.target.closest("[role=gridcell]");
  if (!cell) return;
  const [lastLayer, lastColumn] = [rows.length - 1, rows[0].length - 1];
  let [layer, column] = [Number(cell.dataset.layer), Number(cell.dataset.column)];
  switch (event.key) {
    case "ArrowUp": layer--; break;
    case "ArrowDown": layer++; break;
    case "ArrowLeft": column--; break;
    case "ArrowRight": column++; break;
    case "Home": column = 0; if (event.ctrlKey) layer = 0; break;
    case "End": column = lastColumn; if (event.ctrlKey) layer = lastLayer; break;
    case "PageUp": layer -= 5; break;
    case "PageDown": layer += 5; break;
    default: return;
  }
  event.preventDefault();
  focusCell(Math.min(Math.max(layer, 0), lastLayer), Math.min(Math.max(column, 0), lastColumn));
});

// ---- Choice of pair and position

function answer(pair, which) {
  return visible(pair[`${which}Text`] ?? String(pair[which])).trim();
}

function setUpChoices() {
  const choice = byId("pair-choice");
  choice.append(new Option(`All ${pairsInAll} (${result.aggregation})`, ""));
  for (const [place, pair] of pairs.entries()) {
    if (hasEffects(pair)) {
      choice.append(new Option(`Pair ${pair.index}: ${answer(pair, "correct")} / ${answer(pair, "incorrect")}`, String(place)));
    }
  }
  choice.addEventListener("change", () => {
    choosePair(choice.value === "" ? null : pairs[Number(choice.value)]);
    paint();
    keepAddress();
    showHead();
  });
  for (const [id, event] of [["one-position", "change"], ["position", "input"]]) {
    byId(id).addEventListener(event, () => { choosePosition(); paint(); keepAddress(); });
  }
}

function choosePair(pair) {
  view.pair = pair;
  byId("pair-choice").value = pair === null ? "" : String(pairs.indexOf(pair));
  setUpPositions();
}

function tokenLabel(clean, corrupted) {
  return clean === corrupted
    ? element("span", "token-label", visible(clean).trim())
    : element("span", "token-label", token(clean.trim(), "clean"), " ", token(corrupted.trim(), "corrupted"));
}

// Over the columns of positions: the tokens of the chosen pair, or of the first.
function labelPositions() {
  const pair = view.pair ?? pairs[0];
  const headers = [...grid.querySelectorAll(".columns [role=columnheader]")].slice(1);
  for (const [position, header] of headers.entries()) {
    header.querySelector(".token-label")?.remove();
    header.setAttribute("aria-label", `Position ${positionName(position)}`);
    const [clean, corrupted] = [pair?.cleanTokenTexts?.[position], pair?.corruptedTokenTexts?.[position]];
    if (clean === undefined || corrupted === undefined) continue;
    header.append(tokenLabel(clean, corrupted));
  }
}

function setUpPositions() {
  if (columnsArePositions) {
    if (!roles) labelPositions();
    return;
  }
  const tables = byPosition ? tablesByPosition() : null;
  byId("position-controls").hidden = tables === null;
  if (tables === null) {
    view.position = null;
    return;
  }
  byId("position").max = String(tables[0].length - 1);
  choosePosition();
}

function choosePosition() {
  const slider = byId("position");
  const one = byId("one-position").checked;
  slider.disabled = !one;
  view.position = one ? Number(slider.value) : null;
  byId("position-name").textContent = one ? positionName(view.position) : `strongest of each ${unit}`;
}

function positionName(position) {
  if (roles) return roles[position] + (result.roles[position].pairs < pairsInAll ? ` (${plural(result.roles[position].pairs, "pair", "pairs")})` : "");
  const pair = view.pair ?? pairs[0];
  const [clean, corrupted] = [pair?.cleanTokenTexts?.[position], pair?.corruptedTokenTexts?.[position]];
  if (clean === undefined || corrupted === undefined) return String(position);
  const texts = clean === corrupted ? visible(clean).trim() : `${visible(clean).trim()} / ${visible(corrupted).trim()}`;
  return `${position}: ${texts}${view.pair === null && pairsInAll > 1 ? ` (pair ${pair.index})` : ""}`;
}
