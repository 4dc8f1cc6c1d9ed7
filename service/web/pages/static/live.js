// Keeps <main> as the server draws it now. An event stream says when to fetch it anew; without one
// it is fetched every two seconds. Now and then it is fetched anyway: not all it shows is an event.
const TURN = 1000;
const LEAST = 2000;
const SELDOM = 15000;
const AGAIN = 30000;
const stale = document.getElementById("stale");
let stream = null;
let openedAt = 0;
let wanted = 0;
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
  return wanted > Number(main().dataset.event) ? LEAST : SELDOM;
}

async function look() {
  lookedAt = Date.now();
  const answer = await fetch(location.href, { credentials: "same-origin" });
  const login = new URL(main().dataset.login, location.href);
  if (new URL(answer.url).pathname === login.pathname) return location.assign(login);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("main");
  if (!fresh.isEqualNode(main())) main().replaceWith(fresh);
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

if (main().dataset.stream) {
  document.addEventListener("visibilitychange", tend);
  turn();
}
