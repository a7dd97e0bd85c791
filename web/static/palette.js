// The command palette: Ctrl-K or ⌘-K, type, arrows, Enter. What it finds is
// the fragment of /find; the script only moves the choice.

// Looked up each time: a form's answer may have put a new page around them.
const palette = () => document.getElementById('palette');
const query = () => document.getElementById('palette-query');
const box = () => document.getElementById('palette-found');
const say = (text) => { document.getElementById('palette-status').textContent = text; };

const options = () => [...box().querySelectorAll('a')];
const chosen = () => box().querySelector('a[aria-selected="true"]');

function choose(link) {
  for (const a of options()) a.setAttribute('aria-selected', a === link ? 'true' : 'false');
  if (link) {
    query().setAttribute('aria-activedescendant', link.id);
    link.scrollIntoView({ block: 'nearest' });
  } else {
    query().removeAttribute('aria-activedescendant');
  }
}

let asked;
let found; // what was typed when the list was made
async function find() {
  const typed = query().value;
  asked?.abort();
  asked = new AbortController();
  let text;
  try {
    const answer = await fetch(new URL('../find?q=' + encodeURIComponent(typed), import.meta.url), {
      headers: { 'HX-Request': 'true', 'HX-Target': 'found' }, signal: asked.signal,
    });
    if (answer.headers.get('HX-Redirect')) { location.href = answer.headers.get('HX-Redirect'); return; }
    if (!answer.ok) throw new Error(String(answer.status));
    text = await answer.text();
  } catch (error) {
    if (error.name !== 'AbortError') say('No answer from the mothership. Try again.');
    return;
  }
  const list = new DOMParser().parseFromString(text, 'text/html').getElementById('found');
  box().replaceChildren(...(list ? list.children : []));
  found = typed;
  box().dataset.found = typed;
  options().forEach((a, i) => {
    a.id = 'palette-option-' + i;
    a.setAttribute('role', 'option');
    a.tabIndex = -1;
  });
  for (const list of box().querySelectorAll('ul, li')) list.setAttribute('role', 'presentation');
  for (const section of box().querySelectorAll('section')) section.setAttribute('role', 'group');
  for (const name of box().querySelectorAll('h2')) name.setAttribute('aria-hidden', 'true'); // the group has it as its label
  choose(options()[0]);
  say(options().length === 1 ? '1 found' : options().length + ' found');
}

function openPalette() {
  if (!palette() || palette().open) return;
  query().value = '';
  palette().showModal();
  query().focus();
  find();
}

let timer;
document.addEventListener('input', (event) => {
  if (event.target !== query()) return;
  clearTimeout(timer);
  timer = setTimeout(find, 120);
});
document.addEventListener('keydown', async (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === 'k') {
    event.preventDefault();
    openPalette();
    return;
  }
  if (event.target !== query()) return;
  const list = options();
  const at = list.indexOf(chosen());
  if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
    event.preventDefault();
    if (list.length) choose(list[(at + (event.key === 'ArrowDown' ? 1 : -1) + list.length) % list.length]);
  } else if (event.key === 'Enter') {
    event.preventDefault();
    clearTimeout(timer);
    if (query().value !== found) await find();
    chosen()?.click();
  }
});
document.addEventListener('click', (event) => {
  if (event.target === palette()) palette().close();
  if (!event.target.closest('[data-palette]')) return;
  event.preventDefault();
  openPalette();
});
if (navigator.platform.startsWith('Mac')) {
  for (const key of document.querySelectorAll('[data-palette] kbd')) key.textContent = '⌘ K';
}
