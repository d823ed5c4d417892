// ---- Ranked heads

const ranked = [...result.heads].sort((one, other) => Math.abs(other.patchingEffect) - Math.abs(one.patchingEffect));

const hasDirect = result.heads.some(head => head.directLogitAttribution !== undefined);
const important = new Set(result.importantHeads.map(head => head.name));

const beyond = new Set(result.heads.filter(head => head.jointInterval && sureSize(head) > result.threshold).map(head => head.name));

// The least |effect| that the interval for all heads together holds.
function sureSize(head) {
  const ends = head.anytimeInterval ?? head.jointInterval;
  return ends ? Math.max(0, ends[0], -ends[1]) : 0;
}

const DECISIONS = { above: `> ${result.threshold}`, below: "below", undecided: "open" };

// Of an adaptive sweep.
function decidedCell(head) {
  const cell = element("td", `decision ${head.decision}`, DECISIONS[head.decision]);
  cell.title = `${{ above: `|effect| is above ${result.threshold}`, below: `|effect| is not above ${result.threshold}`, undecided: "not decided" }[head.decision]}: run on ${head.pairsRun} of ${plural(head.pairs, "pair", "pairs")}`;
  return cell;
}

function sureCell(head) {
  if (adaptive) return decidedCell(head);
  const cell = element("td", "", !head.jointInterval ? "–" : beyond.has(head.name) ? `> ${result.threshold}` : head.excludesZero ? "≠ 0" : "–");
  cell.title = `${beyond.has(head.name) ? `surely beyond ±${result.threshold}` : head.excludesZero ? "surely not 0" : "may be 0"}; all ${units} at once: ${interval(head.jointInterval)}`;
  return cell;
}

function headLink(name) {
  const head = headResults.get(name);
  const link = element("button", "head-link", name);
  link.type = "button";
  link.title = "Show in the heatmap";
  link.addEventListener("click", () => focusCell(head.layer, columnOf(head)));
  return link;
}

function rankingRow(head, index, largest) {
  const bar = element("span", `bar ${head.patchingEffect < 0 ? "negative" : "positive"}`);
  bar.style.width = `${(Math.abs(head.patchingEffect) / largest * 100).toFixed(2)}%`;
  const unsure = isUnsure(head);
  const row = element("tr", `${important.has(head.name) && !unsure ? "" : "unimportant"} ${unsure ? "unsure" : ""}`.trim(),
    element("td", "number", String(index + 1)),
    element("td", "", headLink(head.name)),
    element("td", "bar-column", bar),
    element("td", `number ${head.estimated ? "estimated-value" : ""}`, `${head.estimated ? "~ " : ""}${number(head.patchingEffect, 4)}`),
    element("td", "number", interval(head.anytimeInterval ?? head.confidenceInterval)),
    together || adaptive ? sureCell(head) : null,
    adaptive ? element("td", "number", String(head.pairsRun)) : null,
    adaptive?.estimates ? element("td", "number estimated-value", number(head.estimatedEffect, 4)) : null,
    view.top !== null ? element("td", "number", percent(head.inTop[together.tops.indexOf(view.top)])) : null,
    hasDirect ? element("td", "number direct", number(head.directLogitAttribution)) : null,
    element("td", "number", number(head.patchedMetric)));
  if (byPosition) row.append(element("td", "number", strongestPosition(head)));
  return row;
}

function showRanking(count) {
  const largest = Math.abs(ranked[0]?.patchingEffect ?? 0) || 1;
  for (const button of document.querySelectorAll("#ranking [data-sort]")) {
    button.closest("th").setAttribute("aria-sort", button.dataset.sort === view.sort ? (view.sort === "name" ? "ascending" : "descending") : "none");
  }
  byId("ranking").tBodies[0].replaceChildren(...sorted().slice(0, count).map((head, index) => rankingRow(head, index, largest)));
  const button = byId("show-all");
  button.hidden = ranked.length <= HEADS_AT_FIRST;
  button.textContent = count < ranked.length ? `Show all ${ranked.length} ${units}` : `Show the first ${HEADS_AT_FIRST}`;
  button.onclick = () => showRanking(count < ranked.length ? ranked.length : HEADS_AT_FIRST);
}

