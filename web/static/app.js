// What the panel's pages do better with a script: nothing here is needed to
// use them. Everything is found by attributes, and listened for on the
// document, so that parts which htmx swaps in work as the first page did.

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
document.documentElement.classList.add('scripted');

// ---- a line at the bottom, for what no page says, and words for those who do
// not see it. A modal dialog takes what is outside it out of reach of screen
// readers, so both go where the visitor is.

const top = () => all('dialog:modal').pop() ?? document.body;

let lineTimer;
let lineBox;
function line(text, stay = false) {
  lineBox = document.getElementById('line') ?? lineBox;
  if (!lineBox) return;
  clearTimeout(lineTimer);
  if (lineBox.parentElement !== top()) top().append(lineBox);
  lineBox.textContent = text;
  lineBox.hidden = text === '';
  if (text && !stay) lineTimer = setTimeout(() => { lineBox.hidden = true; }, 4000);
}

document.addEventListener('panel:line', (event) => line(event.detail.text, event.detail.stay));

// say has screen readers speak, the same words again too.
function say(text) {
  const region = document.getElementById('said') ?? Object.assign(document.createElement('p'), { id: 'said', className: 'visually-hidden' });
  region.setAttribute('role', 'status');
  if (region.parentElement !== top()) top().append(region);
  region.textContent = '';
  setTimeout(() => { region.textContent = text; }, 50); // a region speaks of what changes in it
}

// ---- copying

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { /* there is a clipboard over https only, and it may be forbidden */ }
  const area = Object.assign(document.createElement('textarea'), { value: text, readOnly: true, className: 'visually-hidden' });
  button.after(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  button.focus();
  return done;
}

// selectText leaves a text selected, so that one key copies it: where the page
// shows it, else in a field that goes when it is left.
function selectText(text, from, button) {
  if (from) return getSelection().selectAllChildren(from);
  const field = Object.assign(document.createElement('input'), { value: text, readOnly: true, className: 'input mono to-copy' });
  field.setAttribute('aria-label', button.getAttribute('aria-label'));
  button.after(field);
  field.select();
  field.addEventListener('blur', () => field.remove());
}

document.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-copy], [data-copy-from]');
  if (!button) return;
  const from = button.dataset.copyFrom && document.getElementById(button.dataset.copyFrom);
  const text = from ? from.textContent.trim() : button.dataset.copy;
  const label = button.querySelector('[data-label]') ?? button;
  const before = button.dataset.before ??= label.textContent;
  const done = await copy(text, button);
  if (!done) selectText(text, from, button);
  label.textContent = done ? 'Copied' : 'Selected: press Ctrl-C';
  say(label.textContent);
  button.classList.toggle('done', done);
  setTimeout(() => { label.textContent = before; button.classList.remove('done'); }, 2000);
});

// ---- dialogs and side sheets: modal, closed by Esc and by a click beside them

const openLayer = () => document.querySelector('dialog[data-layer][open]');

function openLayers() {
  for (const layer of all('dialog[data-layer][open]:not([data-modal])')) {
    layer.dataset.modal = '';
    layer.close();
    layer.showModal();
    const first = cameFrom(layer) ?? layer.querySelector('[autofocus]') ?? layer.querySelector('#layer-title');
    if (first?.id === 'layer-title') first.tabIndex = -1; // not the way out, which would be the first
    first?.focus();
  }
}

let typedAt; // the address of the dialog that has something typed
const typed = (layer) => typedAt === location.pathname && layer.querySelector('form[method="post"]') !== null;
document.addEventListener('input', (event) => {
  if (event.target.closest?.('dialog[data-layer] form[method="post"]')) typedAt = location.pathname;
});

// closeLayer closes a dialog; with may, one with something typed asks first.
function closeLayer(layer, may = false) {
  const asked = layer.querySelector('.discard');
  if (asked) return keepTyping(asked);
  if (!may || !typed(layer)) return layer.querySelector('[data-close]')?.click();
  const question = document.createElement('div');
  question.className = 'notice warn discard';
  question.setAttribute('role', 'alertdialog');
  question.setAttribute('aria-label', 'Discard what you typed?');
  question.innerHTML = '<h2>Discard what you typed?</h2><div class="buttons"><button type="button" class="button" data-keep>Keep typing</button><button type="button" class="button danger" data-discard>Discard</button></div>';
  beforeQuestion = document.activeElement;
  layer.querySelector('.layer-head').after(question);
  question.querySelector('[data-keep]').focus();
  question.scrollIntoView({ block: 'nearest' });
}
let beforeQuestion; // what had the focus before the question
function keepTyping(question) {
  question.remove();
  beforeQuestion?.focus();
}
document.addEventListener('click', (event) => {
  const question = event.target.closest?.('.discard');
  if (!question || !event.target.matches('button')) return;
  const layer = question.closest('dialog');
  if (event.target.matches('[data-keep]')) return keepTyping(question);
  question.remove();
  closeLayer(layer);
});

