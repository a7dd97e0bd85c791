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
    const first = layer.querySelector('[autofocus]') ?? layer.querySelector('#layer-title');
    if (first?.id === 'layer-title') first.tabIndex = -1; // not the way out, which would be the first
    first?.focus();
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
// A search keeps the order and the version that were chosen since the page came.
document.addEventListener('htmx:configRequest', (event) => {
  if (!event.target.matches?.('form.search')) return;
  const here = new URLSearchParams(location.search);
  for (const field of all('[type="hidden"]', event.target)) {
    if (here.has(field.name)) event.detail.parameters[field.name] = here.get(field.name);
  }
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

// ---- completion: the choices drop down from their field. They lie over what
// follows, so that nothing moves under a pointer when they come and go.

const combo = (element) => element?.closest?.('[data-combo]');
const comboField = (box) => box.querySelector('[data-choices]');
const comboOptions = (box) => all('li button', box);

function drop(box, open) {
  box.classList.toggle('open', open);
  comboField(box).setAttribute('aria-expanded', String(open && comboOptions(box).length > 0));
  if (!open) activate(box);
}

function activate(box, option) {
  for (const o of comboOptions(box)) o.setAttribute('aria-selected', String(o === option));
  if (!option) return comboField(box).removeAttribute('aria-activedescendant');
  comboField(box).setAttribute('aria-activedescendant', option.id);
  option.scrollIntoView({ block: 'nearest' });
}

// describe tells assistive technology of a field what the script makes of it.
function describe(box) {
  const field = comboField(box);
  for (const [name, value] of [['role', 'combobox'], ['aria-autocomplete', 'list'], ['aria-controls', 'choices']]) field.setAttribute(name, value);
  box.querySelector('ul')?.setAttribute('role', 'listbox');
  for (const li of all('li', box)) li.setAttribute('role', 'presentation');
  comboOptions(box).forEach((o, i) => {
    o.id = `choice-${i}`;
    o.setAttribute('role', 'option');
    o.tabIndex = -1; // the arrows reach it
  });
  drop(box, box.classList.contains('open'));
}

document.addEventListener('input', (event) => { if (event.target.matches?.('[data-choices]')) drop(combo(event.target), true); });
document.addEventListener('mousedown', (event) => {
  const box = combo(event.target);
  if (box && event.target.closest('ul')) event.preventDefault(); // the field keeps the focus
  else if (box && event.target === comboField(box)) drop(box, true);
});
document.addEventListener('focusout', (event) => {
  const box = combo(event.target);
  if (box && !box.contains(event.relatedTarget)) drop(box, false);
});
document.addEventListener('keydown', (event) => {
  const box = event.target.matches?.('[data-choices]') ? combo(event.target) : null;
  if (!box) return;
  const options = comboOptions(box);
  const open = box.classList.contains('open') && options.length > 0;
  const at = options.findIndex((o) => o.getAttribute('aria-selected') === 'true');
  if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
    event.preventDefault();
    drop(box, true);
    activate(box, options[Math.max(0, Math.min(at + (event.key === 'ArrowDown' ? 1 : -1), options.length - 1))]);
  } else if (event.key === 'Enter' && open && at >= 0) {
    event.preventDefault();
    options[at].click();
  } else if (event.key === 'Escape' && open) {
    event.preventDefault(); // closes the choices, not the dialog
    drop(box, false);
  }
});

// ---- what each new part of a page needs

function ready() {
  openLayers();
  all('[data-combo]').forEach(describe);
  all('[data-keep-end]').forEach((f) => { // the caret after what a choice filled in
    f.removeAttribute('data-keep-end');
    f.focus();
    f.setSelectionRange?.(f.value.length, f.value.length);
  });
}
ready();
