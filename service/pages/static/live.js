// Watches a JSON document and, when it has changed, fetches this page anew and swaps <main>.
// The server draws everything; this file only knows when to ask.
const PERIOD = 2000;
const stale = document.getElementById("stale");
let known = null;

async function refresh() {
  const address = document.querySelector("main").dataset.watch;
  if (!address || document.hidden) return;
  const answer = await fetch(address, { credentials: "same-origin" });
  if (answer.status === 401) return location.assign("/login");
  const text = await answer.text();
  if (known !== null && text !== known) await redraw();
  known = text;
}

async function redraw() {
  const page = await (await fetch(location.href, { credentials: "same-origin" })).text();
  const fresh = new DOMParser().parseFromString(page, "text/html").querySelector("main");
  document.querySelector("main").replaceWith(fresh);
}

async function watch() {
  try {
    await refresh();
    stale.hidden = true;
  } catch {
    stale.hidden = false;
  }
  setTimeout(watch, PERIOD);
}

watch();
