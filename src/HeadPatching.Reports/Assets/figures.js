// What the pages of comparisons and of series share: numbers, the grid of a heatmap, axes.
const figures = (() => {
  function svg(tag, attributes, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  function number(value, digits = 3) {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    if (size < 0.5 * 10 ** -digits) return (0).toFixed(digits);
    return (size >= 1e5 ? value.toExponential(1) : value.toFixed(digits)).replace("-", "−");
  }

  function signed(value, digits = 3) {
    const text = number(value, digits);
    return value > 0 && Number(text) !== 0 ? `+${text}` : text;
  }

  const interval = ends => ends ? `${number(ends[0])} to ${number(ends[1])}` : "–";

  function ticksOf(low, high) { // round numbers, about four of them
    const least = (high - low || 1) / 4;
    const magnitude = 10 ** Math.floor(Math.log10(least));
    const step = [1, 2, 5, 10].map(factor => factor * magnitude).find(candidate => candidate >= least);
    const ticks = [];
    for (let index = Math.ceil(low / step); index * step <= high; index++) ticks.push(index * step);
    return ticks;
  }

  // ---- The grid of a heatmap: one cell of it can be reached by the tab key, the others by arrows.

  const LARGEST_WITH_VALUES = 16;

  function makeGrid(grid, layers, labels, options) { // options: cell size, axis, shown(cell) when a cell is pointed at or focused, left() when the pointer leaves
    const columns = labels.length;
    const layout = grid.closest(".heatmap-layout");
    const kind = options.kind === "layer" ? "layer" : "heads";
    layout.dataset.kind = grid.dataset.kind = kind;
    layout.dataset.width = columns <= 8 ? "narrow" : columns <= LARGEST_WITH_VALUES ? "medium" : "wide";
    layout.style.setProperty("--columns", columns);
    layout.style.setProperty("--rows", layers);
    layout.style.setProperty("--cell", `${options.cell}px`);
    grid.setAttribute("aria-rowcount", layers + 1);
    grid.setAttribute("aria-colcount", columns + 1);
    const every = (size, text) => Math.ceil(Math.max(16, 9 * text.length) / size);
    const columnStep = every(Math.min(options.cell, 450 / columns), labels[columns - 1]); // cells become smaller where there is no room
    const header = element("div", "row columns", role("columnheader", "", "Layer"));
    labels.forEach((label, column) => header.append(role("columnheader", column % columnStep === 0 ? label : "", options.axis ? `${options.axis} ${label}` : "Difference")));
    header.setAttribute("role", "row");
    grid.append(header);
    const rows = [];
    for (let layer = 0; layer < layers; layer++) {
      const row = element("div", "row", role("rowheader", layer % Math.ceil(16 / options.cell) === 0 ? String(layer) : "", `Layer ${layer}`));
      row.setAttribute("role", "row");
      rows.push(labels.map((_, column) => {
        const cell = element("div", "cell");
        cell.setAttribute("role", "gridcell");
        cell.tabIndex = -1;
        cell.dataset.layer = layer;
        cell.dataset.column = column;
        row.append(cell);
        return cell;
      }));
      grid.append(row);
    }
    rows[0][0].tabIndex = 0;

    grid.addEventListener("pointerover", event => { const cell = event.target.closest(".cell"); if (cell) options.shown(cell); });
    grid.addEventListener("pointerleave", () => options.left());
    grid.addEventListener("click", event => event.target.closest(".cell")?.focus());
    grid.addEventListener("focusin", event => {
      const cell = event.target.closest(".cell");
      if (!cell) return;
      for (const other of rows.flat()) other.tabIndex = other === cell ? 0 : -1;
      options.shown(cell, true);
    });
    grid.addEventListener("keydown", event => {
      const cell = event.target.closest(".cell");
      if (!cell) return;
      let [layer, column] = [Number(cell.dataset.layer), Number(cell.dataset.column)];
      switch (event.key) {
        case "ArrowUp": layer--; break;
        case "ArrowDown": layer++; break;
        case "ArrowLeft": column--; break;
        case "ArrowRight": column++; break;
        case "Home": column = 0; if (event.ctrlKey) layer = 0; break;
        case "End": column = columns - 1; if (event.ctrlKey) layer = layers - 1; break;
        case "PageUp": layer -= 5; break;
        case "PageDown": layer += 5; break;
        default: return;
      }
      event.preventDefault();
      const next = rows[Math.min(Math.max(layer, 0), layers - 1)][Math.min(Math.max(column, 0), columns - 1)];
      next.focus();
      next.scrollIntoView({ block: "nearest", inline: "nearest" });
    });
    return rows;
  }

  function role(name, text, label) {
    const made = element("div", "label", text || "\u00a0");
    made.setAttribute("role", name);
    made.setAttribute("aria-label", label);
    return made;
  }

  function paintCell(cell, value, limit, label) {
    const strength = Math.abs(value ?? 0) / limit;
    cell.classList.toggle("positive", value > 0);
    cell.classList.toggle("negative", value < 0);
    cell.classList.toggle("strong", strength > 0.75);
    cell.style.setProperty("--strength", `${(strength * 100).toFixed(2)}%`);
    cell.dataset.value = String(value);
    cell.setAttribute("aria-label", label);
  }

  const hasValues = (layers, columns) => Math.max(layers, columns) <= LARGEST_WITH_VALUES || columns === 1;

  function legend(limit) {
    byId("legend-low").textContent = number(-limit, 2);
    byId("legend-high").textContent = number(limit, 2);
  }

  return { svg, number, signed, interval, ticksOf, makeGrid, paintCell, hasValues, legend };
})();
