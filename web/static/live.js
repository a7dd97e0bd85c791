// Live pages: one stream a browser says what changed, and the page in sight
// puts its own new values in place. Paused while hidden; tries again with
// growing, jittered pauses; ends when the session does.

const say = (text, stay = false) => document.dispatchEvent(new CustomEvent('panel:line', { detail: { text, stay } }));
const pause = (ms, signal) => new Promise((done) => {
  const timer = setTimeout(done, ms);
  signal.addEventListener('abort', () => { clearTimeout(timer); done(); }, { once: true });
});
const isLive = () => document.querySelector('[data-live]') !== null;
const channel = 'BroadcastChannel' in self ? new BroadcastChannel('constellation-live') : null;
const root = new URL('..', import.meta.url).pathname; // of the panel, which may be below a prefix
const longestPause = 60_000;
let holding; // ends this tab's part in the stream
let lost = false;
let signedOut = false;

// ---- the page's own new values

// put replaces what differs in an element by what its new self has.
function put(old, now) {
  if (!now || old.innerHTML === now.innerHTML) return false;
  const status = (element) => [...element.querySelectorAll('.status')].map((s) => s.textContent).join();
  const changed = status(old) !== status(now);
  old.replaceChildren(...now.childNodes);
  if (changed) {
    old.classList.remove('fresh');
    requestAnimationFrame(() => old.classList.add('fresh'));
  }
  return changed;
}

const rows = (results) => [...results.querySelectorAll('tr[id]')];
const ids = (results) => rows(results).map((r) => r.id).join();

// ---- nothing moves under a pointer: rows that come and go wait until it has
// left the list, and everything waits while a button is pressed

let mouse = false; // a finger's touch hovers on where it was
let pressed = false;
let held = false; // something waits
const hovered = (part) => mouse && part.matches(':hover');
const occupied = (part) => part.contains(document.activeElement) || hovered(part);

function letIn(released) {
  if (!held || pressed || asked !== undefined || !released && [...document.querySelectorAll('[data-live]')].some(occupied)) return;
  held = false;
  asked = setTimeout(refresh, 300); // a click comes first
}
addEventListener('pointerover', (event) => { mouse = event.pointerType === 'mouse'; }, true);
addEventListener('pointerdown', () => { pressed = true; }, true);
for (const name of ['pointerup', 'pointercancel']) addEventListener(name, () => { pressed = false; letIn(true); }, true);
for (const name of ['pointerout', 'focusout']) addEventListener(name, () => setTimeout(() => letIn(false)), true);

function putResults(old, now, said) {
  if (ids(old) !== ids(now) || rows(old).length === 0) {
    if (old.innerHTML === now.innerHTML) return;
    // A list without rows has no place that one could lose: the focus goes on.
    if (!occupied(old) || rows(old).length === 0 && !hovered(old)) {
      const focused = old.contains(document.activeElement) ? document.activeElement : undefined;
      const link = focused?.getAttribute('href');
      old.replaceChildren(...now.childNodes);
      self.htmx?.process(old);
      if (focused) ([...document.querySelectorAll('main a[href]')].find((e) => e.getAttribute('href') === link) ?? old).focus({ preventScroll: true });
      return;
    }
    held = true;
  }
  for (const row of rows(old)) {
    const fresh = now.querySelector(`#${CSS.escape(row.id)}`);
    if (fresh) [...row.cells].forEach((cell, i) => putCell(cell, fresh.cells[i], row, said));
  }
}

function putCell(cell, now, row, said) {
  const named = cell.matches('.name');
  if (named && (cell.textContent === now?.textContent || cell.contains(document.activeElement))) return;
  if (put(cell, now)) said.push(`${row.querySelector('.name a')?.textContent}: ${cell.textContent.trim()}`);
  if (named) self.htmx?.process(cell);
}

