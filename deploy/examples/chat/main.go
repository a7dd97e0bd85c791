// Command chat is a sample language model server with the API that OpenAI's
// clients speak: POST /v1/chat/completions, streamed or whole, and GET
// /v1/models. There are no weights in it: the "model" says the caller's last
// message back, a word at a time, at the pace of a real one.
//
// Its image.json has the labels. Whoever has a client of OpenAI's sets
//
//	base_url = https://CLUSTER_DOMAIN/v1/algo/OWNER/chat/v1
//	api_key  = a key of the satellite
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/deploy/examples/serve"
)

const (
	model = "parrot-1"
	pace  = 20 * time.Millisecond // a token
)

func main() { serve.HTTP("chat", routes()) }

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", serve.Healthy)
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		serve.JSON(w, http.StatusOK, map[string]any{"object": "list", "data": []any{map[string]any{"id": model, "object": "model", "created": 0, "owned_by": "constellation"}}})
	})
	mux.HandleFunc("POST /v1/chat/completions", complete)
	return mux
}

// request is what of a chat completion's request matters here.
type request struct {
	Model    string `json:"model"`
	Messages []struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	} `json:"messages"`
	MaxTokens int  `json:"max_completion_tokens"`
	Stream    bool `json:"stream"`
}

func complete(w http.ResponseWriter, r *http.Request) {
	var in request
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<20)).Decode(&in); err != nil {
		refuse(w, http.StatusBadRequest, "the body is not a chat completion's request: "+err.Error())
		return
	}
	if in.Model != model {
		refuse(w, http.StatusNotFound, fmt.Sprintf("there is no model %q; there is %q", in.Model, model))
		return
	}
	if len(in.Messages) == 0 {
		refuse(w, http.StatusBadRequest, "messages is empty")
		return
	}
	tokens, finish := parrot(in)
	if in.Stream {
		stream(w, r, tokens, finish)
		return
	}
	time.Sleep(time.Duration(len(tokens)) * pace)
	text := strings.Join(tokens, "")
	prompt := 0
	for _, m := range in.Messages {
		prompt += len(strings.Fields(m.Content))
	}
	serve.JSON(w, http.StatusOK, map[string]any{
		"id": id(text), "object": "chat.completion", "created": time.Now().Unix(), "model": model,
		"choices": []any{map[string]any{"index": 0, "message": map[string]string{"role": "assistant", "content": text}, "finish_reason": finish}},
		"usage":   map[string]int{"prompt_tokens": prompt, "completion_tokens": len(tokens), "total_tokens": prompt + len(tokens)},
	})
}

// parrot is the model: the tokens of its answer, and why it ends there.
func parrot(in request) (tokens []string, finish string) {
	tokens = []string{"You", " said:"}
	for _, word := range strings.Fields(in.Messages[len(in.Messages)-1].Content) {
		tokens = append(tokens, " "+word)
	}
	if in.MaxTokens > 0 && in.MaxTokens < len(tokens) {
		return tokens[:in.MaxTokens], "length"
	}
	return tokens, "stop"
}

// stream sends an event a token, as soon as it is there, and stops when the
// caller has left.
func stream(w http.ResponseWriter, r *http.Request, tokens []string, finish string) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	name, out := id(strings.Join(tokens, "")), http.NewResponseController(w)
	send := func(delta map[string]string, finish any) error {
		event, err := json.Marshal(map[string]any{
			"id": name, "object": "chat.completion.chunk", "created": time.Now().Unix(), "model": model,
			"choices": []any{map[string]any{"index": 0, "delta": delta, "finish_reason": finish}},
		})
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "data: %s\n\n", event); err != nil {
			return err
		}
		return out.Flush()
	}
	if send(map[string]string{"role": "assistant", "content": ""}, nil) != nil {
		return
	}
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for _, token := range tokens {
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
		if send(map[string]string{"content": token}, nil) != nil {
			return
		}
	}
	if send(map[string]string{}, finish) == nil {
		_, _ = fmt.Fprint(w, "data: [DONE]\n\n")
	}
}

// id is the same for the same answer.
func id(text string) string {
	sum := uint64(14695981039346656037) // FNV-1a
	for i := range len(text) {
		sum = (sum ^ uint64(text[i])) * 1099511628211
	}
	return "chatcmpl-" + strconv.FormatUint(sum, 36)
}

func refuse(w http.ResponseWriter, status int, message string) {
	serve.JSON(w, status, map[string]any{"error": map[string]any{"message": message, "type": "invalid_request_error", "param": nil, "code": nil}})
}
