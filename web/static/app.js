// What the panel's pages do better with a script: nothing here is needed to
// use them. Everything is found by attributes, and listened for on the
// document, so that parts which htmx swaps in work as the first page did.

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
document.documentElement.classList.add('scripted');

// ---- a line at the bottom, for what no page says

let lineTimer;
function line(text, stay = false) {
  const box = document.getElementById('line');
  if (!box) return;
  clearTimeout(lineTimer);
  box.textContent = text;
  box.hidden = text === '';
  if (text && !stay) lineTimer = setTimeout(() => { box.hidden = true; }, 4000);
}

document.addEventListener('panel:line', (event) => line(event.detail.text, event.detail.stay));

// ---- copying

document.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-copy], [data-copy-from]');
  if (!button) return;
  const from = button.dataset.copyFrom && document.getElementById(button.dataset.copyFrom);
  const label = button.querySelector('[data-label]') ?? button;
  const before = button.dataset.before ??= label.textContent;
  try {
    await navigator.clipboard.writeText(from ? from.textContent.trim() : button.dataset.copy);
    label.textContent = 'Copied';
    button.classList.add('done');
  } catch {
    // No clipboard without HTTPS: select it, so that one key copies.
    if (from) getSelection().selectAllChildren(from);
    label.textContent = from ? 'Selected: press Ctrl-C' : 'Not allowed here';
  }
  setTimeout(() => { label.textContent = before; button.classList.remove('done'); }, 2000);
});

// ---- dialogs and side sheets: modal, closed by Esc and by a click beside them

function openLayers() {
  for (const layer of all('dialog[data-layer][open]:not([data-modal])')) {
    layer.dataset.modal = '';
    layer.close();
    layer.showModal();
    const first = layer.querySelector('[autofocus]');
    if (first) first.focus();
  }
}

const closeLayer = (layer) => layer.querySelector('[data-close]')?.click();
document.addEventListener('cancel', (event) => {
  if (!event.target.matches?.('dialog[data-layer]')) return;
  event.preventDefault();
  closeLayer(event.target);
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
  if (!inside && !layer.dataset.touched) closeLayer(layer);
});
document.addEventListener('input', (event) => {
  const layer = event.target.closest?.('dialog[data-layer]');
  if (layer) layer.dataset.touched = '1';
});

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
for (const name of ['htmx:sendError', 'htmx:timeout']) {
  document.addEventListener(name, () => line('No answer from the mothership. What you typed is still here; try again.', true));
}
document.addEventListener('htmx:afterSettle', (event) => {
  ready();
  const layer = document.querySelector('dialog[data-layer][open]');
  if (!layer && event.detail.target?.id === 'layer') document.querySelector('#content')?.focus({ preventScroll: true });
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

// ---- completion: the arrows walk the choices under a field

document.addEventListener('keydown', (event) => {
  const field = event.target.closest?.('[data-choices]');
  const list = document.getElementById('choices');
  if (field && list && event.key === 'ArrowDown') {
    const first = list.querySelector('button');
    if (first) { event.preventDefault(); first.focus(); }
    return;
  }
  if (!list?.contains(event.target)) return;
  const buttons = all('button', list);
  const at = buttons.indexOf(event.target);
  if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
    event.preventDefault();
    const to = at + (event.key === 'ArrowDown' ? 1 : -1);
    (buttons[Math.min(to, buttons.length - 1)] && to >= 0 ? buttons[Math.min(to, buttons.length - 1)] : document.querySelector('[data-choices]'))?.focus();
  }
});

// ---- what each new part of a page needs

function ready() {
  openLayers();
  all('[data-keep-end]').forEach((f) => { // the caret after what a choice filled in
    f.removeAttribute('data-keep-end');
    f.focus();
    f.setSelectionRange?.(f.value.length, f.value.length);
  });
}
ready();