// |effect| first, as the numbers of the rows have it; or by the effect with its sign, by what of it is sure, by what a head adds directly, or in the model's order.
function sorted() {
  if (view.sort === "signed") return [...ranked].sort((one, other) => other.patchingEffect - one.patchingEffect);
  if (view.sort === "direct") return [...ranked].sort((one, other) => Math.abs(other.directLogitAttribution) - Math.abs(one.directLogitAttribution));
  if (view.sort === "sure") return [...ranked].sort((one, other) => sureSize(other) - sureSize(one));
  return view.sort === "name" ? result.heads : ranked;
}

const surelyNotZero = result.importantHeads.filter(head => head.excludesZero).length;
const surelyBeyond = result.importantHeads.filter(head => beyond.has(head.name)).length;

// Among how many of the strongest: at first as many as are important.
function setUpTop() {
  const tops = together?.tops ?? [];
  byId("ranking-sure").hidden = !together && !adaptive;
  byId("ranking-pairs").hidden = !adaptive;
  byId("ranking-estimate").hidden = !adaptive?.estimates;
  if (adaptive) {
    byId("ranking-sure").firstElementChild.textContent = "Decided";
    byId("ranking-interval").textContent = "Interval";
  }
  byId("ranking-top").hidden = tops.length === 0;
  view.top = tops.find(top => top >= result.importantHeads.length) ?? tops.at(-1) ?? null;
  const choice = byId("top-choice");
  choice.append(...tops.map(top => new Option(String(top), String(top), false, top === view.top)));
  choice.addEventListener("change", () => {
    view.top = Number(choice.value);
    showRanking(HEADS_AT_FIRST);
    describe(current);
  });
}

function setUpRanking() {
  byId("ranking-direct").hidden = !hasDirect;
  for (const button of document.querySelectorAll("#ranking [data-sort]")) {
    button.addEventListener("click", () => {
      view.sort = button.dataset.sort;
      keepAddress();
      showRanking(HEADS_AT_FIRST);
    });
  }
  byId("ranking-position").hidden = !byPosition;
  setUpTop();
  if (roles) byId("ranking-position").textContent = "Role";
  const line = byId("important");
  if (adaptive) {
    line.append(`${plural(adaptive.above, unit, units)} above ${result.threshold}, ${adaptive.below} not${adaptive.undecided ? `, ${adaptive.undecided} left open` : ""}, by ${adaptive.runs.toLocaleString("en")} of ${plural(adaptive.runsOfExact, "run", "runs")} (${percent(adaptive.runs / Math.max(1, adaptive.runsOfExact))}). `
      + `In ${percent(adaptive.confidence)} of such sweeps every interval holds the effect over these pairs.`);
  }
  const rule = adaptive ? `above ${result.threshold}` : `beyond ±${result.threshold}${result.heads.some(head => head.confidenceInterval) ? ", with an interval that leaves out 0" : ""}`;
  line.append(result.importantHeads.length === 0 ? `No ${unit} has an effect ${rule}.` : `Important (${rule}):`);
  line.append(...result.importantHeads.slice(0, MOST_IMPORTANT_NAMED).map(head => headLink(head.name)));
  const more = result.importantHeads.length - MOST_IMPORTANT_NAMED;
  if (more > 0) line.append(`and ${more} more`);
  if (together && result.importantHeads.length > 0) {
    line.append(`All ${plural(result.heads.length, unit, units)} taken together, ${surelyNotZero} of them ${surelyNotZero === 1 ? "is" : "are"} surely not 0, ${surelyBeyond} surely beyond ±${result.threshold}.`);
  }
  if (result.heads.some(head => head.estimated)) {
    byId("estimated-note").hidden = false;
    line.append("Effects with ~ are estimates and were not run.");
  }
}
