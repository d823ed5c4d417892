// ---- Sets of nodes that were patched together, and the circuit

function setUpSets() {
  if (data.sets.length === 0) return;
  byId("sets").hidden = false;
  if (data.setCount > data.sets.length) byId("sets-note").textContent = `The first ${data.sets.length} of ${data.setCount}; results.json has all.`;
  byId("sets-table").tBodies[0].append(...data.sets.map(set => element("tr", "",
    element("td", "set-nodes", set.set === "" ? "(none)" : set.set),
    element("td", "number", number(set.patchingEffect, 4)),
    element("td", "number", set.confidenceInterval ? set.confidenceInterval.map(end => number(end, 4)).join(" to ") : "–"),
    element("td", "number", number(set.meanPatchedMetric, 4)))));
}

function setUpCircuit() {
  if (data.circuit === null) return;
  byId("circuit").hidden = false;
  byId("circuit-verdict").append(...data.circuit.map(sentence => element("li", "", sentence)));
  const beside = /\/report\.html$/.test(location.pathname);
  byId("circuit-link").hidden = !served && !beside;
  byId("circuit-link").href = served ? "circuit" : "circuit.html";
}

