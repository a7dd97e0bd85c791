package component

import (
	"bytes"
	"context"
	"io"
	"maps"
	"slices"

	"github.com/a-h/templ"
)

// Names returns the fields that have problems, in order.
func (p Problems) Names() []string { return slices.Sorted(maps.Keys(p)) }

type shownKey struct{}

// noteShown notes that a field shows what is wrong with it.
func noteShown(ctx context.Context, name string) {
	if shown, ok := ctx.Value(shownKey{}).(map[string]bool); ok {
		shown[name] = true
	}
}

// FormFields returns the fields of a form, its children, and before them what is
// wrong with the whole and with what no field shows: a refusal never passes
// without a word.
func FormFields(p Problems) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		fields := templ.GetChildren(ctx)
		ctx = templ.ClearChildren(ctx)
		shown := map[string]bool{}
		var b bytes.Buffer
		if err := fields.Render(context.WithValue(ctx, shownKey{}, shown), &b); err != nil {
			return err
		}
		for _, name := range p.Names() {
			if p[name] == "" || shown[name] {
				continue
			}
			if err := problem(p[name]).Render(ctx, w); err != nil {
				return err
			}
		}
		_, err := w.Write(b.Bytes())
		return err
	})
}
