package panel

import (
	"fmt"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// accessibleName is how a link or button is called, as a function of it.
const accessibleName = `((e) => {
	const copy = e.cloneNode(true);
	copy.querySelectorAll('[aria-hidden="true"]').forEach((hidden) => hidden.remove());
	return (e.getAttribute('aria-label') ?? copy.textContent).replace(/\s+/g, ' ').trim();
})`

// place is a point of the page that is shown, in pixels.
type place struct{ X, Y float64 }

// click clicks the link or button of that name: in the dialog on top, if one
// is open. Like a person it looks first where the thing is, and clicks when it
// is there the second time too, with nothing over it, nothing on its way to the
// page, and the page not on its way to another one: a button that the next page
// has too would be pressed where it was on this one. A search may put another thing of that name there in between, which
// is then looked at anew.
func (v *visitor) click(name string) {
	v.Helper()
	at := awaitAnd[place](v, fmt.Sprintf(`(() => {
		const top = [...document.querySelectorAll('dialog[open]')].pop() ?? document.body;
		const name = `+accessibleName+`;
		const all = [...top.querySelectorAll('a[href], button, summary, label:has(> input)')].filter((e) => e.checkVisibility() && !e.disabled && !e.closest('[aria-hidden="true"]'));
		const found = all.find((e) => name(e) === %[1]q) ?? all.find((e) => name(e).startsWith(%[1]q));
		if (!found) return null;
		found.scrollIntoViewIfNeeded();
		const [{ x, y, width, height }] = found.getClientRects();
		const at = { x: x + width / 2, y: y + height / 2 };
		const seen = JSON.stringify(at);
		const before = found.dataset.seen;
		found.dataset.seen = seen;
		return before === seen && found.contains(document.elementFromPoint(at.x, at.y)) && `+settled+` ? at : null;
	})()`, name), v.stays)
	v.do(chromedp.MouseClickXY(at.X, at.Y))
}

// tries is how often a person does a thing again that did not arrive.
const tries = 5

// settled is true of a page that is all there: a dialog becomes modal first, and
// takes the focus for that.
const settled = "document.readyState === 'complete' && !document.body.classList.contains('busy') && !document.querySelector('.scripted dialog[data-layer][open]:not([data-modal])')"

// settles waits until the page is all there, and stays.
func (v *visitor) settles() {
	v.Helper()
	awaitAnd[bool](v, "("+settled+") || null", v.stays)
}

// fill types into the field of that name, in place of what it has.
func (v *visitor) fill(name, value string) {
	v.Helper()
	selector := fmt.Sprintf("(([...document.querySelectorAll('dialog[open]')].pop() ?? document).querySelector('[name=%q]'))", name)
	v.until(selector)
	v.settles()
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
	v.settles()
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

// press presses keys, one after the other. Enter types its character with the
// key, as a keyboard does: sent apart, a character may come through although
// the page took the key for itself, and submit the form that the page then has.
func (v *visitor) press(keys ...string) {
	v.Helper()
	for _, k := range keys {
		if k != kb.Enter {
			v.do(chromedp.KeyEvent(k))
			continue
		}
		down := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: "Enter", Code: "Enter", Text: "\r", UnmodifiedText: "\r", WindowsVirtualKeyCode: 13, NativeVirtualKeyCode: 13}
		up := down
		up.Type, up.Text, up.UnmodifiedText = input.DispatchKeyEventTypeKeyUp, "", ""
		v.do(call(input.DispatchKeyEvent, down), call(input.DispatchKeyEvent, up))
	}
}

// shortcut presses a key as a keyboard does, on a page that is all there: what
// it types comes with it, so that a page which takes the key for itself types
// nothing.
func (v *visitor) shortcut(key string) {
	v.Helper()
	v.settles()
	v.do(call(input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: key, Text: key}),
		call(input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyUp, Key: key}))
}

// control presses Ctrl with a key, on a page that is all there.
func (v *visitor) control(key string) {
	v.Helper()
	v.settles()
	v.do(chromedp.KeyEvent(key, chromedp.KeyModifiers(chromedp.ModifierCtrl)))
}
