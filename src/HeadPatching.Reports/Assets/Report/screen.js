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
  byId("screen-summary").textContent = `The ${plural(points.length, unit, units)} that ran${adaptive ? " (exact as far as their intervals say)" : ""}: `
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
