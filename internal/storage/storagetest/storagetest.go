// Package storagetest runs an object store for tests, a server that speaks S3,
// with faults on demand before it.
package storagetest

import (
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/constellation-serving/constellation/internal/storage"
)

// Bucket is the bucket that every Store has.
const Bucket = "images"

// Store is an object store with one bucket, in memory.
type Store struct {
	URL string

	backend gofakes3.Backend
	s3      http.Handler

	mu    sync.Mutex
	fault func(w http.ResponseWriter, r *http.Request) bool
	seen  map[string]int // requests by method
}

// setCredentials gives every test of the process the same credentials, as the
// environment has them.
var setCredentials = sync.OnceFunc(func() {
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "secret-of-the-store", "AWS_EC2_METADATA_DISABLED": "true"} {
		_ = os.Setenv(name, value) // none of these names is refused
	}
})

// New starts a store that ends with the test.
func New(t testing.TB) *Store {
	t.Helper()
	setCredentials()
	backend := s3mem.New()
	if err := backend.CreateBucket(Bucket); err != nil {
		t.Fatal(err)
	}
	s := &Store{backend: backend, s3: gofakes3.New(backend).Server(), seen: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen[r.Method]++
		fault := s.fault
		s.mu.Unlock()
		if fault != nil && fault(w, r) {
			return
		}
		if !signed(r) {
			Refuse(w, http.StatusForbidden, "AccessDenied")
			return
		}
		s.s3.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	// By another name than 127.0.0.1, at which a test's own server is: Go's clients take
	// all ports of a host for one place and would hand our credentials over to the store.
	s.URL = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	return s
}

// signed reports whether a request has a signature of AWS's, and no credential
// of anybody else's.
func signed(r *http.Request) bool {
	if header := r.Header.Get("Authorization"); header != "" {
		return strings.HasPrefix(header, "AWS4-HMAC-SHA256 Credential=test/")
	}
	return r.URL.Query().Get("X-Amz-Signature") != ""
}

// Fault lets f answer requests instead of the store: those for which it returns
// true. Nil ends it.
func (s *Store) Fault(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Seen is how many requests with a method came.
func (s *Store) Seen(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[method]
}

// Text is the location of a prefix in the store's bucket, as a setting.
func (s *Store) Text(prefix string) string {
	return "s3://" + Bucket + "/" + prefix + "?region=us-east-1&endpoint=" + s.URL
}

// Location is Text, parsed.
func (s *Store) Location(t testing.TB, prefix string) storage.Location {
	t.Helper()
	l, err := storage.ParseLocation(s.Text(prefix))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Refuse answers with an error as S3 has them.
func Refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>` + code + `</Code><Message>as the test wants it</Message></Error>`)) // nobody left to tell
}

// Bytes adds up the objects whose keys begin with a prefix, which is below the
// bucket.
func (s *Store) Bytes(t testing.TB, prefix string) (total int64) {
	t.Helper()
	for page, more := "", true; more; {
		list, err := s.backend.ListBucket(Bucket, &gofakes3.Prefix{HasPrefix: true, Prefix: prefix}, gofakes3.ListBucketPage{Marker: page, HasMarker: page != ""})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list.Contents {
			total += c.Size
			page = c.Key
		}
		more = list.IsTruncated
	}
	return total
}

// Left are the uploads that were begun and are neither completed nor dropped, and the
// notes that the driver keeps of them.
func (s *Store) Left(t testing.TB) []string {
	t.Helper()
	answer := httptest.NewRecorder()
	s.s3.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/"+Bucket+"?uploads", nil))
	var list struct{ Upload []struct{ Key string } }
	if answer.Code != http.StatusNotFound { // as this server has it where there never was any
		if err := xml.Unmarshal(answer.Body.Bytes(), &list); err != nil || answer.Code != http.StatusOK {
			t.Fatalf("list uploads: %d, %v", answer.Code, err)
		}
	}
	var left []string
	for _, upload := range list.Upload {
		left = append(left, "upload of "+upload.Key)
	}
	for page, more := "", true; more; {
		objects, err := s.backend.ListBucket(Bucket, nil, gofakes3.ListBucketPage{Marker: page, HasMarker: page != ""})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range objects.Contents {
			if page = c.Key; strings.Contains(c.Key, "~") {
				left = append(left, c.Key)
			}
		}
		more = objects.IsTruncated
	}
	return left
}
