// ---- The prompts of a pair: tokens above each other, coloured by the effect of patching there; and heads by position

const HEADS_BY_POSITION = 24;
const shownPair = () => view.pair ?? pairs[0];

// The effect at each position of the pair of what is chosen, or null where it was not patched.
function effectsAt(pair, head) {
  const tables = tablesByPosition();
  if (!tables) return null;
  const index = headsOf[head.layer].indexOf(head);
  return pair.cleanTokens.map((_, position) => {
    const place = roles ? roles.findIndex(role => pair.roles?.[role] === position) : position;
    return place < 0 || place >= tables[head.layer].length ? null : tables[head.layer][place][index];
  });
}

function showPrompt() {
  const pair = shownPair();
  byId("prompt").hidden = !pair;
  if (!pair) return;
  const head = chosenHead();
  const effects = byPosition && head ? effectsAt(pair, head) : null;
  const ofAll = view.pair === null;
  byId("prompt-hint").textContent = effects
    ? `Coloured by the effect of patching ${head.name} there, ${ofAll ? `over ${plural(pairsInAll, "pair", "pairs")}, on the tokens of pair ${pair.index}` : `on pair ${pair.index}`}: clean above, corrupted below.`
    : `Pair ${pair.index}, clean above, corrupted below; coloured where the two differ. All of what was patched was patched ${result.positions === "all" ? "at all positions at once" : `at ${result.positions}`}.`;
  byId("prompt-tokens").replaceChildren(...pair.cleanTokens.map((cleanId, position) => {
    const corruptedId = pair.corruptedTokens[position];
    const clean = pair.cleanTokenTexts?.[position] ?? String(cleanId), corrupted = pair.corruptedTokenTexts?.[position] ?? String(corruptedId);
    const differs = cleanId !== corruptedId;
    const column = element("span", "aligned",
      token(clean, differs && !effects ? "clean" : ""), token(corrupted, differs ? (effects ? "differs" : "corrupted") : "same"));
    const effect = effects?.[position];
    column.title = `position ${position}${rolesAt(pair, position)}`;
    if (effects) {
      const blank = effect === null || (effect === 0 && !canChange(pair, head.layer, position));
      for (const part of column.children) colour(part, effect ?? 0, data.limit, blank);
      column.title += blank ? ", no effect possible" : `, effect ${number(effect)}`;
    }
    return column;
  }));
}

// Heads by positions: those of the largest effects, and the one that is chosen.
function showHeadsByPosition() {
  const tables = byPosition && !columnsArePositions ? tablesByPosition() : null;
  byId("by-position").hidden = !tables;
  if (!tables) return;
  const chosen = chosenHead();
  const strongest = ranked.slice(0, HEADS_BY_POSITION);
  const shown = strongest.includes(chosen) ? strongest : [chosen, ...strongest.slice(0, HEADS_BY_POSITION - 1)];
  const pair = shownPair();
  const columns = roles ? roles.map(upwards) : tables[0].map((_, position) => {
    const [clean, corrupted] = [pair?.cleanTokenTexts?.[position], pair?.corruptedTokenTexts?.[position]];
    return clean === undefined || corrupted === undefined ? upwards(String(position)) : tokenLabel(clean, corrupted);
  });
  const effect = (row, place) => tables[shown[row].layer][place][headsOf[shown[row].layer].indexOf(shown[row])];
  byId("by-position-hint").textContent = `The ${plural(shown.length, unit, units)} with the largest effects${strongest.includes(chosen) ? "" : `, ${chosen.name} first`}, `
    + `${view.pair === null ? `over ${plural(pairsInAll, "pair", "pairs")}${roles ? "" : `; the tokens are those of pair ${pair?.index}`}` : `pair ${view.pair.index}`}.`;
  byId("by-position-grid").replaceChildren(smallGrid({
    rows: shown.map(head => headLink(head.name)),
    columns,
    value: (row, place) => isBlank(shown[row].layer, place, effect(row, place)) ? null : effect(row, place),
    limit: data.limit,
    title: (row, place, value) => `${shown[row].name}, ${placeWord} ${positionName(place)}: ${value === null ? "no effect possible" : number(value)}`,
    className: "by-position",
  }));
}
