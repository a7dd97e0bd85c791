// ---- completion: the choices drop down from their field. They lie over what
// follows, so that nothing moves under a pointer when they come and go.

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
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

const awaited = new WeakSet(); // fields whose choices are those of what was typed before
document.addEventListener('input', (event) => {
  if (!event.target.matches?.('[data-choices]')) return;
  awaited.add(event.target);
  drop(combo(event.target), true);
});
document.addEventListener('htmx:afterSwap', (event) => { if (event.detail.requestConfig?.elt.matches('[data-choices]')) awaited.delete(event.detail.requestConfig.elt); });
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
  } else if (event.key === 'Enter' && open && (at >= 0 || options.length === 1 && !awaited.has(event.target))) {
    event.preventDefault();
    options[Math.max(at, 0)].click();
  } else if (event.key === 'Escape' && open) {
    event.preventDefault(); // closes the choices, not the dialog
    drop(box, false);
  }
});

const describeAll = () => all('[data-combo]').forEach(describe);
document.addEventListener('panel:ready', describeAll);
describeAll();
