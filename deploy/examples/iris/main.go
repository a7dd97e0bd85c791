// Command iris is a sample model server with the Open Inference Protocol, as
// KServe, Triton and MLServer have it: GET /v2/…, POST /v2/models/iris/infer.
// The model says which iris a flower is by its four measures in centimetres:
// the species whose mean is nearest.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"

	"github.com/constellation-serving/constellation/deploy/examples/serve"
)

const model = "iris"

// species have the means of Fisher's measures: sepal length and width, petal
// length and width.
var species = []struct {
	name string
	mean [4]float64
}{
	{"setosa", [4]float64{5.006, 3.428, 1.462, 0.246}},
	{"versicolor", [4]float64{5.936, 2.770, 4.260, 1.326}},
	{"virginica", [4]float64{6.588, 2.974, 5.552, 2.026}},
}

func main() { serve.HTTP("iris", routes()) }

func routes() http.Handler {
	mux := http.NewServeMux()
	for path, body := range map[string]any{
		"/v2":                            map[string]any{"name": "constellation-iris", "version": "1.0.0", "extensions": []string{}},
		"/v2/health/live":                map[string]bool{"live": true},
		"/v2/health/ready":               map[string]bool{"ready": true},
		"/v2/models/" + model:            metadata,
		"/v2/models/" + model + "/ready": map[string]any{"name": model, "ready": true},
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { serve.JSON(w, http.StatusOK, body) })
	}
	mux.HandleFunc("POST /v2/models/"+model+"/infer", infer)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, "there is no "+r.Method+" "+r.URL.Path)
	})
	return mux
}

// tensor is an input or an output of the protocol.
type tensor struct {
	Name     string `json:"name"`
	Shape    []int  `json:"shape"`
	Datatype string `json:"datatype"`
	Data     any    `json:"data,omitempty"`
}

var metadata = map[string]any{
	"name": model, "versions": []string{"1"}, "platform": "go",
	"inputs":  []tensor{{Name: "measures", Shape: []int{-1, 4}, Datatype: "FP64"}},
	"outputs": []tensor{{Name: "species", Shape: []int{-1}, Datatype: "BYTES"}, {Name: "distance", Shape: []int{-1}, Datatype: "FP64"}},
}

func infer(w http.ResponseWriter, r *http.Request) {
	var in struct {
		ID     string `json:"id"`
		Inputs []struct {
			Name     string          `json:"name"`
			Shape    []int           `json:"shape"`
			Datatype string          `json:"datatype"`
			Data     json.RawMessage `json:"data"`
		} `json:"inputs"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 8<<20)).Decode(&in); err != nil {
		refuse(w, http.StatusBadRequest, "the body is not an inference request: "+err.Error())
		return
	}
	if len(in.Inputs) != 1 || in.Inputs[0].Name != "measures" {
		refuse(w, http.StatusBadRequest, `one input is wanted, "measures"`)
		return
	}
	rows, err := flowers(in.Inputs[0].Shape, in.Inputs[0].Data)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	names, distances := make([]string, len(rows)), make([]float64, len(rows))
	for i, row := range rows {
		names[i], distances[i] = nearest(row)
	}
	serve.JSON(w, http.StatusOK, map[string]any{"model_name": model, "model_version": "1", "id": in.ID, "outputs": []tensor{
		{Name: "species", Shape: []int{len(rows)}, Datatype: "BYTES", Data: names},
		{Name: "distance", Shape: []int{len(rows)}, Datatype: "FP64", Data: distances},
	}})
}

// flowers are the rows of the input's data, which may be flat or nested.
func flowers(shape []int, data json.RawMessage) ([][4]float64, error) {
	if len(shape) != 2 || shape[1] != 4 {
		return nil, fmt.Errorf("the shape is %v, want [n 4]", shape)
	}
	var nested [][]float64
	var flat []float64
	if json.Unmarshal(data, &flat) == nil {
		for len(flat) > 0 {
			n := min(4, len(flat))
			nested, flat = append(nested, flat[:n]), flat[n:]
		}
	} else if json.Unmarshal(data, &nested) != nil {
		return nil, errors.New("the data are not numbers")
	}
	rows := make([][4]float64, len(nested))
	for i, row := range nested {
		if copy(rows[i][:], row) != 4 || len(row) != 4 {
			return nil, fmt.Errorf("row %d has %d measures, want 4", i, len(row))
		}
	}
	if len(rows) != shape[0] {
		return nil, fmt.Errorf("there are %d rows, and the shape is %v", len(rows), shape)
	}
	return rows, nil
}

// nearest is the model.
func nearest(row [4]float64) (name string, distance float64) {
	distance = math.Inf(1)
	for _, s := range species {
		sum := 0.0
		for i, mean := range s.mean {
			sum += (row[i] - mean) * (row[i] - mean)
		}
		if d := math.Sqrt(sum); d < distance {
			name, distance = s.name, d
		}
	}
	return name, distance
}

func refuse(w http.ResponseWriter, status int, message string) {
	serve.JSON(w, status, map[string]string{"error": message})
}
