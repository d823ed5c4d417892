(() => {
  const { svg, number, signed, interval, ticksOf } = figures;
  const { comparison, table } = data;
  const heads = comparison.heads;
  const HEADS_AT_FIRST = 20;
  const MOST_POINTS = 2000;
  const MOST_NAMES = 12;
  const MOST_WHISKERS = 150; // of more points, only those that moved have theirs
  const plural = comparison.unit === "key/value head" ? "key/value heads" : `${comparison.unit}s`;

  const place = head => head.role ?? (head.position === undefined ? null : String(head.position).replace("-", "−"));
  const label = head => place(head) === null ? head.name : `${head.name} at ${place(head)}`;
  const ranked = heads.map((_, index) => index).sort((one, other) => Math.abs(heads[other].difference ?? 0) - Math.abs(heads[one].difference ?? 0));

  // ---- One head is marked everywhere

  const marks = heads.map(() => []); // of each head: its cell, point, row
  let current = null;
  let settled = null; // the one to go back to when the pointer leaves

  function show(index, stays = false) {
    if (index === null) return;
    if (stays) settled = index;
    if (current !== null) for (const mark of marks[current]) mark.classList.remove("current");
    current = index;
    for (const mark of marks[index]) mark.classList.add("current");
    // A point that is marked lies over the others.
    const point = points.get(index);
    if (point) point.parentNode.append(point);
    describe(heads[index]);
  }

  function describe(head) {
    const list = element("dl");
    definition(list, "A", number(head.effectA, 4));
    definition(list, "B", number(head.effectB, 4));
    definition(list, "Difference", signed(head.difference, 4));
    definition(list, "95 % for all together", interval(head.jointInterval));
    definition(list, "by itself", interval(head.confidenceInterval));
    byId("detail").replaceChildren(
      element("h3", "", label(head)),
      element("p", "", head.moved ? "moved" : head.jointInterval ? "has not moved beyond doubt" : "no interval", head.estimated ? ", estimated" : ""),
      list);
  }

  const left = () => show(settled);

  // ---- Heatmap

  function setUpHeatmap() {
    byId("axis").textContent = table.axis;
    const layers = table.heads.length;
    const rows = figures.makeGrid(byId("heatmap"), layers, table.labels, {
      cell: Math.min(table.cell, 44), axis: table.axis, kind: table.kind, left,
      shown: (cell, stays) => show(table.heads[cell.dataset.layer][cell.dataset.column], stays),
    });
    const values = figures.hasValues(layers, table.labels.length);
    const ofHead = Map.groupBy(heads.keys(), index => `${heads[index].layer} ${heads[index].head}`);
    rows.forEach((row, layer) => row.forEach((cell, column) => {
      const head = heads[table.heads[layer][column]];
      figures.paintCell(cell, head.difference, table.limit,
        `${label(head)}, difference ${number(head.difference)}${head.jointInterval ? `, ${interval(head.jointInterval)}` : ""}${head.moved ? ", moved" : ""}`);
      cell.classList.toggle("moved", head.moved);
      if (values) cell.textContent = number(head.difference, 2);
      // A head at several places has the cell of the largest difference.
      const shown = table.kind.endsWith("heads") ? ofHead.get(`${head.layer} ${head.head}`) : [table.heads[layer][column]];
      for (const index of shown) marks[index].push(cell);
    }));
    figures.legend(table.limit);
  }

  // ---- Scatter

  const points = new Map();

  function setUpScatter() {
    const shown = ranked.filter(index => heads[index].difference !== null).slice(0, MOST_POINTS);
    byId("against-caption").textContent =
      `Effect in A to the right, in B upwards; on the dashed line nothing changed.${heads.some(head => head.jointInterval) ? ` A line is the 95 % interval of the difference, of all together: it misses the dashed line where a point moved${shown.length > MOST_WHISKERS ? "; only those have theirs" : ""}.` : ""}`
      + (shown.length < ranked.length ? ` The ${shown.length} of largest difference.` : "");
    if (shown.length === 0) return;
    const [x0, y0, x1, y1] = [50, 10, 430, 370];
    const ends = index => [heads[index].effectA, heads[index].effectB];
    const values = shown.flatMap(ends).concat(0);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const room = Math.max(high - low, 0.1) * 0.08;
    const share = value => (value - low + room) / (high - low + 2 * room);
    const atX = value => x0 + share(value) * (x1 - x0);
    const atY = value => y1 - share(value) * (y1 - y0);
    const clampedY = value => Math.min(Math.max(atY(value), y0), y1);
    const picture = byId("against");
    picture.append(
      svg("rect", { class: "frame", x: x0, y: y0, width: x1 - x0, height: y1 - y0 }),
      svg("line", { class: "identity", x1: x0, y1, x2: x1, y2: y0 }));
    for (const tick of ticksOf(low - room, high + room)) {
      picture.append(
        svg("line", { class: "tick", x1: atX(tick), x2: atX(tick), y1, y2: y0 }),
        svg("line", { class: "tick", x1: x0, x2: x1, y1: atY(tick), y2: atY(tick) }),
        svg("text", { x: atX(tick), y: y1 + 16, "text-anchor": "middle" }, number(tick, 2)),
        svg("text", { x: x0 - 6, y: atY(tick) + 4, "text-anchor": "end" }, number(tick, 2)));
    }
    picture.append(
      svg("text", { x: (x0 + x1) / 2, y: y1 + 38, "text-anchor": "middle" }, "Effect in A"),
      svg("text", { x: 0, y: 0, "text-anchor": "middle", transform: `translate(12 ${(y0 + y1) / 2}) rotate(-90)` }, "Effect in B"));
    const named = []; // where names stand; one that would lie over another is left out
    for (const index of shown.filter(index => heads[index].moved)) {
      const [x, y] = [atX(heads[index].effectA), atY(heads[index].effectB)];
      if (named.length < MOST_NAMES && named.every(other => Math.abs(other.x - x) > 60 || Math.abs(other.y - y) > 13)) named.push({ index, x, y });
    }
    // The largest last, over the others.
    for (const index of [...shown].reverse()) {
      const head = heads[index];
      const point = svg("g", head.moved ? { class: "moved" } : {});
      if (head.jointInterval && (head.moved || shown.length <= MOST_WHISKERS)) {
        point.append(svg("line", {
          class: "whisker", x1: atX(head.effectA), x2: atX(head.effectA),
          y1: clampedY(head.effectA + head.jointInterval[0]), y2: clampedY(head.effectA + head.jointInterval[1]),
        }));
      }
      point.append(svg("circle", { class: "point", cx: atX(head.effectA), cy: atY(head.effectB), r: 4.5 }, svg("title", {}, `${label(head)}: ${number(head.effectA, 4)} in A, ${number(head.effectB, 4)} in B`)));
      if (named.some(one => one.index === index)) {
        const right = atX(head.effectA) > x1 - 60;
        point.append(svg("text", { class: "name", x: atX(head.effectA) + (right ? -8 : 8), y: atY(head.effectB) - 6, "text-anchor": right ? "end" : "start" }, label(head)));
      }
      point.addEventListener("pointerenter", () => show(index));
      point.addEventListener("pointerleave", left);
      point.addEventListener("click", () => show(index, true));
      points.set(index, point);
      marks[index].push(point);
      picture.append(point);
    }
  }

  // ---- Table

  const columns = [
    ["", comparison.unit[0].toUpperCase() + comparison.unit.slice(1), index => index],
    ["number", "A", index => heads[index].effectA],
    ["number", "B", index => heads[index].effectB],
    ["number", "Difference", index => heads[index].difference, index => Math.abs(heads[index].difference ?? 0)],
    ["number", "95 % for all together", index => heads[index].jointInterval?.[0] ?? null],
    ["number own", "by itself", index => heads[index].confidenceInterval?.[0] ?? null],
  ];
  let order = { column: 3, down: true };
  let shownRows = HEADS_AT_FIRST;
  const rowOf = new Map();

  function setUpTable() {
    const row = byId("heads").tHead.rows[0];
    columns.forEach(([className, title], column) => {
      const sort = element("button", "sort", title);
      sort.type = "button";
      sort.addEventListener("click", () => {
        order = { column, down: order.column === column ? !order.down : column > 0 };
        fillTable();
      });
      const header = element("th", className, sort);
      header.scope = "col";
      row.append(header);
    });
    byId("show-all").addEventListener("click", () => {
      shownRows = shownRows < heads.length ? heads.length : HEADS_AT_FIRST;
      fillTable();
    });
    fillTable();
  }

  function fillTable() {
    [...byId("heads").tHead.rows[0].cells].forEach((cell, column) =>
      column === order.column ? cell.setAttribute("aria-sort", order.down ? "descending" : "ascending") : cell.removeAttribute("aria-sort"));
    const key = columns[order.column][3] ?? columns[order.column][2];
    const missing = order.down ? -Infinity : Infinity;
    const sorted = heads.map((_, index) => index).sort((one, other) => ((key(one) ?? missing) - (key(other) ?? missing)) * (order.down ? -1 : 1) || one - other);
    byId("heads").tBodies[0].replaceChildren(...sorted.slice(0, shownRows).map(rowFor));
    const button = byId("show-all");
    button.hidden = heads.length <= HEADS_AT_FIRST;
    button.textContent = shownRows < heads.length ? `Show all ${heads.length.toLocaleString("en")}` : `Show the first ${HEADS_AT_FIRST}`;
  }

  function rowFor(index) {
    if (rowOf.has(index)) return rowOf.get(index);
    const head = heads[index];
    const link = element("button", "head-link", label(head));
    link.type = "button";
    link.title = "Mark in the pictures";
    link.addEventListener("click", () => show(index, true));
    link.addEventListener("focus", () => show(index, true));
    const row = element("tr", head.moved ? "" : "same",
      element("td", "", link),
      element("td", "number", `${head.estimated ? "~ " : ""}${number(head.effectA)}`),
      element("td", "number", `${head.estimated ? "~ " : ""}${number(head.effectB)}`),
      element("td", "number", signed(head.difference)),
      element("td", "number", interval(head.jointInterval)),
      element("td", "number own", interval(head.confidenceInterval)));
    row.addEventListener("pointerenter", () => show(index));
    row.addEventListener("pointerleave", left);
    if (index === current) row.classList.add("current");
    rowOf.set(index, row);
    marks[index].push(row);
    return row;
  }

  // ---- Head and foot of the page

  function setUpFacts() {
    byId("lead").append(element("bdi", "", "A: ", comparison.a.label), "  ·  ", element("bdi", "", "B: ", comparison.b.label));
    byId("notes").append(...comparison.notes.map(text => element("p", "notice", text)));
    byId("reading").textContent = `A difference is the effect in B less that in A${comparison.commonPairs > 0 ? `, both over the ${comparison.commonPairs.toLocaleString("en")} pairs that the sweeps have in common` : ""}.`
      + (comparison.intervals ? ` Moved are the ${plural} whose interval leaves out 0, made so that all of them together are right in 95 of 100 comparisons.` : "");
    const same = comparison.facts.filter(fact => !fact.differs).length;
    byId("same").textContent = `${comparison.facts.length - same} of ${comparison.facts.length} facts differ.`;
    for (const fact of comparison.facts) {
      const name = element("th", "", fact.name, fact.differs ? element("span", "badge", "differs") : null);
      name.scope = "row";
      byId("facts").tBodies[0].append(element("tr", fact.differs ? "differs" : "", name, element("td", "", fact.a ?? "–"), element("td", "", fact.b ?? "–")));
    }
    const list = byId("provenance");
    definition(list, "Pairs", { tokens: "matched by their tokens and answers", texts: "matched by their texts and answers", index: "matched by their index in the dataset", none: "none in common" }[comparison.matchedBy]
      + (comparison.commonPairs > 0 ? `: ${comparison.commonPairs.toLocaleString("en")} in common` : ""));
    if (comparison.intervals) definition(list, "Intervals", comparison.intervals);
    if (comparison.draws > 0) definition(list, "Draws", `${comparison.draws.toLocaleString("en")}, seed ${comparison.seed}`);
    if (comparison.rankCorrelation !== undefined) definition(list, "Rank correlation", `${number(comparison.rankCorrelation)} (Spearman)`);
  }

  setUpFacts();
  setUpHeatmap();
  setUpScatter();
  setUpTable();
  show(ranked[0], true);
})();
