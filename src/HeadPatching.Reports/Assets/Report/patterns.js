// ---- Where heads look

const served = /\/api\/sweeps\/[^/]+\/report$/.test(location.pathname); // by either host, under whatever path
const sharing = result.patch === "k" || result.patch === "v" ? (result.model.keyValueHeads ? result.model.heads / result.model.keyValueHeads : 1) : 1;

// The heads of queries that a unit of the sweep is: of a key/value head all that share it.
function queryHeads(head) {
  if (head.head === null || head.head === undefined) return [];
  return Array.from({ length: sharing }, (_, of) => `L${head.layer}H${head.head * sharing + of}`);
}

function showPatterns(wanted) {
  const known = data.patterns;
  const chosen = chosenHead();
  byId("patterns").hidden = unit === "layer" || (known.length === 0 && !served);
  if (byId("patterns").hidden || !chosen) return;
  const own = queryHeads(chosen);
  const here = known.find(one => one.pair === view.pair?.index) ?? known[0];
  const name = wanted ?? own.find(one => here?.heads.some(head => head.name === one)) ?? null;
  const pattern = here?.heads.find(head => head.name === name);
  const choices = byId("pattern-choice");
  choices.replaceChildren(...(here?.heads ?? []).map(head => {
    const button = element("button", "head-link", head.name);
    button.type = "button";
    button.setAttribute("aria-pressed", String(head.name === name));
    button.addEventListener("click", () => showPatterns(head.name));
    return button;
  }));
  byId("pattern-words").textContent = pattern ? `Pair ${here.pair}, ${name}: ${visible(pattern.words)}.`
    : `The patterns of ${own.join(", ")} are not in this page, which has those of the strongest heads.`;
  const links = byId("pattern-links");
  links.replaceChildren();
  if (served) {
    const index = view.pair?.index ?? here?.pair ?? pairs[0]?.index;
    for (const head of pattern ? [name] : own) {
      const link = element("a", "", `${head} on pair ${index} as JSON`);
      link.href = `patterns?head=${encodeURIComponent(head)}&pair=${index}`;
      links.append(link, " ");
    }
  }
  if (here && view.pair !== null && here.pair !== view.pair.index) links.append(` This page has patterns of ${plural(known.length, "pair", "pairs")}: ${known.map(one => one.pair).join(", ")}.`);
  byId("pattern-grids").replaceChildren(...(pattern ? patternGrids(here, pattern) : []));
}

function patternGrids(here, pattern) {
  const pair = pairs.find(one => one.index === here.pair);
  const texts = which => pair[`${which}Tokens`].map((id, position) => visible(pair[`${which}TokenTexts`]?.[position] ?? String(id)).trim());
  const clean = texts("clean"), corrupted = texts("corrupted");
  const both = clean.map((text, position) => text === corrupted[position] ? text : `${text}/${corrupted[position]}`);
  const at = (rows, query, key) => key > query ? null : rows[query][key] / 1000; // later positions are not seen
  return [
    ["Clean", clean, (query, key) => at(pattern.clean, query, key)],
    ["Corrupted", corrupted, (query, key) => at(pattern.corrupted, query, key)],
    ["Clean − corrupted", both, (query, key) => key > query ? null : at(pattern.clean, query, key) - at(pattern.corrupted, query, key)],
  ].map(([title, names, value]) => element("figure", "pattern",
    element("figcaption", "", title),
    smallGrid({
      rows: names,
      columns: names.map(upwards),
      value,
      limit: 1,
      title: (query, key, share) => share === null ? "a later position: not seen" : `from ${query} '${names[query]}' to ${key} '${names[key]}': ${number(share)}`,
    })));
}

// ---- What heads add directly: another thing than their effect

function showDirect() {
  const direct = result.directLogitAttribution;
  byId("direct").hidden = direct === undefined;
  if (direct === undefined) return;
  byId("direct-hint").textContent = direct.heads === undefined ? direct.description
    : `Not a patching effect: ${direct.description}, the mean over ${plural(pairsInAll, "pair", "pairs")}. What a head does by way of later ones is not in it.`;
  if (direct.heads === undefined) return;
  const columns = direct.heads[0].map((_, head) => upwards(String(head)));
  const value = (layer, column) => column < columns.length ? direct.heads[layer][column] : direct.mlps[layer];
  byId("direct-grid").replaceChildren(smallGrid({
    rows: direct.heads.map((_, layer) => String(layer)),
    columns: [...columns, upwards("MLP")],
    value,
    limit: data.directLimit,
    title: (layer, column, added) => `${column < columns.length ? `L${layer}H${column}` : `MLP of layer ${layer}`}: ${number(added)}`,
    choose: (layer, column) => {
      const head = headResults.get(`L${layer}H${column}`);
      if (head && column < columns.length) focusCell(head.layer, columnOf(head));
    },
    className: "direct",
  }));
  const list = byId("direct-sum");
  definition(list, "All heads", number(direct.heads.flat().reduce((sum, one) => sum + one, 0)));
  definition(list, "MLPs", number(direct.mlps.reduce((sum, one) => sum + one, 0)));
  definition(list, "Embedding", number(direct.embedding));
  definition(list, "Biases", number(direct.biases));
  definition(list, "Together", number(direct.total), "main-value");
  byId("direct-scale").textContent = `Strongest colour: ±${number(data.directLimit)}.`;
}

// What follows the head and the pair that are chosen.
function showHead() {
  showPrompt();
  showHeadsByPosition();
  showPatterns();
}