let asked;
let refreshing = false;
async function refresh() {
  clearTimeout(asked);
  asked = undefined;
  if (refreshing || document.hidden || !isLive()) return;
  if (pressed) {
    held = true;
    return;
  }
  refreshing = true;
  try {
    const here = location.href;
    const answer = await fetch(here, { headers: { 'X-Live': '1' }, cache: 'no-store' });
    if (answer.status === 404 && location.href === here) say('What this page shows is not here any more. Load it again to see why.', true);
    if (!answer.ok || answer.redirected || location.href !== here) return;
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    if (pressed) { // since it was asked for
      held = true;
      return;
    }
    const said = [];
    for (const part of document.querySelectorAll('[data-live][id]')) {
      const now = page.getElementById(part.id);
      if (!now) continue;
      if (part.id === 'results') putResults(part, now, said);
      else if (part.contains(document.activeElement)) held = true;
      else if (put(part, now)) said.push(part.querySelector('.status')?.textContent ?? '');
    }
    announce(said);
  } catch { /* the stream notices a lost network */ } finally { refreshing = false; }
}

// announce tells screen readers once of what changed together.
function announce(said) {
  if (said.length === 0) return;
  let region = document.getElementById('live-said');
  if (!region) {
    region = Object.assign(document.createElement('p'), { id: 'live-said', className: 'visually-hidden' });
    region.setAttribute('aria-live', 'polite');
  }
  const top = [...document.querySelectorAll('dialog:modal')].pop() ?? document.body; // what is outside one is not spoken of
  if (region.parentElement !== top) top.append(region);
  region.textContent = said.length > 5 ? `${said.length} values changed` : said.join('; ');
}

// heard takes a list of satellites that changed; "*" is any number of them.
function heard(changed) {
  const here = location.pathname.replace(/\/*$/, '/');
  const concerns = here === root || here === `${root}launches/` || changed.some((id) => id === '*' || location.pathname.includes(id));
  if (concerns && asked === undefined) asked = setTimeout(refresh, 300 + Math.random() * 700);
}
// Times in words, counts and charts grow old without a change.
setInterval(() => { if (!lost && !signedOut) heard(['*']); }, 60_000);
channel?.addEventListener('message', (event) => {
  if (event.data === 'bye') ended(); else heard(event.data);
});

// ---- the stream

function ended() {
  if (signedOut) return;
  signedOut = true;
  holding?.abort();
  say('You are signed out. Load the page again to sign in.', true);
}

async function read(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ''; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
      const lines = text.slice(0, end).split('\n');
      const field = (name) => lines.find((l) => l.startsWith(`${name}: `))?.slice(name.length + 2);
      if (field('event') === 'bye') {
        channel?.postMessage('bye');
        ended();
        return;
      }
      if (field('event') === 'change') {
        const changed = JSON.parse(field('data'));
        channel?.postMessage(changed);
        heard(changed);
      }
    }
  }
}

function unreachable() {
  if (lost) return;
  lost = true;
  say('No connection to the mothership. This page may be out of date; it tries again by itself.', true);
}

function reached() {
  if (!lost) return;
  lost = false;
  say('Connected again.');
  refresh();
}

async function stream(signal) {
  for (let wait = 1000; !signal.aborted && !signedOut;) {
    try {
      const answer = await fetch(`${root}live`, { signal, headers: { Accept: 'text/event-stream' }, cache: 'no-store' });
      if (answer.status === 401) return ended();
      if (!answer.headers.get('Content-Type')?.startsWith('text/event-stream')) throw new Error(answer.status);
      reached();
      wait = 1000;
      await read(answer.body);
    } catch {
      if (signal.aborted) return;
      if (wait > 1000) unreachable();
    }
    await pause(wait * (0.5 + Math.random()), signal);
    wait = Math.min(wait * 2, longestPause);
  }
}

async function hold() {
  if (!isLive() || signedOut || document.hidden || holding) return;
  const mine = holding = new AbortController();
  try {
    const run = () => stream(mine.signal);
    if (navigator.locks) await navigator.locks.request('constellation-live', { signal: mine.signal }, run);
    else await run();
  } catch { /* let go while it waited for another tab */ } finally { if (holding === mine) holding = undefined; }
}

function letGo() {
  holding?.abort();
  holding = undefined;
}
document.addEventListener('visibilitychange', () => {
  if (document.hidden) return letGo();
  refresh();
  hold();
});
addEventListener('pagehide', letGo);
addEventListener('pageshow', (event) => { if (event.persisted) { refresh(); hold(); } });
addEventListener('offline', () => {
  if (!isLive() || signedOut) return;
  letGo();
  unreachable();
});
addEventListener('online', () => {
  letGo();
  hold();
  if (holding || !lost) return; // else another tab has the stream
  reached();
});
hold();