// Esc is taken before the browser does: pressed twice it would close the dialog
// whatever we say.
document.addEventListener('keydown', (event) => {
  const layer = top();
  if (event.key !== 'Escape' || event.target.closest?.('[data-combo].open') || !layer.matches('dialog[data-layer]')) return;
  event.preventDefault();
  closeLayer(layer, true);
});
document.addEventListener('cancel', (event) => {
  if (!event.target.matches?.('dialog[data-layer]')) return;
  event.preventDefault();
  closeLayer(event.target, true);
}, true);
let pressedOn;
document.addEventListener('mousedown', (event) => { pressedOn = event.target; });
document.addEventListener('click', (event) => {
  const layer = event.target;
  // Beside it is the backdrop, which is the dialog itself. A press that began
  // inside, such as a selection, does not close; nor does one on a form with
  // something typed.
  if (layer !== pressedOn || !layer.matches?.('dialog[data-layer]')) return;
  const box = layer.getBoundingClientRect();
  const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
  if (!inside && !typed(layer)) closeLayer(layer);
});

// ---- the focus: given back where it was. A layer has an address of its own, so
// what opens it is found by that, also after the page came anew; what sent a
// form or is gone, by its place on the page.

const memory = 'constellation-focus';
const inReach = () => all('main :is(a[href], button, input:not([type="hidden"]), select, textarea, summary)').filter((e) => e.checkVisibility() && !e.closest('dialog, [aria-hidden="true"]') && e.tabIndex >= 0);
const opens = (element) => element.dataset.opens ?? element.getAttribute('href');
const keyOf = (address) => { const u = new URL(address, location.href); return u.pathname + (u.searchParams.get('row') ?? u.searchParams.get('action') ?? ''); };

function remember(element) {
  const button = element.matches('button[name], button[formaction]') ? { name: element.name, value: element.value, action: element.getAttribute('formaction') } : undefined;
  sessionStorage.setItem(memory, JSON.stringify({ page: location.pathname, opens: opens(element) ?? undefined, button, at: inReach().indexOf(element) }));
}

// cameFrom is what in a layer, or on the page, leads to the layer that was open
// before: not the way out of it.
function cameFrom(root) {
  const left = sessionStorage.getItem(memory + '-layer');
  const out = root.querySelector('[data-close]')?.getAttribute('href');
  const key = openLayer() ? keyOf(location.href) : '';
  if (key) sessionStorage.setItem(memory + '-layer', key); else sessionStorage.removeItem(memory + '-layer');
  if (!left) return undefined;
  const lastLink = left === key && clicked ? (e) => e.getAttribute('href') === clicked : (e) => left !== key && keyOf(opens(e)) === left;
  return all('a[href], [data-opens]', root).find((e) => e.getAttribute('href') !== out && (root !== document || !e.closest('dialog')) && e.checkVisibility() && lastLink(e));
}

function giveBack() {
  if (openLayer()) return;
  const said = sessionStorage.getItem(memory);
  sessionStorage.removeItem(memory);
  const leftTo = cameFrom(document);
  if (document.activeElement && document.activeElement !== document.body && document.activeElement.id !== 'content') return;
  const wanted = document.querySelector('main [autofocus]');
  if (wanted) return wanted.focus();
  const then = said ? JSON.parse(said) : undefined;
  if (!then || then.page !== location.pathname) return leftTo?.focus();
  const list = inReach();
  const same = leftTo ?? list.find((e) => then.opens && opens(e) && keyOf(opens(e)) === keyOf(then.opens))
    ?? (then.button && all('main button, .nav button').find((e) => e.tabIndex >= 0 && e.name === then.button.name && e.value === then.button.value && e.getAttribute('formaction') === then.button.action));
  (same ?? list[Math.min(then.at, list.length - 1)] ?? document.getElementById('content'))?.focus({ preventScroll: then.at < 0 });
}

let clicked; // the link that the layer's next content comes from
document.addEventListener('htmx:beforeRequest', (event) => {
  const { elt, target } = event.detail;
  clicked = elt.getAttribute('href') ?? undefined;
  if (target?.id === 'layer' && !elt.closest('#layer')) remember(elt);
});
document.addEventListener('submit', (event) => {
  if (event.target.method === 'post' && event.submitter && !event.target.closest('dialog')) remember(event.submitter);
}, true);

// ---- forms: sent once, the first error has the focus

document.addEventListener('submit', (event) => {
  const form = event.target;
  if (form.method !== 'post' || event.defaultPrevented) return;
  document.body.classList.add('busy');
  setTimeout(() => all('button', form).forEach((b) => { b.disabled = true; }));
});
addEventListener('pageshow', () => {
  document.body.classList.remove('busy');
  all('form button:disabled').forEach((b) => { b.disabled = false; });
});

