package e2e

import (
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// asks makes the request that a curl command line makes.
func (g *guide) asks(t *testing.T, words []string) error {
	method, target, body := http.MethodGet, "", ""
	header := http.Header{}
	for i := 0; i < len(words); i++ {
		switch word := words[i]; {
		case word == "-H":
			i++
			name, value, _ := strings.Cut(words[i], ": ")
			header.Set(name, strings.ReplaceAll(value, "$API_KEY", g.AdminKey))
		case word == "-d", word == "--data-binary":
			i++
			method, body = http.MethodPost, words[i]
			if file, ok := strings.CutPrefix(body, "@"); ok {
				data, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				body = string(data)
			}
		case word == "-F":
			i++
			method = http.MethodPost
			if err := form(words[i], header, &body); err != nil {
				return err
			}
		case word == "-o":
			i++
		case strings.HasPrefix(word, "-"):
		default:
			target = word
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		return err
	}
	if r.Header = header; body != "" && header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/x-www-form-urlencoded") // as curl does
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %s", answer.Status, text)
	}
	return err
}

// form makes the body of a form with a file, as curl -F NAME=@FILE does.
func form(field string, header http.Header, body *string) error {
	name, file, _ := strings.Cut(field, "=@")
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var b strings.Builder
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile(name, filepath.Base(file))
	if err == nil {
		_, err = part.Write(data)
	}
	header.Set("Content-Type", w.FormDataContentType())
	err = errors.Join(err, w.Close())
	*body = b.String()
	return err
}

// logsIn asks the registry what docker login asks.
func (g *guide) logsIn(t *testing.T, words []string) error {
	if words[1] != "$API_KEY" || !slices.Contains(words, g.Mothership.Host) {
		return fmt.Errorf("no login of this mothership with the key of the steps before")
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.Mothership.URL+"/v2/", nil)
	if err != nil {
		return err
	}
	if username := words[slices.Index(words, "--username")+1]; username != "YOU" {
		r.SetBasicAuth(username, g.apiKey)
	} else {
		r.Header.Set("Authorization", "Bearer "+g.apiKey)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("the registry answers %s", answer.Status)
	}
	return errors.Join(err, answer.Body.Close())
}
