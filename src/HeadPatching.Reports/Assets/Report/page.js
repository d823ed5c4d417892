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
    ["Clean metric", number(result.cleanMetric ?? baseline?.cleanMetric ?? mean(pairs.map(pair => pair.cleanMetric))), ""],
    ["Corrupted metric", number(result.corruptedMetric ?? baseline?.corruptedMetric ?? mean(pairs.map(pair => pair.corruptedMetric))), ""],
    [`Strongest ${unit}`, strongest?.name ?? "–", number(strongest?.patchingEffect, 2)],
    [`Important ${units}`, String(result.importantHeads.length), `of ${result.heads.length}${together ? `, ${surelyNotZero} sure` : ""}`],
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
  if (together) definition(list, "Intervals together", `${together.kind}, ${Number(together.miss.toPrecision(3))}, for ${plural(together.cells, "effect", "effects")}${together.draws > 0 ? `; pairs drawn again ${together.draws.toLocaleString("en")} times for the ranking` : ""}`);
  definition(list, "Threshold", String(result.threshold));
  definition(list, "Started", time(timings.startedAt));
  definition(list, "Finished", `${time(timings.finishedAt)} (after ${duration(seconds)})`);
  definition(list, "Work", `${plural(timings.patchedRuns, "patched run", "patched runs")} in ${duration(timings.patchSeconds)}; `
    + `clean and corrupted runs in ${duration(timings.cacheSeconds)}`);
  definition(list, "Sweep", element("code", "", result.sweepId));
  definition(list, "Software", `HeadPatching ${result.software.version}, result schema ${result.schemaVersion}`);
}

// Links to what lies beside the page: as the server names it, or as files in one folder.
function setUpFiles() {
  const beside = /\/report\.html$/.test(location.pathname);
  byId("files").hidden = !served && !beside;
  if (byId("files").hidden) return;
  const links = served
    ? [...data.files.map(file => [file.name, file.route]), ["the request", "request"], ["all sweeps", "../../../"], ["the list as JSON", "../../sweeps"]]
    : data.files.map(file => [file.name, file.name]);
  byId("file-links").append(...links.map(([name, address]) => {
    const link = element("a", "", name);
    link.href = address;
    return element("li", "", link);
  }));
}

setUpSummary();
setUpChoices();
setUpRanking();
setUpScreen();
setUpCircuit();
setUpEdges();
setUpSenders();
setUpSets();
byId("pairs-note").textContent = data.notes.join(" ");
byId("more-pairs").addEventListener("click", showMorePairs);
showMorePairs();
showDirect();
setUpFiles();
setUpProvenance();
readAddress();
window.addEventListener("hashchange", readAddress);
