package storage_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/storage"
	"github.com/constellation-serving/constellation/internal/storage/storagetest"
)

func TestParseLocation(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"file:///srv/registry":       "file:///srv/registry",
		"file:///srv/a b/../c/":      "file:///srv/c",
		"s3://images":                "s3://images",
		"s3://images/":               "s3://images",
		"s3://images/team/a?region=": "",
		"s3://images/team/a/?region=eu-central-1&endpoint=http://minio:9000":                      "s3://images/team/a?endpoint=http%3A%2F%2Fminio%3A9000&region=eu-central-1",
		"s3://images?addressing=path&storage_class=STANDARD_IA&ca_file=/etc/ca.pem":               "s3://images?addressing=path&ca_file=%2Fetc%2Fca.pem&storage_class=STANDARD_IA",
		"s3://images?encryption=aws:kms&encryption_key=alias/a&public_endpoint=store.example.com": "s3://images?encryption=aws%3Akms&encryption_key=alias%2Fa&public_endpoint=store.example.com",
		"":                                  "",
		"/srv/registry":                     "",
		"file://srv/registry":               "",
		"file:/srv":                         "file:///srv",
		"file:srv":                          "",
		"file:///srv?region=a":              "",
		"gs://images":                       "",
		"azure://images":                    "",
		"s3:///prefix":                      "",
		"s3://a":                            "",
		"s3://images/a//b":                  "",
		"s3://images/../b":                  "",
		"s3://images/a%20b":                 "",
		"s3://images#a":                     "",
		"s3://images?regoin=a":              "",
		"s3://images?region=a&region=b":     "",
		"s3://images?endpoint=ftp://a":      "",
		"s3://images?endpoint=a:0":          "",
		"s3://images?endpoint=http://a/b":   "",
		"s3://images?addressing=other":      "",
		"s3://images?ca_file=ca.pem":        "",
		"s3://images?encryption_key=a":      "",
		"s3://images?encryption=rot13":      "",
		"s3://images?%zz":                   "",
		"s3://images\n":                     "",
		"s3://images?endpoint=http://u:p@a": "",
	} {
		l, err := storage.ParseLocation(text)
		if want == "" {
			if constellation.KindOf(err) != constellation.KindInvalid {
				t.Errorf("ParseLocation(%q) = %v, %v, want it refused", text, l, err)
			}
			continue
		}
		if err != nil || l.String() != want {
			t.Errorf("ParseLocation(%q) = %v, %v, want %s", text, l, err, want)
			continue
		}
		if again, err := storage.ParseLocation(l.String()); err != nil || again != l {
			t.Errorf("ParseLocation(%q), the location as it is shown, = %v, %v", l, again, err)
		}
	}
}

// TestLocationKeepsSecrets gives credentials where they do not belong.
func TestLocationKeepsSecrets(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"s3://AKIA:hunter2@images", "s3://images?access_key=AKIA&secret_key=hunter2", "s3://images?secretkey=hunter2",
		"s3://images?token=hunter2", "s3://images?endpoint=http://u:hunter2@minio:9000", "s3://AKIA:hunter2@images\x7f", "s3://a:hunter2%zz@b",
	} {
		_, err := storage.ParseLocation(text)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("ParseLocation(%q) = %v, want it refused without the secret", text, err)
		}
	}
}

// TestCheckSaysWhatIsWrong breaks a store in every way, and wants one sentence
// that says what to do.
func TestCheckSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	always := func(status int, code string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			storagetest.Refuse(w, status, code)
			return true
		}
	}
	for name, test := range map[string]struct {
		fault func(http.ResponseWriter, *http.Request) bool
		want  string
	}{
		"bucket":      {always(404, "NoSuchBucket"), "there is no such bucket"},
		"credentials": {always(403, "InvalidAccessKeyId"), "does not know these credentials"},
		"signature":   {always(403, "SignatureDoesNotMatch"), "does not know these credentials"},
		"expired":     {always(400, "ExpiredToken"), "have expired"},
		"region":      {always(400, "AuthorizationHeaderMalformed"), "another region"},
		"busy":        {always(503, "SlowDown"), "overloaded or down"},
		"broken":      {always(500, "InternalError"), "see its own log"},
		"full":        {always(507, "XMinioStorageFull"), "it is full"},
		"read-only": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut {
				return false
			}
			storagetest.Refuse(w, 403, "AccessDenied")
			return true
		}, "cannot be written to: its credentials lack a right"},
		"write-only": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet {
				return false
			}
			storagetest.Refuse(w, 403, "AccessDenied")
			return true
		}, "cannot be read from: its credentials lack a right"},
		"no S3": {func(w http.ResponseWriter, _ *http.Request) bool {
			http.Error(w, "<html>welcome", http.StatusBadRequest)
			return true
		}, "whether the endpoint speaks S3"},
		"cut": {func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, "broke off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := storagetest.New(t)
			l := store.Location(t, "a")
			d, err := storage.Open(l)
			if err != nil {
				t.Fatal(err)
			}
			if err := storage.Check(t.Context(), l, d); err != nil {
				t.Fatalf("Check of a good store: %v", err)
			}
			store.Fault(test.fault)
			err = storage.Check(t.Context(), l, d)
			if constellation.KindOf(err) != constellation.KindUnavailable || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "s3://images/a") {
				t.Errorf("Check = %v, want it to name the store and say %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret-of-the-store") {
				t.Errorf("Check shows the secret: %v", err)
			}
		})
	}
}

func TestCheckUnreachable(t *testing.T) {
	t.Parallel()
	storagetest.New(t) // for its credentials
	for text, want := range map[string]string{
		"s3://images?endpoint=http://127.0.0.1:1": "cannot be reached",
		"file:///proc/nothing":                    "cannot be made",
	} {
		l, err := storage.ParseLocation(text)
		if err != nil {
			t.Fatal(err)
		}
		d, err := storage.Open(l)
		if err == nil {
			err = storage.Check(t.Context(), l, d)
		}
		if constellation.KindOf(err) != constellation.KindUnavailable || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want %q", text, err, want)
		}
	}
	if _, err := storage.Open(mustParse(t, "s3://images?region=eu-central-1&ca_file="+filepath.Join(t.TempDir(), "none"))); err == nil || !strings.Contains(err.Error(), "ca_file") {
		t.Errorf("a ca_file that is not there gives %v", err)
	}
}

func mustParse(t *testing.T, text string) storage.Location {
	t.Helper()
	l, err := storage.ParseLocation(text)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
