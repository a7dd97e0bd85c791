package registry

import (
	"context"
	"fmt"
	"strings"
)

// ownerPath is where a store says which mothership it is of.
const ownerPath = ownRoot + "/mothership"

// Owner returns the id of the mothership that the store was marked for, "" when it
// was not.
func (s *Storage) Owner(ctx context.Context) (string, error) {
	data, err := s.driver.GetContent(ctx, ownerPath)
	if isPathNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read whose the registry's storage is: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// SetOwner marks the store.
func (s *Storage) SetOwner(ctx context.Context, id string) error {
	if err := s.driver.PutContent(ctx, ownerPath, []byte(id+"\n")); err != nil {
		return fmt.Errorf("write whose the registry's storage is: %w", err)
	}
	return nil
}

// OwnerFile is where the mark is below the store's root.
func (s *Storage) OwnerFile() string { return strings.TrimPrefix(ownerPath, "/") }