// ---- htmx: a thin bar while it loads, a line when the network is gone

document.addEventListener('htmx:beforeRequest', () => document.body.classList.add('busy'));
document.addEventListener('htmx:afterRequest', (event) => {
  document.body.classList.remove('busy');
  if (event.detail.successful !== false || event.detail.xhr?.status) line('');
});
// A search keeps the order and the version that were chosen since the page came.
document.addEventListener('htmx:configRequest', (event) => {
  if (!event.target.matches?.('form.search')) return;
  const here = new URLSearchParams(location.search);
  for (const field of all('[type="hidden"]', event.target)) {
    if (here.has(field.name)) event.detail.parameters[field.name] = here.get(field.name);
  }
});
// A form that is refused stays as it is, with all that is typed and the reason
// above it, unless the answer has that form again: with what is wrong beside
// its fields. The reason is that of our page, or all that can be said of a page
// that is not ours. Who has to sign in first finds the form there.
document.addEventListener('htmx:beforeSwap', (event) => {
  const { xhr, requestConfig } = event.detail;
  const form = requestConfig?.elt.closest('form[method="post"]');
  if (!form || xhr.status < 400 || xhr.status === 401) return;
  const path = (f) => new URL(f.getAttribute('action'), location.href).pathname;
  const answer = new DOMParser().parseFromString(event.detail.serverResponse, 'text/html');
  if (all('form[action]', answer).some((f) => path(f) === path(form))) return;
  event.detail.shouldSwap = false;
  const reason = answer.querySelector('[data-refusal]')?.innerText.trim().replace(/\s+/g, ' ') ?? `The server answered ${xhr.status} and does not say why. Try again in a moment.`;
  all('.problem', form).forEach((p) => p.remove());
  const box = Object.assign(document.createElement('p'), { className: 'problem', textContent: reason });
  box.setAttribute('role', 'alert');
  form.prepend(box);
  box.scrollIntoView({ block: 'nearest' });
});
// What takes the place of an open layer does not come in again.
document.addEventListener('htmx:beforeSwap', (event) => {
  if (event.detail.target?.id === 'layer') document.documentElement.classList.toggle('still', document.querySelector('dialog[data-modal][open]') !== null);
});
for (const name of ['htmx:sendError', 'htmx:timeout']) {
  document.addEventListener(name, () => line('No answer from the mothership. What you typed is still here; try again.', true));
}
document.addEventListener('htmx:afterSettle', (event) => {
  ready();
  const anchor = event.detail.pathInfo?.anchor; // of a list whose page was turned
  if (anchor) document.getElementById(anchor)?.focus({ preventScroll: true });
  if (openLayer() || event.detail.target?.id !== 'layer') return;
  typedAt = undefined;
  giveBack();
  if (document.activeElement === document.body) document.getElementById('content')?.focus({ preventScroll: true });
});

// ---- keys: / searches, J and K walk the rows, ? lists the keys

const typing = (element) => element?.matches?.('input, textarea, select, [contenteditable]');
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  const root = document.querySelector('dialog[open]') ?? document;
  if (event.key === '/') {
    const search = root.querySelector('input[type="search"]');
    if (search) { event.preventDefault(); search.focus(); search.select(); }
  } else if ((event.key === 'j' || event.key === 'k') && root === document) {
    const rows = all('td.name a');
    const at = rows.indexOf(document.activeElement);
    const next = rows[event.key === 'j' ? Math.min(at + 1, rows.length - 1) : Math.max(at - 1, 0)];
    next?.focus();
  } else if (event.key === '?') {
    document.getElementById('keys')?.showModal();
  }
});

// ---- previews: an output that follows its field, and placeholders in commands

function follow(input) {
  for (const output of all(`[data-follows="${input.name}"]`)) {
    output.textContent = input.value.trim() || output.dataset.empty || '';
  }
  for (const place of all(`[data-place="${input.name}"]`)) {
    place.textContent = input.value.trim() ? quote(input.value.trim()) : place.dataset.empty;
    place.classList.toggle('filled', input.value.trim() !== '');
  }
}
// quote makes a word of a shell of what somebody typed, as the server does.
const quote = (word) => (/^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);
document.addEventListener('input', (event) => { if (event.target.name) follow(event.target); });

// ---- what each new part of a page needs

function ready() {
  openLayers();
  for (const current of all(':is(.tabs, .chapters ul) [aria-current]')) { // at the edge of a narrow screen
    const row = current.closest('.tabs, ul');
    row.scrollLeft = current.offsetLeft - (row.clientWidth - current.offsetWidth) / 2;
  }
  document.dispatchEvent(new CustomEvent('panel:ready'));
  all('[data-keep-end]').forEach((f) => { // the caret after what a choice filled in
    f.removeAttribute('data-keep-end');
    f.focus();
    f.setSelectionRange?.(f.value.length, f.value.length);
  });
}
ready();
giveBack();
