package control

import "context"

// CatalogPage returns repositories of the registry after one, in order and without
// those that a garbage collection has emptied; known is false while the storage was
// never counted. Who may see all of them is the caller's to ask.
func (s *Service) CatalogPage(ctx context.Context, after string, limit int) (names []string, known bool, err error) {
	return s.db.CatalogPage(ctx, after, limit)
}
