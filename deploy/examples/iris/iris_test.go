package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/deploy/examples/callers"
)

func TestInfer(t *testing.T) {
	server := httptest.NewServer(http.StripPrefix("/demo/iris", routes()))
	defer server.Close()
	got, err := callers.Caller{Base: server.URL}.Infer(t.Context(), "demo/iris", model, "measures", [][]float64{{5.1, 3.5, 1.4, .2}, {6, 2.8, 4.3, 1.3}, {6.5, 3, 5.6, 2.1}})
	if diff := cmp.Diff([]string{"setosa", "versicolor", "virginica"}, got); err != nil || diff != "" {
		t.Errorf("Infer = %v (-want +got):\n%s", err, diff)
	}
}

func TestRequests(t *testing.T) {
	for _, test := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/v2/health/live", "", 200, `{"live":true}`},
		{"GET", "/v2/health/ready", "", 200, `{"ready":true}`},
		{"GET", "/v2", "", 200, `"name":"constellation-iris"`},
		{"GET", "/v2/models/iris/ready", "", 200, `"ready":true`},
		{"GET", "/v2/models/iris", "", 200, `"inputs":[{"name":"measures","shape":[-1,4],"datatype":"FP64"}]`},
		{"GET", "/v2/models/rose", "", 404, `"error":"there is no GET /v2/models/rose"`},
		{"POST", "/v2/models/iris/infer", `{"id":"7","inputs":[{"name":"measures","shape":[1,4],"datatype":"FP64","data":[5,3,1,0]}]}`, 200, `"id":"7","model_name":"iris"`},
		{"POST", "/v2/models/iris/infer", `{`, 400, "not an inference request"},
		{"POST", "/v2/models/iris/infer", `{"inputs":[]}`, 400, `one input is wanted`},
		{"POST", "/v2/models/iris/infer", `{"inputs":[{"name":"measures","shape":[4],"data":[5,3,1,0]}]}`, 400, "want [n 4]"},
		{"POST", "/v2/models/iris/infer", `{"inputs":[{"name":"measures","shape":[1,4],"data":[[5,3,1]]}]}`, 400, "row 0 has 3 measures"},
		{"POST", "/v2/models/iris/infer", `{"inputs":[{"name":"measures","shape":[1,4],"data":["x"]}]}`, 400, "not numbers"},
		{"POST", "/v2/models/iris/infer", `{"inputs":[{"name":"measures","shape":[2,4],"data":[5,3,1,0]}]}`, 400, "there are 1 rows"},
	} {
		w := httptest.NewRecorder()
		routes().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), test.method, test.path, strings.NewReader(test.body)))
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.want) {
			t.Errorf("%s %s %s = %d %s, want %d …%s…", test.method, test.path, test.body, w.Code, w.Body, test.status, test.want)
		}
	}
}
