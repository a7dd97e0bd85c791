package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// plainKeys is how large keys.json may be with every vanity URL written out. A
// Kubernetes Secret takes a mebibyte, and limited keys repeat the same names.
const plainKeys = 256 << 10

// packedKeys is keys.json with every vanity URL written once. An engine that
// does not know this form finds a number where it wants a name and refuses the
// file: it never takes a limited key for an unlimited one.
type packedKeys struct {
	Version    int64       `json:"version,omitempty"`
	ExpiresAt  time.Time   `json:"expires_at,omitzero"`
	VanityURLs []string    `json:"vanity_urls"`
	Keys       []packedKey `json:"keys"`
	Revoked    []string    `json:"revoked,omitempty"`
}

// packedKey names its algorithms by their places in VanityURLs.
type packedKey struct {
	Key
	Algorithms []int `json:"algorithms,omitempty"`
}

// Encode writes keys.json: as people read it while it is small, else packed.
// The same keys give the same bytes.
func (k *Keys) Encode() ([]byte, error) {
	data, err := Encode(k)
	if err != nil || len(data) <= plainKeys {
		return data, err
	}
	places := map[string]int{}
	packed := packedKeys{Version: k.Version, ExpiresAt: k.ExpiresAt, Revoked: k.Revoked, Keys: make([]packedKey, len(k.Keys))}
	for i, key := range k.Keys {
		packed.Keys[i].Key = key
		for _, vanity := range key.Algorithms {
			place, ok := places[vanity]
			if !ok {
				place = len(packed.VanityURLs)
				places[vanity] = place
				packed.VanityURLs = append(packed.VanityURLs, vanity)
			}
			packed.Keys[i].Algorithms = append(packed.Keys[i].Algorithms, place)
		}
	}
	if len(packed.VanityURLs) == 0 {
		return encode(k, "") // nothing is there twice
	}
	return encode(packed, "")
}

// Encode writes one of the configuration's documents with a line for each
// field, and without HTML's escapes, which only make it longer.
func Encode(document any) ([]byte, error) { return encode(document, "  ") }

func encode(document any, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(document); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// decodeKey reads a key in the form that it has in a file with these vanity
// URLs; with none, it names its algorithms itself.
func decodeKey(data []byte, vanityURLs []string) (Key, error) {
	if len(vanityURLs) == 0 {
		var key Key
		err := decodePart(data, &key)
		return key, err
	}
	var packed packedKey
	if err := decodePart(data, &packed); err != nil || packed.Algorithms == nil {
		return packed.Key, err
	}
	key := packed.Key
	key.Algorithms = make([]string, len(packed.Algorithms))
	for i, place := range packed.Algorithms {
		if place < 0 || place >= len(vanityURLs) {
			return key, fmt.Errorf("it names the vanity URL at place %d, and vanity_urls has %d", place, len(vanityURLs))
		}
		key.Algorithms[i] = vanityURLs[place]
	}
	return key, nil
}
