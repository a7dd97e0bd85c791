package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/constellation-serving/constellation/internal/install/fault"
)

// where names the file that holds a section: of a split export, the parts that
// it lies in.
func (c *Archive) where(s section) string {
	if s.name != "" || len(c.parts) < 2 {
		return c.Path
	}
	var names []string
	begin := int64(0)
	for _, part := range c.parts {
		end := begin
		if info, err := part.Stat(); err == nil {
			end += info.Size()
		}
		if s.at < end && s.at+max(s.size, 1) > begin {
			names = append(names, part.Name())
		}
		begin = end
	}
	switch n := len(names); n {
	case 0:
		return c.Path
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " or " + names[n-1]
	}
}

// Blame adds to the error of a damaged split export which part is to be copied anew, as far
// as the parts' sizes and the hashes beside them tell.
func (c *Archive) Blame(ctx context.Context, err error) error {
	if len(c.parts) < 2 || !fault.IsDamaged(err) {
		return err
	}
	bad := c.wrongSizes()
	if len(bad) == 0 {
		bad = c.wrongSums(ctx)
	}
	if len(bad) == 0 || ctx.Err() != nil {
		return err
	}
	return fault.Damaged(&fault.Error{Code: fault.CodeIntegrity, Message: strings.Join(bad, "; ") + ": copy it anew", Err: err})
}

// wrongSizes finds parts that were cut short: all but the last have one size.
func (c *Archive) wrongSizes() (bad []string) {
	sizes := make([]int64, len(c.parts))
	most := int64(0)
	for i, part := range c.parts {
		if info, err := part.Stat(); err == nil {
			sizes[i] = info.Size()
		}
		most = max(most, sizes[i])
	}
	for i, part := range c.parts[:len(c.parts)-1] {
		if sizes[i] != most {
			bad = append(bad, fmt.Sprintf("%s has %d bytes and others %d", part.Name(), sizes[i], most))
		}
	}
	return bad
}

// wrongSums holds the parts to FILE.sha256, when that came along.
func (c *Archive) wrongSums(ctx context.Context) (bad []string) {
	file := strings.TrimSuffix(c.parts[0].Name(), ".001")
	data, err := os.ReadFile(file + ".sha256")
	if err != nil {
		return nil
	}
	sums := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if sum, name, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
			sums[filepath.Base(name)] = sum
		}
	}
	for i := range len(sums) {
		name := exportPart(file, i+1)
		want, listed := sums[filepath.Base(name)]
		if !listed {
			continue
		}
		if i >= len(c.parts) {
			bad = append(bad, name+" is missing")
			continue
		}
		if got, err := hashFile(ctx, name); err != nil || hexOf(got) != want {
			bad = append(bad, fmt.Sprintf("%s is damaged: it is not what %s.sha256 has", name, filepath.Base(file)))
		}
	}
	return bad
}

func hashFile(ctx context.Context, name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close() //nolint:errcheck // read only
	return hashOf(ctx, file, nil)
}
