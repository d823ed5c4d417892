(() => {
  const { svg, number, interval, ticksOf } = figures;
  const { series, limit, layers, labels } = data;
  const { models, heads } = series;
  const MOST_LINES = 8;
  const HEADS_IN_TABLE = 5;
  const STEP_MS = 700;
  const byName = new Map(heads.map(head => [head.name, head]));
  const important = data.important.slice(0, MOST_LINES).map(name => byName.get(name));
  // Where none ever is, the largest are shown.
  const lines = important.length > 0 ? important : [...heads].sort((one, other) => largest(other) - largest(one)).slice(0, 3);

  function largest(head) { return head.effects.reduce((most, effect) => Math.max(most, Math.abs(effect)), 0); }

  let model = models.length - 1;
  let current = null; // the head that is marked
  let settled = null;
  let timer = null;

  // ---- Heatmap

  const rows = figures.makeGrid(byId("heatmap"), layers, labels.map(String), {
    cell: data.cell, axis: data.axis, kind: data.kind,
    shown: (cell, stays) => mark(heads[Number(cell.dataset.layer) * labels.length + Number(cell.dataset.column)], stays),
    left: () => mark(settled),
  });
  const values = figures.hasValues(layers, labels.length);

  function paint() {
    const effects = heads.map(head => head.effects[model]);
    rows.forEach((row, layer) => row.forEach((cell, column) => {
      const at = layer * labels.length + column;
      figures.paintCell(cell, effects[at], limit, `${heads[at].name}, effect ${number(effects[at])}`);
      if (values) cell.textContent = number(effects[at], 2);
    }));
  }

  // ---- One model, one head

  function choose(index) {
    model = index;
    byId("model").value = String(index);
    const chosen = models[index];
    byId("model").setAttribute("aria-valuetext", chosen.name);
    byId("model-name").textContent = `${chosen.name} (${index + 1} of ${models.length})`;
    byId("model-facts").textContent = [
      `Clean ${series.metric} ${number(chosen.cleanMetric)}, corrupted ${number(chosen.corruptedMetric)}.`,
      chosen.sameAs ? `The same weights as ${chosen.sameAs}.` : "",
      ...chosen.warnings.slice(0, 2),
    ].filter(Boolean).join(" ");
    paint();
    for (const chart of charts) chart.now.setAttribute("transform", `translate(${chart.atX(index)} 0)`);
    [...byId("models").tBodies[0].rows].forEach((row, at) => row.classList.toggle("current", at === index));
    if (current) describe(current);
    history.replaceState(null, "", `#model=${index}`);
  }

  function mark(head, stays = false) {
    if (!head) return;
    if (stays) settled = head;
    current = head;
    for (const cell of rows.flat()) cell.classList.remove("current");
    rows[head.layer][head.head ?? 0].classList.add("current");
    const picture = byId("lines");
    picture.querySelector(".other")?.remove();
    if (!lines.includes(head)) picture.append(line(lineChart, head, "other"));
    picture.classList.toggle("marked", settled !== null || stays);
    for (const group of picture.querySelectorAll(".series")) group.classList.toggle("current", group.dataset.name === head.name);
    for (const button of byId("names").children) button.setAttribute("aria-pressed", String(button.dataset.name === head.name));
    describe(head);
  }

  function describe(head) {
    const list = element("dl");
    const least = head.effects.indexOf(Math.min(...head.effects)), most = head.effects.indexOf(Math.max(...head.effects));
    definition(list, "Effect", number(head.effects[model], 4));
    definition(list, "95 % interval", interval(head.confidenceIntervals[model]));
    definition(list, "Largest", `${number(head.effects[most])} in ${models[most].name}`);
    definition(list, "Least", `${number(head.effects[least])} in ${models[least].name}`);
    definition(list, "Important in", `${head.importantIn} of ${models.length}`);
    byId("detail").replaceChildren(element("h3", "", head.name), element("p", "", `in ${models[model].name}`), list);
  }

  // ---- Charts over the models

  const charts = [];

  function makeChart(picture, low, high, height) {
    // As wide as there is room, so that its letters are as large as others.
    const width = Math.min(Math.max(picture.clientWidth, 320), 960);
    const [x0, y0, x1, y1] = [52, 10, width - 80, height - 34];
    picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const room = Math.max(high - low, 0.05) * 0.06;
    const atX = index => models.length === 1 ? (x0 + x1) / 2 : x0 + index / (models.length - 1) * (x1 - x0);
    const atY = value => y1 - (value - low + room) / (high - low + 2 * room) * (y1 - y0);
    picture.append(svg("rect", { class: "frame", x: x0, y: y0, width: x1 - x0, height: y1 - y0 }));
    for (const tick of ticksOf(low - room, high + room)) {
      picture.append(
        svg("line", { class: Math.abs(tick) < 1e-9 ? "zero" : "tick", x1: x0, x2: x1, y1: atY(tick), y2: atY(tick) }),
        svg("text", { x: x0 - 6, y: atY(tick) + 4, "text-anchor": "end" }, number(tick, 2)));
    }
    // As many names as there is room for, the last always.
    const longest = models.reduce((most, { name }) => Math.max(most, short(name).length), 1);
    const step = Math.max(1, Math.ceil(models.length * (longest * 6 + 14) / (x1 - x0)));
    models.forEach(({ name }, index) => {
      if (index % step === 0 && (index === models.length - 1 || models.length - 1 - index >= step * 0.6) || index === models.length - 1) {
        picture.append(svg("text", { x: atX(index), y: y1 + 16, "text-anchor": "middle" }, short(name)));
      }
    });
    const now = svg("line", { class: "now", x1: 0, x2: 0, y1: y0, y2: y1 });
    picture.append(now);
    picture.addEventListener("click", event => {
      const box = picture.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width * width;
      choose(Math.min(Math.max(Math.round((x - x0) / (x1 - x0) * (models.length - 1)), 0), models.length - 1));
    });
    const chart = { picture, atX, atY, now, x1 };
    charts.push(chart);
    return chart;
  }

  const short = name => name.length <= 16 ? name : `…${name.slice(-15)}`;

  function line(chart, head, className, label = true) {
    const group = svg("g", { class: `series ${className ?? ""}`, "data-name": head.name });
    const points = head.effects.map((effect, index) => `${chart.atX(index)},${chart.atY(effect)}`);
    if (head.confidenceIntervals?.every(Boolean)) {
      const clamp = value => Math.min(Math.max(value, chart.low), chart.high);
      const ends = side => head.confidenceIntervals.map((ends, index) => `${chart.atX(index)},${chart.atY(clamp(ends[side]))}`);
      group.append(svg("polygon", { class: "band", points: [...ends(1), ...ends(0).reverse()].join(" ") }));
    }
    group.append(svg("polyline", { points: points.join(" ") }));
    if (models.length <= 60) head.effects.forEach((effect, index) => group.append(svg("circle", { class: "mark", cx: chart.atX(index), cy: chart.atY(effect), r: 2.5 }, svg("title", {}, `${head.name} in ${models[index].name}: ${number(effect, 4)}`))));
    if (label) group.append(svg("text", { class: "name", x: chart.x1 + 6, y: chart.places?.get(head.name) ?? chart.atY(head.effects.at(-1)) + 4 }, head.name));
    return group;
  }

  // Names at the ends of lines, pushed apart where they would lie over each other.
  function endsOf(chart, shown) {
    const places = new Map();
    let free = Infinity;
    for (const head of [...shown].sort((one, other) => one.effects.at(-1) - other.effects.at(-1))) {
      const y = Math.min(chart.atY(head.effects.at(-1)) + 4, free - 12);
      places.set(head.name, y);
      free = y;
    }
    return places;
  }

  const all = lines.flatMap(head => head.effects).concat(0);
  const lineChart = makeChart(byId("lines"), Math.min(...all), Math.max(...all), 320);
  [lineChart.low, lineChart.high] = [Math.min(...all) - 0.02, Math.max(...all) + 0.02];
  lineChart.places = endsOf(lineChart, lines);
  lines.forEach((head, index) => {
    const group = line(lineChart, head);
    group.style.color = `var(--line-${index % 8})`;
    byId("lines").append(group);
    const button = element("button", "head-link", head.name);
    button.type = "button";
    button.dataset.name = head.name;
    button.style.color = `var(--line-${index % 8})`;
    button.addEventListener("click", () => mark(head, true));
    byId("names").append(button);
  });
  byId("lines-caption").textContent = important.length === 0
    ? `No ${data.unit} is important in any model (beyond ±${series.threshold}, with an interval that leaves out 0); the largest effects are shown.`
    : `Beyond ±${series.threshold} with an interval that leaves out 0, in any model${data.important.length > MOST_LINES ? `: the ${MOST_LINES} of largest sum of |effect|, of ${data.important.length}` : ""}. Pale: the 95 % interval of each. Click to go to a model.`;

  const behaviour = [["clean", models.map(one => one.cleanMetric)], ["corrupted", models.map(one => one.corruptedMetric)]];
  if (behaviour.every(([, metrics]) => metrics.every(value => value !== null))) {
    const metrics = behaviour.flatMap(([, values]) => values).concat(0);
    const chart = makeChart(byId("behaviour"), Math.min(...metrics), Math.max(...metrics), 220);
    chart.places = endsOf(chart, behaviour.map(([name, effects]) => ({ name, effects })));
    behaviour.forEach(([name, effects], index) => {
      const group = line(chart, { name, effects });
      group.style.color = `var(--line-${index === 0 ? 2 : 4})`;
      byId("behaviour").append(group);
    });
    byId("behaviour-caption").textContent = `Mean ${series.metric} of the clean and of the corrupted runs: effects are shares of what lies between the two, and say little where they are close.`;
  }

  // ---- Table, head of the page

  function setUpTable() {
    const shown = lines.slice(0, HEADS_IN_TABLE);
    const header = byId("models").tHead.rows[0];
    for (const [className, text] of [["", "Model"], ["number", "clean"], ["number", "corrupted"], ...shown.map(head => ["number", head.name])]) {
      const cell = element("th", className, text);
      cell.scope = "col";
      header.append(cell);
    }
    models.forEach((one, index) => {
      const link = element("button", "head-link", one.name);
      link.type = "button";
      link.addEventListener("click", () => choose(index));
      byId("models").tBodies[0].append(element("tr", "",
        element("td", "", link, one.sameAs ? element("span", "badge", `as ${one.sameAs}`) : null, reportOf(one)),
        element("td", "number", number(one.cleanMetric, 2)),
        element("td", "number", number(one.corruptedMetric, 2)),
        ...shown.map(head => element("td", "number", number(head.effects[index])))));
    });
  }

  // Each model's own report lies where the server has it, or in its folder beside this file.
  function reportOf({ name, sweepId }) {
    const served = /\/api\/series\/[^/]+\/report$/.test(location.pathname), beside = /\/series\.html$/.test(location.pathname);
    if (!served && !beside) return null;
    const link = element("a", "report", "Report");
    link.href = served ? `../../sweeps/${sweepId}/report` : `${encodeURIComponent(name)}/report.html`;
    link.setAttribute("aria-label", `Report of ${name}`);
    return link;
  }

  byId("lead").append(`${series.dataset.name}, ${series.dataset.pairs.toLocaleString("en")} ${series.dataset.pairs === 1 ? "pair" : "pairs"}  ·  ${series.metric}  ·  `, element("bdi", "", models[0].name), " to ", element("bdi", "", models.at(-1).name));
  byId("axis").textContent = data.axis;
  figures.legend(limit);
  setUpTable();

  byId("model").addEventListener("input", () => { stop(); choose(Number(byId("model").value)); });
  byId("play").addEventListener("click", () => timer === null ? play() : stop());

  function play() {
    byId("play").textContent = "Stop";
    byId("play").setAttribute("aria-pressed", "true");
    if (model === models.length - 1) choose(0);
    timer = setInterval(() => {
      if (model >= models.length - 1) stop();
      else choose(model + 1);
    }, STEP_MS);
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    byId("play").textContent = "Play";
    byId("play").setAttribute("aria-pressed", "false");
  }

  const asked = Number(/^#model=(\d+)$/.exec(location.hash)?.[1] ?? models.length - 1);
  choose(Math.min(asked, models.length - 1));
  describe(lines[0]);
  current = lines[0];
})();
