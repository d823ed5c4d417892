"use strict";
// A heatmap as small as a stamp: red above 0, blue below, as in the report, on a scale of its own.
const stamp = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LEVELS = 8;
  const LEAST_SCALE = 0.1; // so that nothing is not shown as something

  function drawn(name, attributes) {
    const made = document.createElementNS(SVG, name);
    for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
    return made;
  }

  // One path for all cells of a colour: a list of fifty sweeps of 32 x 32 heads has no fifty thousand elements.
  return (effects, title) => {
    const columns = Math.max(...effects.map(row => row.length));
    const scale = Math.max(LEAST_SCALE, ...effects.flat().map(Math.abs));
    const paths = new Map();
    effects.forEach((row, y) => row.forEach((effect, x) => {
      const level = Math.round(Math.abs(effect) / scale * LEVELS);
      if (level === 0) return;
      const colour = `${effect > 0 ? "positive" : "negative"} ${level}`;
      paths.set(colour, `${paths.get(colour) ?? ""}M${x} ${y}h1v1h-1z`);
    }));
    const picture = drawn("svg", { viewBox: `0 0 ${columns} ${effects.length}`, preserveAspectRatio: "none", role: "img" });
    const named = drawn("title", {});
    named.textContent = title;
    picture.append(named);
    for (const [colour, d] of paths) {
      const [side, level] = colour.split(" ");
      picture.append(drawn("path", { class: side, "fill-opacity": level / LEVELS, d }));
    }
    return picture;
  };
})();
