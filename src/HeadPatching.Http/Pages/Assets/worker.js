"use strict";
// Where the API asks for a function key, the page's links, pictures and files need one as much as its calls, and no browser adds a header to
// a link; in the address the key would come into logs. So this worker adds the header to whatever the site's own pages ask of the API.
const API = new URL("../api/", location).pathname;
const PAGE = new URL("../", location);
const KEY = new URL("key", location).pathname; // where key.js keeps it: a name in the cache, no address

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("message", event => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", event => {
  const { request } = event;
  const url = new URL(request.url);
  const isLink = request.mode === "navigate";
  // Another site may send somebody to an address of this one, but never a form in the key's name.
  if (url.origin !== location.origin || !url.pathname.startsWith(API) || (isLink && request.method !== "GET")) return;
  event.respondWith(withKey(request, isLink));
});

async function withKey(request, isLink) {
  const key = await storedKey();
  if (key === null) return fetch(request);
  const headers = new Headers(request.headers);
  headers.set("x-functions-key", key);
  // A link's or a picture's request takes no header of ours: it is asked for again by its address.
  const response = await (request.method === "GET"
    ? fetch(request.url, { headers, cache: request.cache, redirect: request.redirect, signal: request.signal })
    : fetch(new Request(request, { headers })));
  return isLink && response.status === 401 ? Response.redirect(PAGE) : response; // the page asks for another key
}

async function storedKey() {
  const stored = await (await caches.open("function-key")).match(KEY);
  if (!stored) return null;
  const { key, until } = await stored.json();
  return Date.now() < until ? key : null;
}
