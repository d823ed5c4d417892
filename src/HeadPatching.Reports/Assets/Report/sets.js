// ---- Senders of paths beside the heads, sets of nodes that were patched together, edges, and the circuit

const SENDERS_IN_TABLE = 20; // of those at each place: the grid has all

function setUpSenders() {
  if (data.senders.length === 0) return;
  byId("senders").hidden = false;
  const placed = data.senders.every(sender => sender.set.includes("@"));
  const shown = placed ? [...data.senders].sort((a, b) => Math.abs(b.patchingEffect) - Math.abs(a.patchingEffect)).slice(0, SENDERS_IN_TABLE) : data.senders;
  byId("senders-table").tBodies[0].append(...shown.map(setRow));
  const from = `The paths to ${data.result.receivers.join(", ")} from the embedding and from every layer's MLP`;
  if (!placed) {
    byId("senders-note").textContent = `${from}, on the heads' scale.`;
    return;
  }
  const [nodes, places] = [0, 1].map(part => [...new Set(data.senders.map(sender => sender.set.split("@")[part]))]);
  const senders = new Map(data.senders.map(sender => [sender.set, sender]));
  const where = /^-/.test(places[0]) ? "at each position, counted from the end" : "at each role";
  const all = data.senderCount > data.senders.length ? `; the strongest ${data.senders.length.toLocaleString("en")} of ${data.senderCount.toLocaleString("en")}, results.json has all` : "";
  byId("senders-note").textContent = `${from}, ${where}, in the heads' colours${all}. The table has the strongest.`;
  const nameOf = (row, place) => `${nodes[row]}@${places[place]}`;
  byId("senders-grid").hidden = false;
  byId("senders-grid").append(smallGrid({
    rows: nodes,
    columns: places.map(upwards),
    value: (row, place) => senders.get(nameOf(row, place))?.patchingEffect ?? null,
    limit: data.limit,
    title: (row, place, value) => {
      const ends = senders.get(nameOf(row, place))?.confidenceInterval;
      return value === null ? "" : `${nameOf(row, place)}: ${number(value)}${ends ? `, 95 % ${interval(ends)}` : ""}`;
    },
  }));
}

function setUpSets() {
  if (data.sets.length === 0) return;
  byId("sets").hidden = false;
  if (data.setCount > data.sets.length) byId("sets-note").textContent = `The first ${data.sets.length} of ${data.setCount}; results.json has all.`;
  byId("sets-table").tBodies[0].append(...data.sets.map(setRow));
}

function setRow(set) {
  return element("tr", "",
    element("td", "set-nodes", set.set === "" ? "(none)" : set.set),
    element("td", "number", number(set.patchingEffect, 4)),
    element("td", "number", set.confidenceInterval ? set.confidenceInterval.map(end => number(end, 4)).join(" to ") : "–"),
    element("td", "number", number(set.meanPatchedMetric, 4)));
}

function setUpCircuit() {
  if (data.circuit === null) return;
  byId("circuit").hidden = false;
  byId("circuit-verdict").append(...data.circuit.map(sentence => element("li", "", sentence)));
  const beside = /\/report\.html$/.test(location.pathname);
  byId("circuit-link").hidden = !served && !beside;
  byId("circuit-link").href = served ? "circuit" : "circuit.html";
}

function setUpEdges() {
  if (data.edges.length === 0) return;
  byId("edges").hidden = false;
  byId("edges-note").textContent = `The strongest ${data.edges.length} of ${data.edgeCount.toLocaleString("en")}, ${data.edgeWords}: what changes when one part reads of one other what that wrote in the other run.`;
  // Where not all were patched on all pairs, on how many each was, beside its estimate.
  const some = data.edges[0].pairs != null, decided = data.edges[0].decision != null;
  const heading = (shown, text) => shown ? [Object.assign(element("th", "number", text), { scope: "col" })] : [];
  byId("edges-table").tHead.rows[0].append(...heading(some, "Estimate"), ...heading(some, "Patched on"), ...heading(decided, "Decision"));
  byId("edges-table").tBodies[0].append(...data.edges.map(edge => element("tr", "",
    element("td", "set-nodes", edge.name),
    element("td", "number", number(edge.effect, 4)),
    element("td", "number", edge.interval ? edge.interval.map(end => number(end, 4)).join(" to ") : "–"),
    ...some ? [element("td", "number", number(edge.estimate, 4)), element("td", "number", edge.pairs === 0 ? "–" : `${edge.pairs.toLocaleString("en")} ${edge.pairs === 1 ? "pair" : "pairs"}`)] : [],
    ...decided ? [element("td", "number", edge.decision)] : [])));
  const beside = /\/report\.html$/.test(location.pathname);
  byId("edges-link").hidden = !served && !beside;
  byId("edges-link").href = served ? "edges/edges.csv" : "edges.csv";
}

