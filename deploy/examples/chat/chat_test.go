package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/openai/openai-go"

	"github.com/constellation-serving/constellation/deploy/examples/callers"
)

// TestOpenAIsClient has the official client talk to the sample itself.
func TestOpenAIsClient(t *testing.T) {
	server := httptest.NewServer(http.StripPrefix("/demo/chat", routes()))
	defer server.Close()
	caller := callers.Caller{Base: server.URL, Key: "cst_key"}
	whole, err := caller.Chat(t.Context(), "demo/chat", model, "follow the white rabbit")
	if err != nil || whole != "You said: follow the white rabbit" {
		t.Errorf("the whole answer is %q, %v", whole, err)
	}
	var pieces []string
	if err := caller.StreamChat(t.Context(), "demo/chat", model, "knock knock", func(piece string) { pieces = append(pieces, piece) }); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"You", " said:", " knock", " knock"}, pieces); diff != "" {
		t.Errorf("the streamed answer (-want +got):\n%s", diff)
	}
	if _, err := caller.Chat(t.Context(), "demo/chat", "gpt", "x"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a model that there is not = %v, want 404", err)
	}
	client := caller.OpenAI("demo/chat")
	models, err := client.Models.List(t.Context())
	if err != nil || len(models.Data) != 1 || models.Data[0].ID != model {
		t.Errorf("models = %+v, %v; want %s alone", models, err, model)
	}
	short, err := client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{
		Model: model, MaxCompletionTokens: openai.Int(1), Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("x")},
	})
	if err != nil || short.Choices[0].FinishReason != "length" || short.Usage.CompletionTokens != 1 {
		t.Errorf("an answer of one token = %+v, %v", short, err)
	}
}
