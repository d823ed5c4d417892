// ---- Small grids: of colours alone, with names at rows and columns

// grid: { rows: [name or node], columns: [name or node], value(row, column): number or null where nothing can be, limit, name(row, column), choose(row) }
function smallGrid({ rows: names, columns: heads, value, limit, title, choose, className }) {
  const grid = element("div", `small-grid ${className ?? ""}`);
  grid.style.setProperty("--columns", String(heads.length));
  grid.append(element("span", "corner"), ...heads.map(head => element("span", "column-name", head)));
  for (const [row, name] of names.entries()) {
    grid.append(element("span", "row-name", name));
    for (let column = 0; column < heads.length; column++) {
      const number = value(row, column);
      const cell = element("span", "cell");
      colour(cell, number ?? 0, limit, number === null);
      cell.title = title(row, column, number);
      if (choose) cell.addEventListener("click", () => choose(row, column));
      grid.append(cell);
    }
  }
  return grid;
}

// A name over a column, written upwards.
const upwards = text => element("span", "token-label", text);
