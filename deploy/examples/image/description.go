package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
)

// DescriptionFile is beside the source of an algorithm, and says what a
// Dockerfile would.
const DescriptionFile = "image.json"

// Description is image.json: of a Go program its labels, and of an image of
// Debian packages the rest too.
type Description struct {
	Packages   []string          `json:"packages"` // of Debian, with all they need
	Files      map[string]string `json:"files"`    // beside image.json → in the image; programs stay programs
	User       string            `json:"user"`
	WorkDir    string            `json:"workdir"`
	Entrypoint []string          `json:"entrypoint"`
	Env        []string          `json:"env"`
	Labels     map[string]string `json:"labels"`
}

// Describe reads image.json in a folder; where there is none, nothing is said.
func Describe(folder fs.FS) (Description, error) {
	var d Description
	data, err := fs.ReadFile(folder, DescriptionFile)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return d, fmt.Errorf("read the image's description: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return d, fmt.Errorf("read %s: %w", DescriptionFile, err)
	}
	return d, nil
}

// with returns the labels, those of the caller over the described ones.
func (d Description) with(labels map[string]string) map[string]string {
	all := maps.Clone(d.Labels)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, labels)
	return all
}
