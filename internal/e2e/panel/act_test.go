package panel

import (
	"fmt"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// accessibleName is how a link or button is called, as a function of it.
const accessibleName = `((e) => {
	const copy = e.cloneNode(true);
	copy.querySelectorAll('[aria-hidden="true"]').forEach((hidden) => hidden.remove());
	return (e.getAttribute('aria-label') ?? copy.textContent).replace(/\s+/g, ' ').trim();
})`

// click clicks the link or button of that name: in the dialog on top, if one
// is open.
func (v *visitor) click(name string) {
	v.Helper()
	mark := fmt.Sprintf(`(() => {
		const top = [...document.querySelectorAll('dialog[open]')].pop() ?? document.body;
		const name = `+accessibleName+`;
		document.querySelectorAll('[data-clicked]').forEach((e) => e.removeAttribute('data-clicked'));
		const all = [...top.querySelectorAll('a[href], button, summary, label:has(> input)')].filter((e) => e.checkVisibility() && !e.disabled && !e.closest('[aria-hidden="true"]'));
		const found = all.find((e) => name(e) === %[1]q) ?? all.find((e) => name(e).startsWith(%[1]q));
		found?.setAttribute('data-clicked', '');
		return found;
	})()`, name)
	v.until(mark)
	v.until(resting) // as a person looks where it is, and then clicks
	v.do(chromedp.Click(chromedp.CSS("[data-clicked]")))
}

// resting is true the second time that what is to be clicked is in the same
// place, with nothing on its way to the page.
const resting = `(() => {
	const e = document.querySelector('[data-clicked]');
	const { x, y } = e.getBoundingClientRect();
	const before = e.dataset.at;
	e.dataset.at = x + ' ' + y;
	return before === e.dataset.at && ` + "` + settled + `" + `;
})()`

// tries is how often a person types a thing that did not arrive.
const tries = 5

// settled is true of a page that is all there: a dialog becomes modal first, and
// takes the focus for that.
const settled = "document.readyState === 'complete' && !document.body.classList.contains('busy') && !document.querySelector('.scripted dialog[data-layer][open]:not([data-modal])')"

// fill types into the field of that name, in place of what it has.
func (v *visitor) fill(name, value string) {
	v.Helper()
	selector := fmt.Sprintf("(([...document.querySelectorAll('dialog[open]')].pop() ?? document).querySelector('[name=%q]'))", name)
	v.until(selector)
	v.until(settled)
	typed := fmt.Sprintf("%s?.value === %q", selector, value)
	for range tries { // a page that is just being replaced loses what is typed into it
		v.do(chromedp.Evaluate[chromedp.Void](selector+"?.focus(); "+selector+"?.select?.()"), chromedp.KeyEvent(value))
		if js[bool](v, typed) {
			return
		}
	}
	v.until(typed)
}

// choose selects an option of a field, as one step that no change of the page
// comes into.
func (v *visitor) choose(name, value string) {
	v.Helper()
	v.until(settled)
	v.until(fmt.Sprintf(`(() => {
		const field = ([...document.querySelectorAll('dialog[open]')].pop() ?? document).querySelector('select[name=%q]');
		if (![...(field?.options ?? [])].some((o) => o.value === %[2]q)) return false;
		field.focus();
		field.value = %[2]q;
		field.dispatchEvent(new Event('input', { bubbles: true }));
		field.dispatchEvent(new Event('change', { bubbles: true }));
		return true;
	})()`, name, value))
}

// press presses keys, one after the other.
func (v *visitor) press(keys ...string) {
	v.Helper()
	for _, k := range keys {
		v.do(chromedp.KeyEvent(k))
	}
}

// shortcut presses a key as a keyboard does: what it types comes with it, so
// that a page which takes the key for itself types nothing.
func (v *visitor) shortcut(key string) {
	v.Helper()
	v.do(call(input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: key, Text: key}),
		call(input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyUp, Key: key}))
}

// control presses Ctrl with a key.
func (v *visitor) control(key string) {
	v.Helper()
	v.do(chromedp.KeyEvent(key, chromedp.KeyModifiers(chromedp.ModifierCtrl)))
}
