// What is typed outlives a reload: a form that was refused, or has something
// typed, is filled in again as it was. It is kept in this tab, from the moment
// the page is left; secrets are not.

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const key = 'constellation-typed';
const fields = (form) => all('input:not([type="hidden"], [type="password"], [type="file"], [readonly]), select, textarea', form).filter((f) => f.name);
const value = (f) => (f.matches('[type="checkbox"], [type="radio"]') ? f.checked : f.value);
const changed = (f) => (f.matches('select') ? f.selectedIndex !== Math.max(0, [...f.options].findIndex((o) => o.defaultSelected))
  : f.matches('[type="checkbox"], [type="radio"]') ? f.checked !== f.defaultChecked : f.value !== f.defaultValue);
const worthKeeping = (form) => form.querySelector('.error, .problem, [aria-invalid]') !== null || fields(form).some(changed);

addEventListener('pagehide', () => {
  const forms = all('form[method="post"]').filter(worthKeeping)
    .map((form) => ({ action: form.getAttribute('action'), fields: fields(form).map((f) => [f.name, value(f)]) }));
  sessionStorage.setItem(key, JSON.stringify({ page: location.href, forms }));
});

const kept = JSON.parse(sessionStorage.getItem(key) ?? 'null');
sessionStorage.removeItem(key);
// Once htmx listens, so that what follows a field follows it here too.
document.addEventListener('DOMContentLoaded', () => {
  if (kept?.page !== location.href || performance.getEntriesByType('navigation')[0]?.type !== 'reload') return;
  for (const { action, fields: values } of kept.forms) {
    const form = all('form[method="post"]').find((f) => f.getAttribute('action') === action);
    const list = form ? fields(form) : [];
    values.forEach(([name, was], i) => {
      const f = list[i];
      if (f?.name !== name || value(f) === was) return;
      if (typeof was === 'boolean') f.checked = was;
      else f.value = was;
      for (const event of ['input', 'change']) f.dispatchEvent(new Event(event, { bubbles: true }));
    });
  }
});
