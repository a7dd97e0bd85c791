// Package callers is what somebody writes who calls the samples of protocol
// http: with the client that each kind of service already has. Only an address
// and a key are those of the satellite.
package callers

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"

	"github.com/coder/websocket"
	"github.com/openai/openai-go"
	"github.com/openai/openai-go/option"
)

// Caller calls algorithms.
type Caller struct {
	Base string // of the satellite's calls, such as https://CLUSTER_DOMAIN/v1/algo
	Key  string // of the satellite, or a token of who may call
	HTTP *http.Client
}

// client is what calls are made with, http.DefaultClient by default.
func (c Caller) client() *http.Client { return cmp.Or(c.HTTP, http.DefaultClient) }

// url is that of what an algorithm, OWNER/NAME, serves at path.
func (c Caller) url(algorithm, path string) string { return c.Base + "/" + algorithm + path }

// OpenAI is the official client of OpenAI's API for a model server.
func (c Caller) OpenAI(algorithm string) openai.Client {
	return openai.NewClient(option.WithBaseURL(c.url(algorithm, "/v1/")), option.WithAPIKey(c.Key), option.WithMaxRetries(0), option.WithHTTPClient(c.client()))
}

// Chat returns a model's answer to a message, whole.
func (c Caller) Chat(ctx context.Context, algorithm, model, message string) (string, error) {
	client := c.OpenAI(algorithm)
	answer, err := client.Chat.Completions.New(ctx, chat(model, message))
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", algorithm, err)
	}
	return answer.Choices[0].Message.Content, nil
}

// StreamChat hands a model's answer to each, a piece as soon as it is there.
func (c Caller) StreamChat(ctx context.Context, algorithm, model, message string, each func(piece string)) error {
	client := c.OpenAI(algorithm)
	stream := client.Chat.Completions.NewStreaming(ctx, chat(model, message))
	defer func() { _ = stream.Close() }()
	for stream.Next() {
		for _, choice := range stream.Current().Choices {
			if choice.Delta.Content != "" {
				each(choice.Delta.Content)
			}
		}
	}
	if err := stream.Err(); err != nil {
		return fmt.Errorf("ask %s: %w", algorithm, err)
	}
	return nil
}

func chat(model, message string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(message)}}
}

// Infer asks a model server of the Open Inference Protocol for the first output
// of a model with one input of rows.
func (c Caller) Infer(ctx context.Context, algorithm, model, input string, rows [][]float64) ([]string, error) {
	body, err := json.Marshal(map[string]any{"inputs": []any{map[string]any{
		"name": input, "shape": []int{len(rows), len(rows[0])}, "datatype": "FP64", "data": rows,
	}}})
	if err != nil {
		return nil, err
	}
	data, err := c.do(ctx, http.MethodPost, c.url(algorithm, "/v2/models/"+model+"/infer"), "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Outputs []struct{ Data json.RawMessage }
	}
	var output []string
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", algorithm, err)
	}
	if len(answer.Outputs) == 0 {
		return nil, fmt.Errorf("the answer of %s has no output", algorithm)
	}
	if err := json.Unmarshal(answer.Outputs[0].Data, &output); err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", algorithm, err)
	}
	return output, nil
}

// Metadata is what a model server of the Open Inference Protocol says of a model.
func (c Caller) Metadata(ctx context.Context, algorithm, model string) (string, error) {
	data, err := c.do(ctx, http.MethodGet, c.url(algorithm, "/v2/models/"+model), "", nil)
	return string(data), err
}

// Picture sends a picture in a form to path, and returns the one that comes back.
func (c Caller) Picture(ctx context.Context, algorithm, path string, picture image.Image) (image.Image, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	file, err := form.CreateFormFile("file", "picture.png")
	if err == nil {
		err = png.Encode(file, picture)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("write a form: %w", err)
	}
	data, err := c.do(ctx, http.MethodPost, c.url(algorithm, path), form.FormDataContentType(), &body)
	if err != nil {
		return nil, err
	}
	answer, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read the picture of %s: %w", algorithm, err)
	}
	return answer, nil
}

func (c Caller) do(ctx context.Context, method, url, contentType string, body io.Reader) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", url, err)
	}
	request.Header.Set("Authorization", "Bearer "+c.Key)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := c.client().Do(request)
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", url, err)
	}
	defer response.Body.Close() //nolint:errcheck // read to its end
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("call %s: %s: %.200s", url, response.Status, data)
	}
	return data, nil
}

// WebSocket opens one at a path.
func (c Caller) WebSocket(ctx context.Context, algorithm, path string) (*websocket.Conn, error) {
	header := http.Header{"Authorization": {"Bearer " + c.Key}}
	conn, response, err := websocket.Dial(ctx, c.url(algorithm, path), &websocket.DialOptions{HTTPHeader: header, HTTPClient: c.client()})
	if response != nil && response.Body != nil {
		_ = response.Body.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("open a WebSocket of %s: %w", algorithm, err)
	}
	return conn, nil
}
