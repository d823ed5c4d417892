"use strict";
// The list of sweeps and the form that starts one. Names and messages are whatever somebody put into a request:
// they enter the page as text only (textContent, append).
(() => {
  const byId = id => document.getElementById(id);

  const WATCHING_MS = 1_000; // while a sweep runs
  const IDLE_MS = 10_000;
  const PATIENCE_MS = 15_000; // for one answer
  const SHOWN_AT_ONCE = 50;
  const SHOWN_AT_MOST = 1_000; // the most of a page that the server gives
  const STREAMS_AT_ONCE = 3; // a browser opens six connections to a server
  const DELETED_AT_ONCE = 100; // the most that the server takes
  const SERIES_AT_ONCE = 5, SERIES_AT_MOST = 100;
  const LARGEST_FILE = 8 << 20, MOST_PAIRS = 10_000; // so much a request may hold

  // ---- Small helpers

  function element(tag, className, ...children) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    made.append(...children.filter(child => child !== null && child !== undefined));
    return made;
  }

  // Shows a text, or hides the element where there is none. Unchanged text is left alone, so that a selection in it stays.
  function show(target, text) {
    target.hidden = !text;
    if (target.textContent !== text) target.textContent = text;
  }

  // Not "disabled", which would take the focus away from whoever has just pressed it.
  function setBusy(button, busy) {
    if (busy) button.setAttribute("aria-disabled", "true");
    else button.removeAttribute("aria-disabled");
  }

  const isBusy = button => button.hasAttribute("aria-disabled");
  const plural = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
  const address = (id, part) => `api/sweeps/${encodeURIComponent(id)}${part ? `/${part}` : ""}`;

  // ---- The server

  class Refusal extends Error {
    constructor(status, problem) {
      super([problem?.title ?? `The server answered ${status}.`, problem?.detail].filter(Boolean).join(" "));
      this.status = status;
      this.errors = problem?.errors ?? [];
    }
  }

  class NoAnswer extends Error {
    constructor() {
      super("The server does not answer.");
    }
  }

  async function ask(path, options = {}) {
    let response;
    let text;
    try {
      response = await fetch(path, { cache: "no-store", ...options, signal: AbortSignal.timeout(PATIENCE_MS) });
      text = await response.text();
    } catch {
      throw new NoAnswer();
    }
    let body = null;
    try {
      body = JSON.parse(text);
    } catch {
      // Not every answer has a body, and a proxy's error page is not JSON: the status says enough.
    }
    if (!response.ok) throw new Refusal(response.status, body);
    return body;
  }

  // ---- One sweep of the list: made once, then brought up to date in place, so that focus and selection stay where they are

  const ACTIVE = new Set(["queued", "running"]);
  const PHASES = { planning: "Planning", caching: "Clean and corrupted runs", estimating: "Estimates from a gradient", patching: "Patching", "patching-sets": "Patching sets of nodes", assembling: "Putting the result together", done: "Done" };
  const RESULTS = [
    ["report", "Report"], ["heatmap.png", "Heatmap PNG"], ["heatmap.svg", "SVG"], ["heatmap.csv", "CSV"], ["heads.csv", "Heads CSV"], ["effects.parquet", "Effects Parquet"], ["results", "results.json"],
  ];

  function progressOf({ status, progress }) {
    if (status === "queued") return { share: null, text: "Waiting for its turn" };
    const { phase, layersDone, layersTotal, chunksCached, chunksTotal, chunksEstimated = 0, tasksDone, tasksTotal, tasksReused, rounds = 0, headsDecided = 0, headsTotal = 0, runsMade = 0, runsOfExact = 0 } = progress;
    const parts = [PHASES[phase] ?? phase];
    if (phase === "caching") parts.push(`${chunksCached} of ${plural(chunksTotal, "chunk", "chunks")} of pairs`);
    if (phase === "estimating") parts.push(`${chunksEstimated} of ${plural(chunksTotal, "chunk", "chunks")} of pairs`);
    if (phase === "patching" && headsTotal > 0) {
      parts.push(`${headsDecided} of ${plural(headsTotal, "head", "heads")} decided`, `${runsMade.toLocaleString("en")} of ${plural(runsOfExact, "run", "runs")}`);
    } else if (phase === "patching") {
      parts.push(`${layersDone} of ${plural(layersTotal, "layer", "layers")}`, `${tasksDone} of ${plural(tasksTotal, "task", "tasks")}`);
      if (tasksReused > 0) parts.push(`${tasksReused} kept from an interrupted run`);
    }
    if (phase === "patching-sets") parts.push(`${plural(rounds, "round", "rounds")} done`);
    // Caching or estimating a chunk is about as much work as patching a layer of it, so the bar goes evenly.
    const estimates = phase === "estimating" || chunksEstimated > 0 ? chunksTotal : 0;
    const total = chunksTotal + estimates + tasksTotal + headsTotal;
    return { share: total > 0 ? (chunksCached + chunksEstimated + tasksDone + headsDecided) / total : null, text: parts.join(" · ") };
  }

  function when(text) {
    const time = new Date(text);
    const today = time.toDateString() === new Date().toDateString();
    const shown = element("time", "", today ? time.toLocaleTimeString() : time.toLocaleString());
    shown.dateTime = text;
    return shown;
  }

  function duration(from, to) {
    const seconds = Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000);
    if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
    if (seconds < 10) return `${seconds.toFixed(1)} s`;
    if (seconds < 120) return `${Math.round(seconds)} s`;
    return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
  }

  function faultLine(where, message) {
    return element("li", "", where ? element("span", "where", where) : null, message);
  }

  function faultList(faults, count) {
    const list = element("ul", "faults", ...faults.map(fault => faultLine(fault.path, fault.message)));
    if (count > faults.length) list.append(faultLine("", `and ${(count - faults.length).toLocaleString("en")} more`));
    return list;
  }

  function strongestText({ name, patchingEffect }) {
    const size = Math.abs(patchingEffect).toFixed(2);
    return `${name} ${size === "0.00" ? "" : patchingEffect < 0 ? "−" : "+"}${size}`;
  }

  // What a sweep is, as far as its title does not say it.
  function kindOf({ pairs, positions, direction, metric, dtype }) {
    const where = positions === undefined || positions === "all" ? "" : positions === "each" ? "each position" : positions === "each-role" ? "each role"
      : typeof positions === "number" ? `position ${positions}` : `role ${positions}`;
    return [pairs === undefined ? "" : plural(pairs, "pair", "pairs"), where, direction, metric, dtype].filter(Boolean).join(" · ");
  }

  function makeItem(sweep) {
    const item = element("li", "sweep");
    item.dataset.id = sweep.id;
    const parts = {
      item,
      state: element("span", "badge state"),
      ended: element("span", ""),
      progress: element("div", "progress"),
      bar: element("progress"),
      progressText: element("p", "progress-text"),
      failure: element("div", "failure"),
      links: element("div", "links"),
      stop: element("button", "stop"),
      again: element("button", "quiet again", "Again, with changes"),
      choose: element("input", "choose"),
      kind: element("span", "kind"),
      strongest: element("span", "strongest"),
      stamp: element("a", "stamp"),
    };
    // Each name isolated from what follows: it may hold characters that turn the direction of writing.
    const of = [element("bdi", "", sweep.model), element("span", "on", " on "), element("bdi", "", sweep.dataset)];
    const hasName = sweep.name !== undefined && sweep.name !== sweep.dataset;
    const heading = element("h3", "", ...(hasName ? [element("bdi", "", sweep.name)] : of));
    const facts = element("p", "facts", hasName ? element("span", "", ...of) : null,
      element("span", "", sweep.title ?? `patches ${sweep.patch}`), parts.kind, parts.strongest, element("span", "", "asked for ", when(sweep.createdAt)), parts.ended, element("span", "", element("code", "", sweep.id)));
    parts.bar.max = 1;
    parts.bar.setAttribute("aria-label", "Progress");
    parts.progress.append(parts.bar, parts.progressText);
    for (const [part, name] of sweep.circuit ? [["report", "Report"], ["circuit", "Circuit"], ...RESULTS.slice(1)] : RESULTS) {
      const link = element("a", part === "report" ? "report" : "", name);
      link.href = address(sweep.id, part);
      parts.links.append(link);
    }
    parts.again.type = "button";
    parts.again.addEventListener("click", () => fillFormAsIn(sweep.id));
    parts.stamp.href = address(sweep.id, "report");
    parts.choose.type = "checkbox";
    parts.choose.setAttribute("aria-label", `Choose the sweep of ${sweep.model} on ${sweep.dataset}, ${sweep.id}`);
    parts.choose.addEventListener("change", () => {
      if (parts.choose.checked) chosen.add(sweep.id);
      else chosen.delete(sweep.id);
      showChosen();
    });
    parts.stop.type = "button";
    parts.stop.addEventListener("click", () => {
      if (isBusy(parts.stop)) return;
      if (ACTIVE.has(known.get(sweep.id)?.status)) stop(sweep.id, "The sweep is being cancelled.");
      else askToDelete([sweep.id]);
    });
    item.append(parts.choose, element("div", "sweep-body",
      element("div", "sweep-head", heading, element("div", "sweep-side", parts.state, parts.stop)), facts, parts.progress, parts.failure, element("div", "foot", parts.links, parts.again)), parts.stamp);
    return parts;
  }

  function updateItem(parts, sweep) {
    const active = ACTIVE.has(sweep.status);
    show(parts.state, sweep.status);
    parts.state.dataset.state = sweep.status;
    show(parts.ended, sweep.finishedAt ? `took ${duration(sweep.createdAt, sweep.finishedAt)}` : "");

    show(parts.kind, kindOf(sweep));
    show(parts.strongest, sweep.strongest ? `strongest ${strongestText(sweep.strongest)}` : "");
    parts.stamp.hidden = !sweep.smallHeatmap?.length;
    if (!parts.stamp.hidden && parts.stamp.childElementCount === 0) parts.stamp.append(stamp(sweep.smallHeatmap, `Heatmap, layer by layer${sweep.strongest ? `; strongest ${strongestText(sweep.strongest)}` : ""}`));
    parts.choose.checked = chosen.has(sweep.id);

    parts.progress.hidden = !active;
    if (active) {
      const { share, text } = progressOf(sweep);
      if (share === null) parts.bar.removeAttribute("value");
      else parts.bar.value = share;
      show(parts.progressText, text);
    }

    const broken = sweep.status === "failed" || sweep.status === "damaged";
    parts.failure.hidden = !broken;
    if (broken && parts.failure.childElementCount === 0) {
      const { message, faults = [], faultCount = 0 } = sweep.error ?? { message: "It failed without saying why." };
      parts.failure.append(element("p", "", message));
      if (faults.length > 0) parts.failure.append(faultList(faults, faultCount));
    }

    parts.links.hidden = sweep.status !== "completed";
    parts.again.hidden = sweep.status === "damaged";
    const leaving = stopping.get(sweep.id) === sweep.status;
    setBusy(parts.stop, leaving);
    show(parts.stop, active ? (leaving ? "Cancelling …" : "Cancel") : (leaving ? "Deleting …" : "Delete"));
    parts.stop.setAttribute("aria-label", `${active ? "Cancel" : "Delete"} the sweep of ${sweep.model} on ${sweep.dataset}, ${sweep.id}`);
  }

  // ---- The list

  let known = null; // id -> sweep, newest first; null before the first answer
  let shown = SHOWN_AT_ONCE;
  const items = new Map(); // id -> parts
  const stopping = new Map(); // id -> the state in which it was asked to go
  const chosen = new Set(); // ids
  let after = null; // the sweep after which the list begins; null for the newest
  let nextAfter = null; // after which the page after this one begins

  function say(text) {
    byId("announcement").textContent = text;
  }

  function announceChanges(before, now) {
    if (before === null) return;
    for (const sweep of now.values()) {
      const earlier = before.get(sweep.id);
      if (earlier?.status !== sweep.status && (earlier || sweep.status === "queued" || sweep.status === "running")) {
        say(`The sweep of ${sweep.model} on ${sweep.dataset} is ${sweep.status}.`);
      }
    }
  }

  function showSweeps({ sweeps, total, underWay, next, continuationToken }) {
    const now = new Map([...sweeps]
      .sort((one, other) => Date.parse(other.createdAt) - Date.parse(one.createdAt))
      .map(sweep => [sweep.id, sweep]));
    announceChanges(known, now);
    known = now;

    for (const [id, parts] of items) {
      if (now.has(id)) continue;
      const hadFocus = parts.item.contains(document.activeElement);
      parts.item.remove();
      items.delete(id);
      stopping.delete(id);
      chosen.delete(id);
      if (hadFocus) byId("start").focus({ preventScroll: true });
    }

    const list = byId("sweeps");
    let place = list.firstElementChild;
    for (const sweep of now.values()) {
      if (!items.has(sweep.id)) items.set(sweep.id, makeItem(sweep));
      const parts = items.get(sweep.id);
      updateItem(parts, sweep);
      if (parts.item === place) place = place.nextElementSibling;
      else list.insertBefore(parts.item, place);
    }

    const looking = isLooking();
    nextAfter = continuationToken ?? null;
    byId("empty").hidden = total > 0 || looking;
    byId("none-found").hidden = total > 0 || !looking;
    byId("find").hidden = total === 0 && !looking;
    byId("more").hidden = !next || shown >= SHOWN_AT_MOST;
    byId("older").hidden = nextAfter === null || shown < SHOWN_AT_MOST;
    byId("newest").hidden = after === null;
    showChosen();
    followSome();
    show(byId("counts"), total === 0 ? "" : underWay === 0 ? plural(total, "sweep", "sweeps") : `${underWay.toLocaleString("en")} of ${plural(total, "sweep", "sweeps")} under way`);
    document.title = underWay === 0 ? "Sweeps · HeadPatching" : `${underWay} under way · HeadPatching`;
    watching = underWay > 0;
  }

  // ---- Series: the same sweep of several models. Their sweeps are in the list as any other.

  const seriesItems = new Map(); // id -> parts
  const leavingSeries = new Map(); // id -> the state in which it was asked to go
  let seriesShown = SERIES_AT_ONCE;

  const seriesAddress = (id, part) => `api/series/${encodeURIComponent(id)}${part ? `/${part}` : ""}`;

  function makeSeries(series) {
    const item = element("li", "series");
    item.dataset.id = series.id;
    const { models } = series;
    const parts = {
      item, series,
      state: element("span", "badge state"),
      stop: element("button", "stop"),
      ended: element("span", ""),
      progress: element("div", "progress"),
      bar: element("progress"),
      progressText: element("p", "progress-text"),
      failure: element("div", "failure"),
      links: element("div", "links"),
    };
    // Each name isolated from what follows: it may hold characters that turn the direction of writing.
    const of = [element("bdi", "", models[0].model), element("span", "on", " to "), element("bdi", "", models.at(-1).model), element("span", "on", " on "), element("bdi", "", series.dataset)];
    const hasName = series.name !== undefined && series.name !== series.dataset;
    parts.bar.setAttribute("aria-label", "Progress");
    parts.bar.max = models.length;
    parts.progress.append(parts.bar, parts.progressText);
    for (const [part, name] of [["report", "All models on one page"], ["results", "series.json"]]) {
      const link = element("a", part, name);
      link.href = seriesAddress(series.id, part);
      parts.links.append(link);
    }
    parts.stop.type = "button";
    parts.stop.addEventListener("click", () => {
      if (isBusy(parts.stop)) return;
      if (ACTIVE.has(parts.series.status)) removeSeries(series.id, "The series is being cancelled.");
      else askToDeleteSeries(parts.series);
    });
    item.append(
      element("div", "sweep-head", element("h4", "", ...(hasName ? [element("bdi", "", series.name)] : of)), element("div", "sweep-side", parts.state, parts.stop)),
      element("p", "facts", hasName ? element("span", "", ...of) : null, element("span", "", plural(models.length, "model", "models")), element("span", "", series.title), element("span", "", "asked for ", when(series.createdAt)), parts.ended, element("span", "", element("code", "", series.id))),
      parts.progress, parts.failure, parts.links);
    return parts;
  }

  function updateSeries(parts, series) {
    parts.series = series;
    const active = ACTIVE.has(series.status);
    show(parts.state, series.status);
    parts.state.dataset.state = series.status;
    show(parts.ended, series.finishedAt ? `took ${duration(series.createdAt, series.finishedAt)}` : "");
    parts.progress.hidden = !active;
    parts.bar.value = series.completed;
    show(parts.progressText, `${series.completed} of ${plural(series.models.length, "model", "models")} swept`);
    const without = active ? [] : series.models.filter(one => one.status !== "completed");
    parts.failure.hidden = without.length === 0;
    parts.failure.replaceChildren(element("ul", "faults", ...without.slice(0, 5).map(one => faultLine(one.model, one.error ?? `Its sweep is ${one.status ?? "deleted"}.`)),
      without.length > 5 ? faultLine("", `and ${without.length - 5} more`) : null));
    parts.links.hidden = series.status !== "completed";
    const leaving = leavingSeries.get(series.id) === series.status;
    setBusy(parts.stop, leaving);
    show(parts.stop, active ? (leaving ? "Cancelling …" : "Cancel") : (leaving ? "Deleting …" : "Delete"));
    parts.stop.setAttribute("aria-label", `${active ? "Cancel" : "Delete"} the series of ${series.models[0].model} to ${series.models.at(-1).model} on ${series.dataset}, ${series.id}`);
  }

  function showSeries({ series, total, next }) {
    const ids = new Set(series.map(one => one.id));
    for (const [id, parts] of seriesItems) {
      if (ids.has(id)) continue;
      if (parts.item.contains(document.activeElement)) byId("start").focus({ preventScroll: true });
      parts.item.remove();
      seriesItems.delete(id);
      leavingSeries.delete(id);
    }
    let place = byId("series").firstElementChild;
    for (const one of series) {
      if (!seriesItems.has(one.id)) seriesItems.set(one.id, makeSeries(one));
      const parts = seriesItems.get(one.id);
      updateSeries(parts, one);
      if (parts.item === place) place = place.nextElementSibling;
      else byId("series").insertBefore(parts.item, place);
    }
    byId("all-series").hidden = total === 0;
    byId("more-series").hidden = !next || seriesShown >= SERIES_AT_MOST;
  }

  async function removeSeries(id, doing) {
    const parts = seriesItems.get(id);
    leavingSeries.set(id, parts.series.status);
    updateSeries(parts, parts.series);
    try {
      await ask(seriesAddress(id), { method: "DELETE" });
      say(doing);
    } catch (error) {
      leavingSeries.delete(id);
      if (error.status !== 404) show(byId("server-gone"), error.message);
    }
    refresh();
  }

  byId("more-series").addEventListener("click", () => {
    seriesShown = SERIES_AT_MOST;
    refresh();
  });

  // ---- Watching: each second while something runs, slower otherwise, not at all while nobody looks

  let timer = null;
  let asking = false;
  let askAgain = false;
  let lastAnswer = null;
  let watching = false;

  async function refresh() {
    clearTimeout(timer);
    if (asking) {
      askAgain = true;
      return;
    }
    if (document.hidden) {
      followSome();
      return;
    }
    asking = true;
    try {
      if (!choicesKnown) await fillChoices(); // first, so that nobody is invited to a form that is not ready
      const looked = `api/sweeps?${query()}`;
      const page = await ask(looked, { cache: "no-cache" }); // what has not changed is not sent again
      if (looked !== `api/sweeps?${query()}`) askAgain = true; // something else is looked for by now
      lastAnswer = new Date();
      show(byId("server-gone"), "");
      byId("key-form").hidden = true;
      showSweeps(page);
      showSeries(await ask(`api/series?limit=${seriesShown}`, { cache: "no-cache" }));
    } catch (error) {
      if (error.status === 401) {
        askForKey();
        return;
      }
      const since = lastAnswer ? ` What is shown is from ${lastAnswer.toLocaleTimeString()}.` : "";
      show(byId("server-gone"), `${error.message}${since} This page tries again by itself.`);
    } finally {
      asking = false;
    }
    const gone = !byId("server-gone").hidden;
    timer = setTimeout(refresh, askAgain ? 0 : gone || (watching && !isFollowed()) ? WATCHING_MS : IDLE_MS);
    askAgain = false;
  }

  // ---- Events: of the sweeps that run, the first few say themselves when they change; the list is then asked for seldom. Where no stream
  // comes (a proxy that holds it back, a server with too many), it is asked for each second, as of the others.

  const streams = new Map(); // id -> EventSource
  const unheard = new Set(); // ids whose stream did not come

  const running = () => [...(known?.values() ?? [])].filter(sweep => ACTIVE.has(sweep.status));
  const isFollowed = () => running().length > 0 && running().every(sweep => streams.get(sweep.id)?.readyState === EventSource.OPEN);

  function unfollow(id) {
    streams.get(id)?.close();
    streams.delete(id);
  }

  function followSome() {
    const wanted = document.hidden ? [] : running().map(sweep => sweep.id).filter(id => !unheard.has(id)).slice(0, STREAMS_AT_ONCE);
    for (const id of [...streams.keys()].filter(id => !wanted.includes(id))) unfollow(id);
    for (const id of wanted.filter(id => !streams.has(id))) {
      const stream = new EventSource(address(id, "events"));
      streams.set(id, stream);
      stream.addEventListener("status", event => showChange(JSON.parse(event.data)));
      stream.addEventListener("gone", refresh);
      stream.addEventListener("error", () => {
        if (stream.readyState !== EventSource.CLOSED) return; // it ended, and begins again by itself
        unheard.add(id);
        unfollow(id);
        refresh();
      });
    }
  }

  function showChange(sweep) {
    const before = known?.get(sweep.id);
    if (!before || !items.has(sweep.id)) return;
    announceChanges(new Map([[sweep.id, before]]), new Map([[sweep.id, sweep]]));
    known.set(sweep.id, sweep);
    updateItem(items.get(sweep.id), sweep);
    if (ACTIVE.has(sweep.status)) return;
    unfollow(sweep.id);
    refresh(); // for the counts
  }

  // ---- What is looked for

  const isLooking = () => byId("search").value.trim() !== "" || byId("only-status").value !== "" || byId("only-model").value !== "" || after !== null;

  function query() {
    const asked = new URLSearchParams({ limit: shown });
    for (const [name, value] of [["q", byId("search").value.trim()], ["status", byId("only-status").value], ["model", byId("only-model").value], ["continuationToken", after ?? ""]]) {
      if (value !== "") asked.set(name, value);
    }
    return asked;
  }

  function look() {
    after = null;
    shown = SHOWN_AT_ONCE;
    refresh();
  }

  byId("find").addEventListener("submit", event => event.preventDefault());
  byId("search").addEventListener("input", look);
  byId("only-status").addEventListener("change", look);
  byId("only-model").addEventListener("change", look);
  byId("find-all").addEventListener("click", () => {
    byId("find").reset();
    look();
    byId("search").focus();
  });
  byId("older").addEventListener("click", () => {
    after = nextAfter;
    shown = SHOWN_AT_ONCE;
    refresh();
    byId("list-title").scrollIntoView({ block: "start" });
  });
  byId("newest").addEventListener("click", look);

  // ---- Several chosen

  function showChosen() {
    const many = chosen.size;
    byId("chosen").hidden = items.size === 0;
    byId("delete-chosen").hidden = many === 0;
    // Two that have results are held against each other, the later one less the earlier.
    const two = [...chosen].map(id => known.get(id)).sort((one, other) => Date.parse(one?.createdAt) - Date.parse(other?.createdAt));
    byId("compare-chosen").hidden = many !== 2 || two.some(sweep => sweep?.status !== "completed");
    if (!byId("compare-chosen").hidden) byId("compare-chosen").href = `api/compare/page?a=${encodeURIComponent(two[0].id)}&b=${encodeURIComponent(two[1].id)}`;
    show(byId("chosen-text"), many === 0 ? "Choose all that are shown" : `${plural(many, "sweep", "sweeps")} chosen`);
    byId("choose-all").checked = many > 0 && many === items.size;
    byId("choose-all").indeterminate = many > 0 && many < items.size;
  }

  byId("choose-all").addEventListener("change", () => {
    for (const [id, parts] of items) {
      parts.choose.checked = byId("choose-all").checked;
      if (parts.choose.checked) chosen.add(id);
      else chosen.delete(id);
    }
    showChosen();
  });
  byId("delete-chosen").addEventListener("click", () => askToDelete([...chosen]));

  async function stopSeveral(ids) {
    const outcomes = [];
    try {
      for (let first = 0; first < ids.length; first += DELETED_AT_ONCE) {
        const body = JSON.stringify({ ids: ids.slice(first, first + DELETED_AT_ONCE) });
        outcomes.push(...(await ask("api/sweeps/delete", { method: "POST", headers: { "Content-Type": "application/json" }, body })).sweeps);
      }
    } catch (error) {
      show(byId("server-gone"), error.message);
    }
    const count = removal => outcomes.filter(one => one.removal === removal).length;
    const said = [["deleted", count("deleted")], ["being cancelled", count("cancelling")], ["not deleted, for the store failed", count("failed")]];
    say(said.filter(([, many]) => many > 0).map(([what, many]) => `${plural(many, "sweep is", "sweeps are")} ${what}.`).join(" "));
    for (const { id, removal } of outcomes) if (removal !== "failed") chosen.delete(id);
    showChosen();
    await refresh();
    if (count("failed") > 0) show(byId("server-gone"), byId("announcement").textContent);
  }

  // ---- The function key, where the server asks for one

  async function askForKey(refusal) {
    const kept = await functionKey.isKept();
    show(byId("key-refused"), refusal ?? (kept ? "The server does not take this key." : ""));
    byId("key-kept").hidden = true;
    if (!byId("key-form").hidden) return;
    byId("key-form").hidden = false;
    byId("key").focus();
  }

  async function begin(taking) {
    try {
      await taking;
      byId("key-kept").hidden = !(await functionKey.isKept());
    } catch (error) {
      await askForKey(error.message);
      return;
    }
    refresh();
  }

  byId("key-form").addEventListener("submit", event => {
    event.preventDefault();
    begin(functionKey.use(byId("key").value.trim()));
    byId("key").value = "";
  });
  byId("forget-key").addEventListener("click", async () => {
    await functionKey.forget();
    location.reload(); // with nothing left of what the key showed
  });
  addEventListener("hashchange", () => begin(functionKey.takeFromAddress()));

  // ---- Cancel and delete

  async function stop(id, doing) {
    const sweep = known.get(id);
    if (!sweep) return;
    stopping.set(id, sweep.status);
    updateItem(items.get(id), sweep);
    try {
      await ask(address(id), { method: "DELETE" });
      say(doing);
    } catch (error) {
      stopping.delete(id);
      updateItem(items.get(id), sweep);
      if (error.status !== 404) show(byId("server-gone"), error.message);
    }
    refresh();
  }

  let onceConfirmed = null;

  function askToDeleteSeries(series) {
    onceConfirmed = () => removeSeries(series.id, "The series is being deleted.");
    show(byId("confirm-title"), "Delete this series?");
    byId("confirm-text").replaceChildren("Its ", plural(series.models.length, "sweep goes", "sweeps go"), " with it: ", element("bdi", "", series.models[0].model), " to ", element("bdi", "", series.models.at(-1).model), " on ", element("bdi", "", series.dataset), ", asked for ", when(series.createdAt), ".");
    show(byId("confirm-no"), "Keep it");
    byId("confirm-delete").showModal();
  }

  function askToDelete(ids) {
    const sweeps = ids.map(id => known.get(id)).filter(Boolean);
    if (sweeps.length === 0) return;
    onceConfirmed = () => {
      if (sweeps.length > 1) stopSeveral(sweeps.map(sweep => sweep.id));
      else stop(sweeps[0].id, ACTIVE.has(known.get(sweeps[0].id)?.status) ? "The sweep is being cancelled." : "The sweep is being deleted.");
    };
    const one = sweeps.length === 1 ? sweeps[0] : null;
    const active = sweeps.filter(sweep => ACTIVE.has(sweep.status)).length;
    show(byId("confirm-title"), one ? "Delete this sweep?" : `Delete ${plural(sweeps.length, "sweep", "sweeps")}?`);
    byId("confirm-text").replaceChildren(...(one
      ? [element("bdi", "", one.model), " on ", element("bdi", "", one.dataset), `, ${one.status}, asked for `, when(one.createdAt), "."]
      : [active > 0 ? `${plural(active, "is", "are")} under way and will be cancelled, not deleted.` : "All of them have ended."]));
    show(byId("confirm-no"), one ? "Keep it" : "Keep them");
    byId("confirm-delete").showModal();
  }

  byId("confirm-no").addEventListener("click", () => byId("confirm-delete").close());
  byId("confirm-yes").addEventListener("click", () => {
    byId("confirm-delete").close();
    onceConfirmed();
  });

  // ---- The form

  const form = byId("new-sweep");
  // The fields of the options are made by the server; data-type says how the value of each is sent.
  const OPTIONS = [...form.querySelectorAll("[data-type]")];
  const FIELDS = [...form.querySelectorAll("ul.faults")].map(list => list.id.replace(/^faults-/, ""));
  const DEMO_MODEL = "ioi-demo";
  const EXAMPLE = {
    clean: "When Mary and John went to the store, John gave a drink to",
    corrupted: "When Mary and John went to the store, Mary gave a drink to",
    correct: " Mary",
    incorrect: " John",
  };

  let choicesKnown = false;

  async function fillChoices() {
    const { models, datasets } = await ask("api/models");
    byId("model").replaceChildren(...models.map(model => {
      const size = model.layers && model.heads ? ` (${plural(model.layers, "layer", "layers")} of ${plural(model.heads, "head", "heads")})` : "";
      const option = element("option", "", `${model.name}${size}`);
      option.value = model.name;
      if (model.problem) {
        option.disabled = true;
        option.textContent = `${model.name}: ${model.problem}`;
      }
      if (model.name === DEMO_MODEL) option.selected = true;
      return option;
    }));
    byId("models").replaceChildren(...[...models].sort((one, other) => one.name.localeCompare(other.name, "en", { numeric: true })).map(model => {
      const box = element("input");
      [box.type, box.value, box.disabled] = ["checkbox", model.name, Boolean(model.problem)];
      return element("label", "check", box, element("bdi", "", model.name));
    }));
    byId("several-models").hidden = models.filter(model => !model.problem).length < 2;
    byId("only-model").append(...models.map(model => element("option", "", model.name)));
    for (const dataset of datasets) {
      const option = element("option", "", dataset.name);
      option.value = dataset.name;
      option.dataset.description = dataset.description;
      option.dataset.generated = dataset.generated;
      byId("own-pairs").before(option);
    }
    byId("dataset").selectedIndex = 0;
    choicesKnown = true;
    byId("fields").disabled = false;
    showChoices();
  }

  // ---- Several models: a box for each in place of the list

  const modelBoxes = () => [...byId("models").querySelectorAll("input:enabled")];
  const isSeries = () => !byId("models-field").hidden;
  const chosenModels = () => modelBoxes().filter(box => box.checked).map(box => box.value);

  function chooseSeveral(several) {
    byId("models-field").hidden = !several;
    byId("model-field").hidden = several;
    byId("model").disabled = several; // a hidden field holds nothing up
    showStart();
  }

  function showStart() {
    const count = chosenModels().length;
    byId("start").textContent = !isSeries() ? "Start the sweep" : count < 2 ? "Start the series" : `Sweep these ${count} models`;
    byId("all-models").textContent = count > 0 && count === modelBoxes().length ? "None" : "All";
  }

  byId("several-models").addEventListener("click", () => {
    for (const box of modelBoxes()) box.checked = false;
    chooseSeveral(true);
    modelBoxes()[0].focus();
  });
  byId("one-model").addEventListener("click", () => {
    chooseSeveral(false);
    byId("model").focus();
  });
  byId("all-models").addEventListener("click", () => {
    const all = chosenModels().length < modelBoxes().length;
    for (const box of modelBoxes()) box.checked = all;
    showStart();
  });
  byId("models").addEventListener("change", showStart);

  const isGenerated = () => byId("dataset").selectedOptions[0].dataset.generated === "true";

  function showChoices() {
    const own = byId("own-pairs").selected;
    byId("pairs-field").hidden = !own || !choicesKnown;
    const generated = choicesKnown && isGenerated();
    const drawn = generated || byId("ablation").value === "resample"; // what the seed decides
    byId("generated-fields").hidden = !drawn;
    byId("count-field").hidden = !generated;
    byId("count").disabled = !generated; // a hidden field holds nothing up
    byId("seed").disabled = !drawn;
    show(byId("dataset-description"), own ? "" : byId("dataset").selectedOptions[0].dataset.description);
    const where = byId("positions").value;
    byId("position").hidden = where !== "one";
    byId("role").hidden = where !== "role";
    const positions = where === "one" ? `position ${byId("position").value}` : where === "role" ? byId("role").value : byId("positions").selectedOptions[0].textContent;
    const metric = byId("metric").value || (byId("tokenWeights").value.trim() === "" ? "logit-difference" : "token-weights");
    byId("options-summary").textContent = `${byId("patch").value} · ${positions} · ${byId("direction").value} · ${metric} · ${byId("dtype").value}`;

    for (const field of form.querySelectorAll("[data-shown-when]")) {
      const [name, wanted] = field.dataset.shownWhen.split("=");
      field.hidden = wanted === undefined ? byId(name).value.trim() === "" : !wanted.split("|").includes(byId(name).value);
      for (const input of field.querySelectorAll("[data-type]")) input.disabled = field.hidden; // a hidden field holds nothing up
    }
    const ablation = byId("ablation").value;
    byId("direction").options[0].text = ablation ? "denoise: in the corrupted run" : "denoise: clean into corrupted";
    byId("direction").options[1].text = ablation ? "noise: in the clean run" : "noise: corrupted into clean";
    const receivers = readList(byId("receivers"));
    byId("advanced-summary").textContent = [
      ablation ? `${ablation} ablation` : "", byId("method").value === "exact" ? "" : byId("method").value, receivers.length > 0 ? `paths to ${receivers.join(", ")}` : "",
    ].filter(Boolean).join(" · ");
  }

  // The pairs of the text area, with the line each stands on, and a fault for every line that is not a JSON object.
  function readPairs() {
    const pairs = [];
    const lines = [];
    const faults = [];
    byId("pairs").value.split("\n").forEach((text, index) => {
      if (text.trim() === "") return;
      let pair = null;
      let reason = "it is no object";
      try {
        pair = JSON.parse(text);
      } catch (error) {
        reason = error.message.replace(/ \(line \d+ column \d+\)$/, ""); // it always reads one line
      }
      if (pair === null || typeof pair !== "object" || Array.isArray(pair)) {
        faults.push({ path: `pairs[${pairs.length}]`, message: `The line is not one JSON object (${reason}).` });
      }
      pairs.push(pair);
      lines.push(index + 1);
    });
    if (pairs.length === 0) faults.push({ path: "pairs", message: "Paste at least one pair, or choose a built-in data set." });
    return { pairs, lines, faults };
  }

  function readList(field) {
    return field.value.split(",").map(text => text.trim()).filter(text => text !== "");
  }

  // What an option's field says; undefined where it says nothing, and the server's default holds.
  function readOption(field, faults) {
    switch (field.dataset.type) {
      case "flag":
        return field.checked || undefined;
      case "sets": {
        const sets = field.value.split(";").map(text => text.trim()).filter(text => text !== "");
        return sets.length > 0 ? sets : undefined;
      }
      case "list":
        return readList(field).length > 0 ? readList(field) : undefined;
      case "weights":
        if (field.value.trim() === "") return undefined;
        try {
          return JSON.parse(`{${field.value.trim().replace(/^\{|\}$/g, "")}}`);
        } catch {
          faults.push({ path: field.name, message: 'Say tokens and their weights, such as " he": 1, " she": -1.' });
          return undefined;
        }
      case "whole":
      case "number":
        if (field.value === "") faults.push({ path: field.name, message: "Say a number." });
        return Number(field.value);
      case "positions":
        if (field.value === "role") {
          if (byId("role").value.trim() === "") faults.push({ path: field.name, message: "Say which role, such as S2." });
          return byId("role").value.trim();
        }
        if (field.value !== "one") return field.value;
        if (byId("position").value === "") faults.push({ path: field.name, message: "Say which position: a whole number; negative ones count from the end." });
        return Number(byId("position").value);
      default:
        return field.value === "" || field.value === field.dataset.default ? undefined : field.value;
    }
  }

  // ---- A file of pairs, read here and put into the text, where its faults have lines

  byId("pairs-file").addEventListener("change", async () => {
    const [file] = byId("pairs-file").files;
    byId("pairs-file").value = ""; // the same file may be chosen again when it was mended
    if (!file) return;
    clearFaults();
    if (file.size > LARGEST_FILE) {
      showFaults("The file was not taken.", [{ path: "pairs", message: `${file.name} is too large for a request, which holds ${LARGEST_FILE >> 20} MiB. Put it into the store with 'headpatch dataset push'.` }], []);
      return;
    }
    const taken = linesOf(await file.text());
    byId("pairs").value = taken.text;
    if (byId("name").value.trim() === "") byId("name").value = file.name.slice(0, byId("name").maxLength);
    const { pairs, lines, faults } = readPairs();
    if (pairs.length > MOST_PAIRS) faults.unshift({ path: "pairs", message: `There are ${pairs.length.toLocaleString("en")} pairs; a request holds ${MOST_PAIRS.toLocaleString("en")}.` });
    if (taken.fault) faults.unshift({ path: "pairs", message: taken.fault });
    if (faults.length > 0) showFaults(`${file.name} has faults.`, faults, lines);
    else say(`${plural(pairs.length, "pair", "pairs")} of ${file.name}.`);
  });

  // JSON Lines as they are; a JSON array of pairs, or an object with one in it, as lines.
  function linesOf(text) {
    try {
      const whole = JSON.parse(text);
      const pairs = Array.isArray(whole) ? whole : whole?.pairs;
      if (Array.isArray(pairs)) return { text: `${pairs.map(pair => JSON.stringify(pair)).join("\n")}\n` };
      if (whole === null || typeof whole !== "object" || text.trim().includes("\n")) return { text, fault: "The file is one JSON value that is no array of pairs." };
    } catch {
      // Lines, or something whose faults they will say.
    }
    return { text };
  }

  // ---- Again, with changes: the form as a sweep's request has it. What the form has no field for is sent along, and said.

  let carried = {};

  function carry(members) {
    carried = members;
    const names = Object.keys(members);
    byId("carried").hidden = names.length === 0;
    byId("carried-text").textContent = `As in that sweep, beside what the form shows: ${names.join(", ")}.`;
  }

  async function fillFormAsIn(id) {
    let request;
    try {
      request = await ask(address(id, "request"));
    } catch (error) {
      show(byId("server-gone"), error.message);
      return;
    }
    clearFaults();
    form.reset();
    chooseSeveral(false);
    const left = { ...request };
    const take = name => {
      const value = left[name];
      delete left[name];
      return value;
    };
    const model = take("model");
    byId("model").value = model;
    const noModel = byId("model").selectedIndex < 0;
    if (noModel) byId("model").selectedIndex = 0;
    const pairs = take("pairs");
    const dataset = take("dataset");
    byId("dataset").value = pairs ? "" : dataset ?? byId("dataset").options[0].value;
    byId("pairs").value = pairs ? `${pairs.map(pair => JSON.stringify(pair)).join("\n")}\n` : "";
    for (const name of ["count", "seed"]) if (name in left) byId(name).value = take(name);
    byId("name").value = take("name") ?? "";
    byId("direction").value = request.direction ?? (request.ablation ? "noise" : "denoise");
    delete left.direction;
    for (const field of OPTIONS) if (field.name in left && fillOption(field, left[field.name])) delete left[field.name];
    carry(left);
    showChoices();
    for (const fold of [byId("options"), byId("advanced")]) fold.open = fold.open || OPTIONS.some(field => fold.contains(field) && field.name in request);
    if (noModel) showFaults("The form is filled.", [{ path: "model", message: `This server has no model ${model}; choose one.` }], []);
    say("The form has what that sweep was asked.");
    byId("new-title").scrollIntoView({ block: "start" });
    byId("name").focus({ preventScroll: true });
  }

  // Puts a request's value into a field; false where the field cannot hold it.
  function fillOption(field, value) {
    switch (field.dataset.type) {
      case "flag":
        field.checked = value;
        return true;
      case "sets":
        field.value = value.join("; ");
        return true;
      case "list":
        field.value = value.join(", ");
        return true;
      case "weights":
        field.value = JSON.stringify(value).replace(/^\{|\}$/g, "");
        return true;
      case "positions":
        field.value = typeof value === "number" ? "one" : ["all", "each", "each-role"].includes(value) ? value : "role";
        if (field.value === "one") byId("position").value = value;
        if (field.value === "role") byId("role").value = value;
        return true;
      default:
        if (typeof value === "object") return false; // a reference of one's own pairs
        field.value = value;
        return field.value === String(value);
    }
  }

  byId("carry-nothing").addEventListener("click", () => {
    carry({});
    byId("start").focus();
  });

  // Sends what the form says and returns nothing it does not say: the server's defaults stay the server's.
  function readForm() {
    const value = name => byId(name).value;
    const body = { ...(isSeries() ? { models: chosenModels() } : { model: value("model") }), ...carried };
    if (value("name").trim() !== "") body.name = value("name").trim();
    let lines = [];
    const faults = [];
    if (isSeries() && body.models.length < 2) faults.push({ path: "models", message: "Choose two models or more; of one, start a sweep." });
    if (carried.pairsFile !== undefined) {
      // the prompts are those, whatever the field says
    } else if (value("dataset") !== "") {
      body.dataset = value("dataset");
    } else {
      const read = readPairs();
      body.pairs = read.pairs;
      lines = read.lines;
      faults.push(...read.faults);
    }
    for (const name of ["count", "seed"].filter(name => !byId(name).disabled)) {
      if (value(name) === "") faults.push({ path: name, message: "Say a whole number." });
      body[name] = Number(value(name));
    }
    for (const field of OPTIONS.filter(field => !field.disabled)) {
      const read = readOption(field, faults);
      if (read !== undefined) body[field.name] = read;
    }
    return { body, lines, faults };
  }

  function clearFaults() {
    byId("refusal").replaceChildren();
    for (const name of FIELDS) {
      byId(`faults-${name}`).replaceChildren();
      byId(name).removeAttribute("aria-invalid");
      byId(name).removeAttribute("aria-errormessage");
    }
  }

  // Each fault beside the field that its JSON path names; those of no field together, above the button.
  function showFaults(message, faults, lines) {
    const refusal = byId("refusal");
    refusal.append(element("p", "", message));
    const elsewhere = [];
    let first = null;
    for (const { path = "", message: text } of faults) {
      const name = FIELDS.find(field => path === field || path.startsWith(`${field}[`) || path.startsWith(`${field}.`));
      const field = name === "pairs" && byId("pairs-field").hidden ? undefined : name;
      if (field === undefined) {
        elsewhere.push(faultLine(path, text));
        continue;
      }
      const line = lines[/^pairs\[(\d+)\]/.exec(path)?.[1]];
      byId(`faults-${field}`).append(faultLine(line ? `line ${line}, ${path}` : path, text));
      byId(field).setAttribute("aria-invalid", "true");
      byId(field).setAttribute("aria-errormessage", `faults-${field}`);
      first ??= byId(field);
    }
    if (elsewhere.length > 0) refusal.append(element("ul", "faults", ...elsewhere));
    if (first !== null) {
      for (const fold of [byId("options"), byId("advanced")]) if (fold.contains(first)) fold.open = true;
      first.focus();
    }
  }

  // The same body sent again after a lost answer carries the same key, and so never makes a second sweep.
  let attempt = { text: null, key: null };

  function keyFor(text) {
    if (attempt.text !== text) {
      const random = crypto.getRandomValues(new Uint8Array(16));
      attempt = { text, key: [...random].map(byte => byte.toString(16).padStart(2, "0")).join("") };
    }
    return attempt.key;
  }

  async function start() {
    if (isBusy(byId("start"))) return;
    clearFaults();
    const { body, lines, faults } = readForm();
    if (faults.length > 0) {
      showFaults(`The ${isSeries() ? "series" : "sweep"} was not started.`, faults, lines);
      return;
    }
    setBusy(byId("start"), true);
    try {
      const text = JSON.stringify(body);
      const series = isSeries();
      const made = await ask(series ? "api/series" : "api/sweeps", {
        method: "POST",
        headers: { "Content-Type": "application/json", "Idempotency-Key": keyFor(text) },
        body: text,
      });
      attempt = { text: null, key: null };
      say(series ? "The series was started." : "The sweep was started.");
      await refresh();
      (series ? seriesItems : items).get(made.id)?.item.scrollIntoView({ block: "nearest" });
    } catch (error) {
      showFaults(error.message, error.errors ?? [], lines);
    } finally {
      setBusy(byId("start"), false);
    }
  }

  form.addEventListener("submit", event => {
    event.preventDefault();
    start();
  });
  form.addEventListener("change", showChoices);
  // An ablation is read off the clean run, most often: the server's own default.
  byId("ablation").addEventListener("change", () => { byId("direction").value = byId("ablation").value === "" ? "denoise" : "noise"; });
  byId("first-sweep").addEventListener("click", () => form.requestSubmit());
  byId("example-pair").addEventListener("click", () => {
    const pairs = byId("pairs");
    const before = pairs.value === "" || pairs.value.endsWith("\n") ? pairs.value : `${pairs.value}\n`;
    pairs.value = `${before}${JSON.stringify(EXAMPLE)}\n`;
    pairs.focus();
  });
  byId("more").addEventListener("click", () => {
    shown = Math.min(shown + SHOWN_AT_ONCE, SHOWN_AT_MOST);
    refresh();
  });
  document.addEventListener("visibilitychange", refresh);

  showChoices();
  begin(functionKey.takeFromAddress());
})();
