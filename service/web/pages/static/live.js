// Keeps <main> as the server draws it now. An event stream says when to fetch it anew; without one
// it is fetched every two seconds. Now and then it is fetched anyway: not all it shows is an event.
// Only what changed is put in its place, and nothing that somebody is writing in.
const TURN = 1000;
const LEAST = 2000;
const SELDOM = 15000;
const AGAIN = 30000;
const stale = document.getElementById("stale");
let stream = null;
let openedAt = 0;
let wanted = 0;
let tag = "";
let lookedAt = Date.now();

const main = () => document.querySelector("main");

function listen() {
  const { stream: address, event } = main().dataset;
  openedAt = Date.now();
  wanted = Number(event);
  stream = new EventSource(`${address}?after=${event}`);
  stream.onopen = () => (stale.hidden = true);
  stream.onmessage = (message) => (wanted = Number(message.lastEventId));
}

// A hidden page holds no connection; a refused stream is tried again after a while, a lost one
// the browser opens anew by itself.
function tend() {
  if (document.hidden) {
    stream?.close();
    stream = null;
  } else if (!stream || (stream.readyState === EventSource.CLOSED && Date.now() - openedAt > AGAIN)) {
    listen();
  }
}

function patience() {
  if (stream?.readyState !== EventSource.OPEN) return LEAST;
  if (main().querySelector("[data-coming]")) return LEAST; // no event says that it is there
  return wanted > Number(main().dataset.event) ? LEAST : SELDOM;
}

const isBusy = (element) =>
  element.contains(document.activeElement) &&
  document.activeElement.matches("input, select, textarea, button, summary, [tabindex]");

// What somebody has unfolded stays so, and what was scrolled aside stays there.
function keep(old, fresh) {
  for (const open of old.querySelectorAll("details[open][id]")) {
    fresh.querySelector(`#${CSS.escape(open.id)}`)?.setAttribute("open", "");
  }
}

function put(old, fresh) {
  keep(old, fresh);
  if (fresh.isEqualNode(old) || isBusy(old)) return;
  const aside = [...old.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
  old.replaceWith(fresh);
  fresh.querySelectorAll(".scroll").forEach((box, at) => (box.scrollLeft = aside[at] ?? 0));
}

function renew(fresh) {
  const [old, now] = [[...main().children], [...fresh.children]];
  main().dataset.event = fresh.dataset.event;
  if (old.length !== now.length) {
    if (!isBusy(main())) main().replaceChildren(...now);
    return;
  }
  old.forEach((element, at) => put(element, now[at]));
}

async function look() {
  lookedAt = Date.now();
  const headers = { "X-Part": "main", ...(tag && { "If-None-Match": tag }) };
  const answer = await fetch(location.href, { credentials: "same-origin", headers });
  const login = new URL(main().dataset.login, location.href);
  if (new URL(answer.url).pathname === login.pathname) return location.assign(login);
  if (answer.status !== 304) {
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    tag = answer.headers.get("ETag") ?? "";
    renew(page.querySelector("main"));
  }
  stale.hidden = true;
}

async function turn() {
  try {
    if (main().dataset.stream) tend();
    if (!document.hidden && Date.now() - lookedAt > patience()) await look();
  } catch {
    stale.hidden = false;
  }
  setTimeout(turn, TURN * (0.75 + 0.5 * Math.random()));
}

// A form is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  if (event.target.dataset.sent) event.preventDefault();
  if (event.target.method === "post") event.target.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form")) delete form.dataset.sent;
});

if (main().dataset.stream) {
  document.addEventListener("visibilitychange", tend);
  turn();
}
