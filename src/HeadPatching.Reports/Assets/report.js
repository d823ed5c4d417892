"use strict";
// Everything that is shown comes from the data block of this page, and texts enter the page as text only (textContent): token texts,
// names and warnings are whatever somebody put into a prompts file.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const result = data.result;
  const byId = id => document.getElementById(id);

  const HEADS_AT_FIRST = 20;
  const MOST_IMPORTANT_NAMED = 40;
  const PAIRS_AT_A_TIME = 20;
  const LEAST_LIMIT = 0.1; // of the colours, as in the pictures

  // ---- Small helpers

  function element(tag, className, ...children) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    made.append(...children.filter(child => child !== null && child !== undefined));
    return made;
  }

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

  function definition(list, term, value, className) {
    list.append(element("dt", "", term), element("dd", className ?? "", value));
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
  const signed = value => String(value).replace("-", "−");

  // ---- What the heatmap shows: the mean or one pair; with a result per position, the strongest position or one of them

  const view = { pair: null, position: null };

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

  // One scale for all positions, so that moving the slider compares like with like; never so fine that effects of nearly 0 are strong.
  function shownLimit(effects) {
    const values = view.position === null ? effects.flat() : tablesByPosition().flat(2);
    return values.reduce((largest, value) => Math.max(largest, Math.abs(value)), LEAST_LIMIT);
  }

  // ---- Heatmap

  const grid = byId("heatmap");
  const cells = [...grid.querySelectorAll("[role=gridcell]")];
  const rows = [...grid.querySelectorAll(".row:not(.columns)")].map(row => [...row.querySelectorAll("[role=gridcell]")]);
  const hasValues = grid.dataset.values === "true";
  let current = null; // the cell whose numbers are in the detail panel
  let settled = null; // the one to go back to when the pointer leaves

  function paint() {
    const effects = shownEffects();
    const limit = shownLimit(effects);
    for (const cell of cells) {
      const { layer, column } = cell.dataset;
      const effect = effects[layer][column];
      const head = headAt(layer, column);
      const strength = Math.abs(effect) / limit;
      cell.dataset.effect = String(effect);
      cell.classList.toggle("positive", effect > 0);
      cell.classList.toggle("negative", effect < 0);
      cell.classList.toggle("strong", strength > 0.75);
      cell.style.setProperty("--strength", `${(strength * 100).toFixed(2)}%`);
      cell.classList.toggle("estimated", head.estimated === true);
      const where = columnsArePositions ? `, ${placeWord} ${positionName(Number(column))}` : "";
      cell.setAttribute("aria-label", `${head.name}${where}, effect ${number(effect)}${head.estimated ? ", estimated" : ""}`);
      if (hasValues) cell.textContent = number(Math.abs(effect) < 0.005 ? 0 : effect, 2);
    }
    byId("legend-low").textContent = number(-limit, 2);
    byId("legend-high").textContent = number(limit, 2);
    if (current) describe(current);
  }

  function describe(cell) {
    current?.classList.remove("current");
    current = cell;
    cell.classList.add("current");

    const head = headAt(cell.dataset.layer, cell.dataset.column);
    const column = Number(cell.dataset.column);
    const position = columnsArePositions ? column : view.position;
    const ofAllPairs = view.pair === null;
    // The numbers of heads[] are those of this cell: of all positions, or of the head's strongest one.
    const whole = ofAllPairs && (columnsArePositions ? column === columnOf(head) : position === null);
    const list = element("dl");
    definition(list, head.estimated ? "Effect (estimated)" : "Effect", number(Number(cell.dataset.effect), 4), "main-value");
    if (whole) {
      if (!head.estimated && head.estimatedEffect !== undefined) definition(list, "Estimated effect", number(head.estimatedEffect, 4));
      definition(list, "95 % interval", interval(head.confidenceInterval));
      definition(list, "Standard error", number(head.standardError, 4));
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

  function settle(cell) {
    for (const other of cells) other.tabIndex = other === cell ? 0 : -1;
    settled = cell;
    describe(cell);
  }

  function focusCell(layer, column) {
    const cell = rows[layer][column];
    cell.focus();
    cell.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  grid.addEventListener("pointerover", event => {
    const cell = event.target.closest("[role=gridcell]");
    if (cell) describe(cell);
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
      view.pair = choice.value === "" ? null : pairs[Number(choice.value)];
      setUpPositions();
      paint();
    });
    byId("one-position").addEventListener("change", () => { choosePosition(); paint(); });
    byId("position").addEventListener("input", () => { choosePosition(); paint(); });
    setUpPositions();
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
      header.append(clean === corrupted
        ? element("span", "token-label", visible(clean).trim())
        : element("span", "token-label", token(clean.trim(), "clean"), " ", token(corrupted.trim(), "corrupted")));
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

  // ---- Ranked heads

  const ranked = [...result.heads].sort((one, other) => Math.abs(other.patchingEffect) - Math.abs(one.patchingEffect));

  const important = new Set(result.importantHeads.map(head => head.name));

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
    const row = element("tr", important.has(head.name) ? "" : "unimportant",
      element("td", "number", String(index + 1)),
      element("td", "", headLink(head.name)),
      element("td", "bar-column", bar),
      element("td", `number ${head.estimated ? "estimated-value" : ""}`, `${head.estimated ? "~ " : ""}${number(head.patchingEffect, 4)}`),
      element("td", "number", interval(head.confidenceInterval)),
      element("td", "number", number(head.patchedMetric)));
    if (byPosition) row.append(element("td", "number", strongestPosition(head)));
    return row;
  }

  function showRanking(count) {
    const largest = Math.abs(ranked[0]?.patchingEffect ?? 0) || 1;
    byId("ranking").tBodies[0].replaceChildren(...ranked.slice(0, count).map((head, index) => rankingRow(head, index, largest)));
    const button = byId("show-all");
    button.hidden = ranked.length <= HEADS_AT_FIRST;
    button.textContent = count < ranked.length ? `Show all ${ranked.length} ${units}` : `Show the first ${HEADS_AT_FIRST}`;
    button.onclick = () => showRanking(count < ranked.length ? ranked.length : HEADS_AT_FIRST);
  }

  function setUpRanking() {
    byId("ranking-position").hidden = !byPosition;
    if (roles) byId("ranking-position").textContent = "Role";
    showRanking(HEADS_AT_FIRST);
    const line = byId("important");
    const rule = `beyond ±${result.threshold}${result.heads.some(head => head.confidenceInterval) ? ", with an interval that leaves out 0" : ""}`;
    line.append(result.importantHeads.length === 0 ? `No ${unit} has an effect ${rule}.` : `Important (${rule}):`);
    line.append(...result.importantHeads.slice(0, MOST_IMPORTANT_NAMED).map(head => headLink(head.name)));
    const more = result.importantHeads.length - MOST_IMPORTANT_NAMED;
    if (more > 0) line.append(`and ${more} more`);
    if (result.heads.some(head => head.estimated)) {
      byId("estimated-note").hidden = false;
      line.append("Effects with ~ are estimates and were not run.");
    }
  }

  // ---- Estimates held against what was run

  function svg(tag, attributes, ...children) {
    const made = document.createElementNS(byId("scatter").namespaceURI, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  function correlation(points) { // Pearson's; null where one side does not vary
    const [meanX, meanY] = [mean(points.map(point => point.x)), mean(points.map(point => point.y))];
    const sum = of => points.reduce((total, { x, y }) => total + of(x - meanX, y - meanY), 0);
    const size = Math.sqrt(sum(x => x * x) * sum((_, y) => y * y));
    return size > 0 ? sum((x, y) => x * y) / size : null;
  }

  function setUpScreen() {
    const points = ranked
      .filter(head => !head.estimated && head.estimatedEffect !== undefined)
      .map(head => ({ name: head.name, x: head.estimatedEffect, y: head.patchingEffect }));
    if (points.length === 0) return;
    byId("screen").hidden = false;
    const deviation = point => Math.abs(point.x - point.y);
    const furthest = points.reduce((one, other) => deviation(other) > deviation(one) ? other : one);
    const agreement = correlation(points);
    byId("screen-summary").textContent = `The ${plural(points.length, unit, units)} that ran: `
      + `${agreement === null ? "" : `correlation ${number(agreement)}, `}largest deviation ${number(deviation(furthest))} (${furthest.name}).`;
    byId("screen-table").tBodies[0].append(...points.map(point => element("tr", "",
      element("td", "", headLink(point.name)),
      element("td", "number estimated-value", number(point.x, 4)),
      element("td", "number", number(point.y, 4)),
      element("td", "number", number(point.x - point.y, 4)))));
    drawScatter(points);
  }

  function drawScatter(points) {
    const [left, top, right, bottom] = [52, 8, 352, 272];
    const values = points.flatMap(({ x, y }) => [x, y]).concat(0);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const room = (high - low || 1) * 0.08;
    const share = value => (value - low + room) / (high - low + 2 * room);
    const atX = value => left + share(value) * (right - left);
    const atY = value => bottom - share(value) * (bottom - top);
    const picture = byId("scatter");
    picture.append(
      svg("rect", { class: "frame", x: left, y: top, width: right - left, height: bottom - top }),
      svg("line", { class: "identity", x1: left, y1: bottom, x2: right, y2: top }));
    for (const tick of ticksOf(low, high)) {
      picture.append(
        svg("line", { class: "tick", x1: atX(tick), x2: atX(tick), y1: bottom, y2: top }),
        svg("line", { class: "tick", x1: left, x2: right, y1: atY(tick), y2: atY(tick) }),
        svg("text", { x: atX(tick), y: bottom + 16, "text-anchor": "middle" }, number(tick, 2)),
        svg("text", { x: left - 6, y: atY(tick) + 4, "text-anchor": "end" }, number(tick, 2)));
    }
    for (const point of points) {
      picture.append(svg("circle", { class: "point", cx: atX(point.x), cy: atY(point.y), r: 5 },
        svg("title", {}, `${point.name}: estimated ${number(point.x, 4)}, exact ${number(point.y, 4)}`)));
    }
    picture.append(
      svg("text", { x: (left + right) / 2, y: bottom + 38, "text-anchor": "middle" }, "Estimated effect (dashed: equal to the exact one)"),
      svg("text", { x: 0, y: 0, "text-anchor": "middle", transform: `translate(12 ${(top + bottom) / 2}) rotate(-90)` }, "Exact effect"));
  }

  function ticksOf(low, high) { // round numbers, about four of them
    const least = (high - low || 1) / 4;
    const magnitude = 10 ** Math.floor(Math.log10(least));
    const step = [1, 2, 5, 10].map(factor => factor * magnitude).find(candidate => candidate >= least);
    const ticks = [];
    for (let index = Math.ceil(low / step); index * step <= high; index++) ticks.push(index * step);
    return ticks;
  }

  // ---- Pairs

  function token(text, className, title) {
    const made = element("span", `token ${className}`, visible(text));
    if (title) made.title = title;
    return made;
  }

  // The roles of a pair at a position, as a token's hint says them.
  function rolesAt(pair, position) {
    const names = Object.entries(pair.roles ?? {}).filter(([, at]) => at === position).map(([name]) => name);
    return names.length > 0 ? `, ${names.join(", ")}` : "";
  }

  // The sentence once, with a fork wherever the two prompts differ.
  function tokensOf(pair) {
    const line = element("div", "tokens");
    pair.cleanTokens.forEach((cleanId, position) => {
      const corruptedId = pair.corruptedTokens[position];
      const clean = pair.cleanTokenTexts?.[position] ?? String(cleanId);
      const corrupted = pair.corruptedTokenTexts?.[position] ?? String(corruptedId);
      line.append(cleanId === corruptedId
        ? token(clean, "", `position ${position}${rolesAt(pair, position)}, token ${cleanId}`)
        : element("span", "fork",
          token(clean, "clean", `clean: position ${position}${rolesAt(pair, position)}, token ${cleanId}`),
          token(corrupted, "corrupted", `corrupted: position ${position}${rolesAt(pair, position)}, token ${corruptedId}`)));
    });
    return line;
  }

  function strongestHeads(pair, count) {
    const byPlace = effectsByPlace(pair);
    const effects = pair.patchingEffect ?? (byPlace ? strongestOver(byPlace) : null);
    if (effects === null || pair.degenerate) return [];
    return effects
      .flatMap((row, layer) => row.map((effect, index) => ({ name: headsOf[layer][index].name, effect })))
      .sort((one, other) => Math.abs(other.effect) - Math.abs(one.effect))
      .slice(0, count);
  }

  function labelled(label, value) {
    return element("span", "", `${label} `, element("b", "", value));
  }

  function pairCard(pair, place) {
    const line = element("div", "pair-line",
      element("span", "pair-name", `Pair ${pair.index}`),
      labelled("correct", answer(pair, "correct")),
      labelled("incorrect", answer(pair, "incorrect")),
      labelled("clean metric", number(pair.cleanMetric)),
      labelled("corrupted metric", number(pair.corruptedMetric)));
    const excluded = result.excludedPairs?.find(one => one.index === pair.index);
    if (pair.degenerate || excluded) {
      const badge = element("span", "badge", pair.degenerate ? "degenerate" : excluded.reason);
      badge.title = `Clean and corrupted metric are ${pair.degenerate ? "the same: it has no effects" : "close beside the other pairs'"}${
        excluded ? "; it is left out of the effects over pairs" : ""}.`;
      line.append(badge);
    }
    const strongest = strongestHeads(pair, 3);
    if (strongest.length > 0) {
      const heads = element("span", "", "strongest");
      for (const head of strongest) heads.append(" ", headLink(head.name), ` ${number(head.effect, 2)}`);
      line.append(heads);
    }
    if (hasEffects(pair)) {
      const show = element("button", "head-link", "show in heatmap");
      show.type = "button";
      show.addEventListener("click", () => {
        byId("pair-choice").value = String(place);
        byId("pair-choice").dispatchEvent(new Event("change"));
        byId("heatmap-title").scrollIntoView();
      });
      line.append(show);
    }
    return element("article", "pair", tokensOf(pair), line);
  }

  function showMorePairs() {
    const shown = byId("pairs").childElementCount;
    byId("pairs").append(...pairs.slice(shown, shown + PAIRS_AT_A_TIME).map((pair, index) => pairCard(pair, shown + index)));
    byId("more-pairs").hidden = byId("pairs").childElementCount >= pairs.length;
  }

  // ---- Head and foot of the page

  function formula(text) {
    return text.replaceAll(" - ", " − ");
  }

  function setUpSummary() {
    const facts = [
      result.model.name,
      `${result.dataset.name}, ${plural(pairsInAll, "pair", "pairs")}`,
      ...data.facts,
    ];
    // Each isolated from the next: a name may hold characters that turn the direction of writing.
    byId("lead").append(...facts.flatMap((fact, index) => [index > 0 ? "  ·  " : "", element("bdi", "", fact)]));

    byId("warnings").append(...result.warnings.map(text => element("p", "notice", text)));

    const { metricDetails, normalisation } = result;
    byId("metric").textContent = [
      `Metric: ${result.metric}`,
      metricDetails ? `, ${metricDetails.description} (${metricDetails.unit}; ${metricDetails.higherIsBetter ? "more" : "less"} is better).` : ".",
      normalisation ? ` Effect: ${formula(normalisation)}.` : "",
    ].join("");

    const baseline = result.heads[0];
    const strongest = ranked[0];
    const figures = [
      ["Clean metric", number(baseline?.cleanMetric ?? mean(pairs.map(pair => pair.cleanMetric))), ""],
      ["Corrupted metric", number(baseline?.corruptedMetric ?? mean(pairs.map(pair => pair.corruptedMetric))), ""],
      [`Strongest ${unit}`, strongest?.name ?? "–", number(strongest?.patchingEffect, 2)],
      [`Important ${units}`, String(result.importantHeads.length), `of ${result.heads.length}`],
    ];
    byId("figures").append(...figures.map(([term, value, note]) => element("div", "",
      element("dt", "", term), element("dd", "", value, note ? element("small", "", note) : null))));
  }

  function setUpProvenance() {
    const list = byId("provenance");
    const { model, timings } = result;
    const seconds = (Date.parse(timings.finishedAt) - Date.parse(timings.startedAt)) / 1000;
    const time = text => new Date(text).toISOString().replace("T", " ").replace(/\.\d+Z$/, " UTC");
    definition(list, "Model", `${model.name}, ${plural(model.layers, "layer", "layers")} of ${plural(model.heads, "head", "heads")}${
      model.keyValueHeads ? `, ${plural(model.keyValueHeads, "key/value head", "key/value heads")}` : ""}`);
    definition(list, "Model fingerprint", element("code", "", model.fingerprint));
    definition(list, "Computed in", `${model.dtype} on ${model.device}`);
    definition(list, "Data set", `${result.dataset.name}, ${plural(pairsInAll, "pair", "pairs")}`);
    definition(list, "Patch", `${result.patch} (${result.heads[0]?.hookPoint.replace(/^blocks\.\d+\./, "") ?? ""})`);
    if (data.method) definition(list, "Method", `${result.method}: ${data.method}`);
    if (result.receivers) {
      definition(list, "Paths to", result.receivers.join(", "));
      definition(list, "MLPs", result.freezeMlps ? "frozen: as they are in the run that is patched" : "recomputed: paths through them count");
    }
    definition(list, "Positions", result.positions);
    if (result.ablationDetails) definition(list, "Put in", result.ablationDetails);
    if (result.reference) definition(list, "Reference", `${result.reference.name}, ${plural(result.reference.pairs, "prompt", "prompts")}`);
    definition(list, "Direction", `${result.direction}: ${data.change}`);
    definition(list, "Metric", result.metric);
    if (result.normalisation) definition(list, "Effect", formula(result.normalisation));
    definition(list, "Aggregation", result.aggregation);
    if (result.intervals) definition(list, "Intervals", result.intervals);
    definition(list, "Threshold", String(result.threshold));
    definition(list, "Started", time(timings.startedAt));
    definition(list, "Finished", `${time(timings.finishedAt)} (after ${duration(seconds)})`);
    definition(list, "Work", `${plural(timings.patchedRuns, "patched run", "patched runs")} in ${duration(timings.patchSeconds)}; `
      + `clean and corrupted runs in ${duration(timings.cacheSeconds)}`);
    definition(list, "Sweep", element("code", "", result.sweepId));
    definition(list, "Software", `HeadPatching ${result.software.version}, result schema ${result.schemaVersion}`);
  }

  setUpSummary();
  setUpChoices();
  setUpRanking();
  setUpScreen();
  byId("pairs-note").textContent = data.notes.join(" ");
  byId("more-pairs").addEventListener("click", showMorePairs);
  showMorePairs();
  setUpProvenance();
  paint();
  if (ranked.length > 0) settle(rows[ranked[0].layer][columnOf(ranked[0])]);
})();
