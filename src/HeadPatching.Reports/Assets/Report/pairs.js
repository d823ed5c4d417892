// ---- Pairs

function token(text, className, title) {
  const made = element("span", `token ${className}`, visible(text));
  if (title) made.title = title;
  return made;
}

// The roles of a pair at a position, as a token's hint says them.
function rolesAt(pair, position) {
  const names = Object.entries(pair.roles ?? {}).filter(([, at]) => at === position).map(([name]) => name);
  return names.length > 0 ? `, ${names.join(", ")}` : "";
}

// The sentence once, with a fork wherever the two prompts differ.
function tokensOf(pair) {
  const line = element("div", "tokens");
  pair.cleanTokens.forEach((cleanId, position) => {
    const corruptedId = pair.corruptedTokens[position];
    const clean = pair.cleanTokenTexts?.[position] ?? String(cleanId);
    const corrupted = pair.corruptedTokenTexts?.[position] ?? String(corruptedId);
    line.append(cleanId === corruptedId
      ? token(clean, "", `position ${position}${rolesAt(pair, position)}, token ${cleanId}`)
      : element("span", "fork",
        token(clean, "clean", `clean: position ${position}${rolesAt(pair, position)}, token ${cleanId}`),
        token(corrupted, "corrupted", `corrupted: position ${position}${rolesAt(pair, position)}, token ${corruptedId}`)));
  });
  return line;
}

function strongestHeads(pair, count) {
  if (pair.runs && !pair.degenerate) { // of an adaptive sweep: of those that were run
    return pair.runs.map(run => ({ name: run.head, effect: run.patchingEffect }))
      .sort((one, other) => Math.abs(other.effect) - Math.abs(one.effect)).slice(0, count);
  }
  const byPlace = effectsByPlace(pair);
  const effects = pair.patchingEffect ?? (byPlace ? strongestOver(byPlace) : null);
  if (effects === null || pair.degenerate) return [];
  return effects
    .flatMap((row, layer) => row.map((effect, index) => ({ name: headsOf[layer][index].name, effect })))
    .sort((one, other) => Math.abs(other.effect) - Math.abs(one.effect))
    .slice(0, count);
}

function labelled(label, value) {
  return element("span", "", `${label} `, element("b", "", value));
}

function pairCard(pair, place) {
  const line = element("div", "pair-line",
    element("span", "pair-name", `Pair ${pair.index}`),
    labelled("correct", answer(pair, "correct")),
    labelled("incorrect", answer(pair, "incorrect")),
    labelled("clean metric", number(pair.cleanMetric)),
    labelled("corrupted metric", number(pair.corruptedMetric)));
  const excluded = result.excludedPairs?.find(one => one.index === pair.index);
  if (pair.degenerate || excluded) {
    const badge = element("span", "badge", pair.degenerate ? "degenerate" : excluded.reason);
    badge.title = `Clean and corrupted metric are ${pair.degenerate ? "the same: it has no effects" : "close beside the other pairs'"}${
      excluded ? "; it is left out of the effects over pairs" : ""}.`;
    line.append(badge);
  }
  const strongest = strongestHeads(pair, 3);
  if (strongest.length > 0) {
    const heads = element("span", "", "strongest");
    for (const head of strongest) heads.append(" ", headLink(head.name), ` ${number(head.effect, 2)}`);
    line.append(heads);
  }
  if (hasEffects(pair)) {
    const show = element("button", "head-link", "show in heatmap");
    show.type = "button";
    show.addEventListener("click", () => {
      byId("pair-choice").value = String(place);
      byId("pair-choice").dispatchEvent(new Event("change"));
      byId("heatmap-title").scrollIntoView();
    });
    line.append(show);
  }
  return element("article", "pair", tokensOf(pair), line);
}

function showMorePairs() {
  const shown = byId("pairs").childElementCount;
  byId("pairs").append(...pairs.slice(shown, shown + PAIRS_AT_A_TIME).map((pair, index) => pairCard(pair, shown + index)));
  byId("more-pairs").hidden = byId("pairs").childElementCount >= pairs.length;
}
