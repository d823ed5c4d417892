// ---- The view: what is chosen, and the address that leads to it again

const SORTS = ["effect", "signed", "sure", "direct", "name"];
const view = { pair: null, position: null, sort: SORTS[0], head: null, top: null }; // a position is a place: of the prompts, or a role

function keepAddress() {
  const parts = new URLSearchParams();
  if (view.head !== null) parts.set("head", view.head);
  if (view.pair !== null) parts.set("pair", String(view.pair.index));
  if (view.position !== null) parts.set("position", roles ? roles[view.position] : String(view.position));
  if (view.sort !== SORTS[0]) parts.set("sort", view.sort);
  const fragment = parts.toString();
  if (location.hash.slice(1) !== fragment) history.replaceState(null, "", `#${fragment}`);
}

// What of an address can be is taken, and the rest left as it is where nothing is said.
function readAddress() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const pair = pairs.findIndex(one => String(one.index) === parts.get("pair") && hasEffects(one));
  const head = headResults.get(parts.get("head"));
  const position = parts.get("position");
  choosePair(pair < 0 ? null : pairs[pair]);
  const places = byPosition ? tablesByPosition()?.[0].length ?? 0 : 0;
  const place = position === null ? -1 : roles ? roles.indexOf(position) : /^\d+$/.test(position) ? Number(position) : -1;
  const known = place >= 0 && place < places ? place : null;
  if (!columnsArePositions && byPosition) {
    byId("one-position").checked = known !== null;
    byId("position").value = String(known ?? 0);
    choosePosition();
  }
  view.sort = SORTS.includes(parts.get("sort")) && (parts.get("sort") !== "direct" || hasDirect) && (parts.get("sort") !== "sure" || together) ? parts.get("sort") : SORTS[0];
  showRanking(HEADS_AT_FIRST);
  paint();
  const shown = head ?? ranked[0];
  if (shown) settle(rows[shown.layer][columnsArePositions && known !== null ? known : columnOf(shown)], head !== undefined || known !== null);
}
