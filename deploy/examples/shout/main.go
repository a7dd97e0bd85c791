// Command shout is a sample algorithm behind protocol "http": any HTTP server
// will do. Text comes back in capitals; JSON comes back as {"shout": …}.
package main

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/constellation-serving/constellation/deploy/examples/serve"
)

func main() { serve.HTTP("shout", routes()) }

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", serve.Healthy)
	mux.HandleFunc("POST /{$}", shout)
	return mux
}

func shout(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "the body was cut off", http.StatusBadRequest)
		return
	}
	switch media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media {
	case "text/plain":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, strings.ToUpper(string(body)))
	case "application/json":
		var value any
		if err := json.Unmarshal(body, &value); err != nil {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":{"message":"the body is not JSON"}}`)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"shout": louder(value)})
	default:
		http.Error(w, "shout reads text/plain and application/json", http.StatusUnsupportedMediaType)
	}
}

// louder puts every string in capitals.
func louder(value any) any {
	switch v := value.(type) {
	case string:
		return strings.ToUpper(v)
	case []any:
		for i := range v {
			v[i] = louder(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = louder(v[key])
		}
	}
	return value
}
