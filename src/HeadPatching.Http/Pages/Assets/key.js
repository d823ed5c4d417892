"use strict";
// The function key of an app in Azure, from the form or from the end of the page's address (#key=..., which a browser sends nobody). It is
// kept in this browser for half a day, or until it is forgotten; worker.js sends it along.
const functionKey = (() => {
  const KEPT_MS = 12 * 60 * 60 * 1000;
  const KEPT_AS = "pages/key";
  const store = () => caches.open("function-key");
  const workers = navigator.serviceWorker;
  // The one policy that this page's trusted types allow makes this one address.
  const worker = window.trustedTypes
    ? trustedTypes.createPolicy("worker", { createScriptURL: () => "pages/worker.js" }).createScriptURL("")
    : "pages/worker.js";

  async function use(key) {
    if (!workers) throw new Error("A browser sends a key over https only: open this page's https address.");
    await (await store()).put(KEPT_AS, new Response(JSON.stringify({ key, until: Date.now() + KEPT_MS })));
    await workers.register(worker, { scope: "./" });
    await controlled();
  }

  // A page that was loaded before the worker was there, or past it, is given to it.
  async function controlled() {
    const { active } = await workers.ready;
    if (workers.controller) return;
    const given = new Promise(done => workers.addEventListener("controllerchange", done, { once: true }));
    active.postMessage("take this page");
    await given;
  }

  return {
    use,

    async isKept() {
      return Boolean(workers) && Boolean(await (await store()).match(KEPT_AS));
    },

    async forget() {
      await (await store()).delete(KEPT_AS);
    },

    // Takes the key off the address, so that nobody copies it with it.
    async takeFromAddress() {
      const key = new URLSearchParams(location.hash.slice(1)).get("key");
      if (key) {
        history.replaceState(null, "", location.pathname + location.search);
        await use(key);
      } else if (await this.isKept()) {
        await controlled();
      }
    },
  };
})();
