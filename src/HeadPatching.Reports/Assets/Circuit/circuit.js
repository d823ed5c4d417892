(() => {
  const { svg, number, signed, interval, ticksOf } = figures;
  const { circuit, sizes, ranked, axis } = data;
  const NODES_AT_FIRST = 30;
  const byName = new Map(circuit.nodes.map(node => [node.name, node]));
  const mostLost = circuit.nodes.reduce((most, node) => Math.max(most, node.loss.value), 1e-9);
  const mostDrawn = circuit.nodes.reduce((most, node) => Math.max(most, Math.abs(node.loss.value)), 1e-9);
  const notNeeded = node => circuit.nodes.length > 1 && node.loss.interval && node.loss.interval[0] <= 0 && node.loss.interval[1] >= 0;
  const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;
  const withInterval = effect => effect.interval ? `${number(effect.value)} (${interval(effect.interval)})` : number(effect.value);

  // ---- One node is marked everywhere

  const marks = new Map(circuit.nodes.map(node => [node.name, []])); // its places in graph and table
  let current = null;
  let settled = null; // the one to go back to when the pointer leaves

  function show(name, stays = false) {
    if (!marks.has(name)) return;
    if (stays) {
      settled = name;
      history.replaceState(null, "", `#node=${name}`);
    }
    if (current !== null) for (const mark of marks.get(current)) mark.classList.remove("current");
    current = name;
    for (const mark of marks.get(name)) mark.classList.add("current");
    describe(byName.get(name));
  }

  const left = () => show(settled);

  function describe(node) {
    const list = element("dl");
    definition(list, "Effect alone", signed(node.effect, 4), "main-value");
    definition(list, "by its size", `${node.rank} of ${ranked.nodes}`);
    definition(list, "f lost without it", number(node.loss.value, 4), "main-value");
    definition(list, "95 % interval", interval(node.loss.interval));
    byId("detail").replaceChildren(
      element("h3", "", node.name),
      element("p", "", notNeeded(node) ? "Not shown to be needed: the interval holds 0." : node.loss.interval ? "Needed: the interval leaves out 0." : "Too few pairs for an interval."),
      list);
  }

  // ---- The graph

  const rows = []; // of buttons, the highest layer first, for the arrow keys

  function nodeButton(name) {
    const node = byName.get(name);
    const strength = Math.min(1, Math.abs(node.effect) / data.limit);
    const button = element("button", `node ${node.effect > 0 ? "positive" : node.effect < 0 ? "negative" : ""}`, name, element("small", "", signed(node.effect, 2)));
    button.type = "button";
    button.tabIndex = -1;
    button.dataset.name = name;
    button.classList.toggle("strong", strength > 0.75);
    button.style.setProperty("--strength", `${(100 * strength).toFixed(2)}%`);
    button.style.setProperty("--need", Math.max(0, node.loss.value / mostLost).toFixed(3));
    button.setAttribute("aria-label", `${name}, effect ${number(node.effect)}, f lost without it ${withInterval(node.loss)}`);
    button.addEventListener("pointerenter", () => show(name));
    button.addEventListener("pointerleave", left);
    button.addEventListener("click", () => show(name, true));
    button.addEventListener("focus", () => {
      for (const other of rows.flat()) other.tabIndex = other === button ? 0 : -1;
      show(name, true);
    });
    marks.get(name).push(button);
    return button;
  }

  function block(buttons) {
    return element("div", "block", element("span", "arrow read"), element("span", "arrow write"), ...buttons);
  }

  function end(name) {
    byId("graph").append(element("div", "end", element("span", "", name)));
  }

  function setUpGraph() {
    const graph = byId("graph");
    end("logits");
    for (const level of data.levels) {
      const heads = level.heads.map(nodeButton), mlp = level.mlp ? [nodeButton(level.mlp)] : [];
      const row = [...heads, ...mlp];
      if (row.length > 0) rows.push(row);
      graph.append(element("div", `level ${row.length === 0 ? "empty" : ""}`,
        element("span", "level-name", level.first === level.last ? `Layer ${level.first}` : `Layers ${level.first}–${level.last}`),
        element("div", "attention", heads.length > 0 ? block(heads) : null),
        element("div", "stream"),
        element("div", "mlp", mlp.length > 0 ? block(mlp) : null)));
    }
    end("embed");
    graph.addEventListener("keydown", event => {
      const row = rows.findIndex(some => some.includes(event.target));
      if (row < 0) return;
      const at = rows[row].indexOf(event.target), all = rows.flat();
      const beside = rows[row + { ArrowUp: -1, ArrowDown: 1 }[event.key]];
      const next = beside ? beside[Math.min(at, beside.length - 1)]
        : event.key === "ArrowLeft" ? rows[row][at - 1]
        : event.key === "ArrowRight" ? rows[row][at + 1]
        : event.key === "Home" ? (event.ctrlKey ? all[0] : rows[row][0])
        : event.key === "End" ? (event.ctrlKey ? all.at(-1) : rows[row].at(-1))
        : null;
      if (!/^(Arrow|Home|End)/.test(event.key)) return;
      event.preventDefault();
      next?.focus();
    });
    figures.legend(data.limit);
    byId("legend-loss").textContent = `border: f lost without it, up to ${number(mostLost)}`;
    const notRanked = [ranked.mlps ? null : "MLPs", ranked.embedding ? null : "the embedding"].filter(Boolean).join(" and ");
    byId("graph-hint").textContent = "Nodes of each layer read the residual stream (below) and write into it (above). Lines from node to node are not drawn: nodes were measured, not edges."
      + (ranked.mlps && data.parallel === false ? " An MLP reads the heads of its layer as well." : "")
      + (notRanked ? ` Not ranked, and left as they are: ${notRanked}.` : "");
  }

  // ---- Nodes as a table

  let shownRows = NODES_AT_FIRST;

  function rowFor(node) {
    const link = element("button", "head-link", node.name);
    link.type = "button";
    link.title = "Mark in the picture";
    link.addEventListener("click", () => show(node.name, true));
    link.addEventListener("focus", () => show(node.name, true));
    const bar = element("span", "bar");
    bar.style.width = percent(Math.max(0, node.loss.value) / mostDrawn, 1).replace(" ", "");
    const row = element("tr", "",
      element("td", "", link, notNeeded(node) ? element("span", "badge", "not shown to be needed") : null),
      element("td", "number", signed(node.effect)),
      element("td", "bar-column", bar),
      element("td", "number", number(node.loss.value)),
      element("td", "number", interval(node.loss.interval)));
    row.addEventListener("pointerenter", () => show(node.name));
    row.addEventListener("pointerleave", left);
    marks.get(node.name).push(row);
    return row;
  }

  function setUpNodes() {
    const made = circuit.nodes.map(rowFor);
    const button = byId("show-all");
    const fill = () => {
      byId("nodes").tBodies[0].replaceChildren(...made.slice(0, shownRows));
      button.textContent = shownRows < made.length ? `Show all ${made.length.toLocaleString("en")}` : `Show the first ${NODES_AT_FIRST}`;
    };
    button.hidden = made.length <= NODES_AT_FIRST;
    button.addEventListener("click", () => {
      shownRows = shownRows < made.length ? made.length : NODES_AT_FIRST;
      fill();
    });
    fill();
  }

  // ---- The curve

  function setUpCurve() {
    const picture = byId("curve");
    // As wide as there is room, so that its letters are as large as others.
    const width = Math.min(Math.max(picture.clientWidth, 300), 980), height = 340;
    const [x0, y0, x1, y1] = [56, 12, width - 16, height - 46];
    picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const atX = nodes => x0 + Math.log(nodes) / Math.log(Math.max(2, ranked.nodes)) * (x1 - x0);
    const atY = f => y1 - (Math.min(Math.max(f, axis.low), axis.high) - axis.low) / (axis.high - axis.low) * (y1 - y0);
    const points = (some, of) => some.map(size => `${atX(size.nodes).toFixed(2)},${atY(of(size)).toFixed(2)}`);
    const area = (className, some, low, high) => svg("polygon", { class: className, points: [...points(some, high), ...points(some, low).reverse()].join(" ") });

    const chance = sizes.filter(size => size.random);
    if (chance.length > 0) {
      picture.append(
        area("all", chance, size => size.random.low, size => size.random.high),
        area("most", chance, size => size.random.five, size => size.random.ninetyFive));
    }
    picture.append(svg("rect", { class: "frame", x: x0, y: y0, width: x1 - x0, height: y1 - y0 }));
    for (const tick of ticksOf(axis.low, axis.high)) {
      const whole = Math.abs(tick) < 1e-9 || Math.abs(tick - 1) < 1e-9;
      picture.append(
        svg("line", { class: whole ? "whole" : "tick", x1: x0, x2: x1, y1: atY(tick), y2: atY(tick) }),
        svg("text", { x: x0 - 6, y: atY(tick) + 4, "text-anchor": "end" }, number(tick, 2)));
    }
    let free = -Infinity;
    for (const { nodes } of sizes) {
      const half = String(nodes).length * 3.6;
      picture.append(svg("line", { class: "whole", x1: atX(nodes), x2: atX(nodes), y1, y2: y1 + 4 }));
      if (atX(nodes) - half < free) continue;
      picture.append(svg("text", { x: atX(nodes), y: y1 + 18, "text-anchor": "middle" }, String(nodes)));
      free = atX(nodes) + half + 4;
    }
    picture.append(
      svg("text", { class: "axis-name", x: (x0 + x1) / 2, y: height - 8, "text-anchor": "middle" }, `${data.unit[0].toUpperCase()}${data.unit.slice(1)} in the circuit, of ${ranked.nodes} (logarithmic)`),
      svg("text", { class: "axis-name", x: 0, y: 0, "text-anchor": "middle", transform: `translate(10 ${(y0 + y1) / 2}) rotate(-90)` }, "f"));
    if (chance.length > 0) picture.append(svg("polyline", { class: "mean", points: points(chance, size => size.random.mean).join(" ") }));
    for (const [className, of, name] of [["without", size => size.without, "without"], ["alone", size => size.f, "alone"]]) {
      const known = sizes.filter(size => of(size).interval);
      const group = svg("g", { class: className });
      if (known.length > 1) group.append(area("interval", known, size => of(size).interval[0], size => of(size).interval[1]));
      group.append(svg("polyline", { points: points(sizes, size => of(size).value).join(" ") }));
      for (const size of sizes) {
        group.append(svg("circle", { cx: atX(size.nodes), cy: atY(of(size).value), r: 3.5 }, svg("title", {}, `${size.nodes} ${name}: ${withInterval(of(size))}`)));
      }
      picture.append(group);
    }
    const [x, y] = [atX(circuit.nodes.length), atY(circuit.f.value)];
    if (circuit.f.interval) picture.append(svg("line", { class: "found-interval", x1: x, x2: x, y1: atY(circuit.f.interval[0]), y2: atY(circuit.f.interval[1]) }));
    picture.append(svg("path", { class: "found", d: `M${x} ${y - 8}l7 8l-7 8l-7-8z` }, svg("title", {}, `the circuit that was found, ${circuit.nodes.length}: ${withInterval(circuit.f)}`)));

    const now = svg("line", { class: "now", y1: y0, y2: y1 });
    now.style.display = "none";
    picture.append(now);
    const body = byId("sizes").tBodies[0];
    const mark = index => {
      [...body.rows].forEach((row, at) => row.classList.toggle("current", at === index));
      now.style.display = index === null ? "none" : "";
      if (index !== null) now.setAttribute("transform", `translate(${atX(sizes[index].nodes)} 0)`);
    };
    picture.addEventListener("pointermove", event => {
      const box = picture.getBoundingClientRect();
      const pointed = (event.clientX - box.left) / box.width * width;
      mark(sizes.reduce((nearest, size, index) => Math.abs(atX(size.nodes) - pointed) < Math.abs(atX(sizes[nearest].nodes) - pointed) ? index : nearest, 0));
    });
    picture.addEventListener("pointerleave", () => mark(null));
    sizes.forEach((size, index) => {
      const row = element("tr", "",
        element("td", "number", String(size.nodes)),
        element("td", "number", percent(size.share, 1)),
        element("td", "number", number(size.f.value)),
        element("td", "number own", interval(size.f.interval)),
        element("td", "number", number(size.without.value)),
        element("td", "number own", interval(size.without.interval)),
        element("td", "number", number(size.random?.mean)),
        element("td", "number own", size.random ? `${number(size.random.five)} to ${number(size.random.ninetyFive)}` : "–"),
        element("td", "number own", number(size.random?.high)),
        element("td", "number", size.percentile === null || size.percentile === undefined ? "–" : percent(size.percentile)));
      row.addEventListener("pointerenter", () => mark(index));
      row.addEventListener("pointerleave", () => mark(null));
      body.append(row);
    });

    const count = chance.reduce((most, size) => Math.max(most, size.random.count), 0);
    byId("curve-caption").textContent = "f is the share of the behaviour that is left: 0 with every ranked node as in the corrupted run, 1 with all as they are. Shaded in colour: 95 % intervals over pairs."
      + (count > 0 ? ` Grey: ${count} random circuits of each size.` : "");
    const key = (words, ...shapes) => element("span", "", svg("svg", { class: "chart", viewBox: "0 0 26 14" }, ...shapes), words);
    const line = className => svg("g", { class: className }, svg("rect", { class: "interval", x: 0, y: 1, width: 26, height: 12 }), svg("polyline", { points: "0,7 26,7" }), svg("circle", { cx: 13, cy: 7, r: 3.5 }));
    byId("curve-legend").append(
      key("these alone", line("alone")),
      key("everything but these (completeness)", line("without")),
      ...count > 0 ? [key("random ones: mean, 5 to 95 %, all", svg("rect", { class: "all", x: 0, y: 0, width: 26, height: 14 }), svg("rect", { class: "most", x: 0, y: 3, width: 26, height: 8 }), svg("polyline", { class: "mean", points: "0,7 26,7" }))] : [],
      key("the circuit that was found", svg("path", { class: "found", d: "M13 0l6 7l-6 7l-6-7z" })));
    byId("areas").textContent = `CPR, the area under f over the share of nodes: ${number(data.cpr)}${data.randomCpr === null || data.randomCpr === undefined ? "" : ` (random circuits ${number(data.randomCpr)})`}. `
      + `CMD, the area between f and 1: ${number(data.cmd)}. In the last column: the share of random circuits that are less faithful.`;
  }

  // ---- Head and foot of the page

  function setUpFacts() {
    byId("lead").append(...data.facts.flatMap((fact, index) => [index > 0 ? "  ·  " : "", element("bdi", "", fact)]));
    const figure = (term, value, note) => element("div", "", element("dt", "", term), element("dd", "", value, note ? element("small", "", note) : null));
    const chance = circuit.random;
    byId("figures").append(
      figure("In the circuit", String(circuit.nodes.length), `of ${ranked.nodes} ${data.unit}`),
      figure("Faithfulness f", number(circuit.f.value), circuit.f.interval ? `95 %: ${interval(circuit.f.interval)}` : ""),
      figure("Without it", number(circuit.without.value), circuit.without.interval ? `95 %: ${interval(circuit.without.interval)}` : ""),
      chance
        ? figure("Better than random", percent(circuit.percentile), `of ${chance.count}; the best of them ${number(chance.high)}`)
        : figure("Better than random", "–", "none was run"));
    data.verdict.forEach((text, index) => byId("verdict").append(
      element("li", /^(Not shown|That is not all)|is not shown/.test(text) ? "notice not-shown" : index === data.verdict.length - 1 ? "context" : "", text)));
    const list = byId("provenance");
    data.sweeps.forEach((sweep, index) => definition(list, index === 0 ? "Ranked by" : "", sweep));
    definition(list, "Looked for on", `${data.lookedAt.toLocaleString("en")} pairs, to within ${circuit.tolerance} of f = 1`);
    definition(list, "Proved on", data.isHeldOut ? `${data.heldOut.toLocaleString("en")} other pairs` : "the same pairs");
    definition(list, "Metric, all as they are", number(data.cleanMetric));
    definition(list, "none as it is", number(data.noneMetric));
    definition(list, "corrupted run", number(data.corruptedMetric));
    const served = /\/api\/sweeps\/[^/]+\/circuit$/.test(location.pathname); // its files are one step down then
    byId("files").hidden = !served && !/\/circuit\.html$/.test(location.pathname);
    byId("file-links").append(...data.files.map(name => {
      const link = element("a", "", name);
      link.href = served ? `circuit/${name}` : name;
      return element("li", "", link);
    }));
  }

  function readAddress() {
    const asked = /^#node=(\w+)$/.exec(location.hash)?.[1];
    const first = marks.has(asked) ? asked : circuit.nodes[0].name;
    settled = first;
    show(first);
    rows.flat().forEach(button => { button.tabIndex = button.dataset.name === first ? 0 : -1; });
  }

  setUpFacts();
  setUpGraph();
  setUpNodes();
  setUpCurve();
  readAddress();
  window.addEventListener("hashchange", readAddress);
})();
