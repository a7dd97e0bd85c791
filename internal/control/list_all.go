package control

import "fmt"

// ReadAll returns every item of a paged list, never nil.
func ReadAll[T any](list func(ListQuery) (Page[T], error)) ([]T, error) {
	items := []T{}
	q := ListQuery{Limit: 500}
	for {
		page, err := list(q)
		if err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if page.Marker == "" {
			return items, nil
		}
		if page.Marker == q.Marker {
			return nil, fmt.Errorf("list: the marker %q repeats", page.Marker)
		}
		q.Marker = page.Marker
	}
}
