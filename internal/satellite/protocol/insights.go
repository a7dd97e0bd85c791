package protocol

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/constellation-serving/constellation/internal/satellite/jsonscan"
)

// Limits of a report of insights.
const (
	maxInsights     = 25
	maxInsightsBody = 25 << 10
)

// insight is one metric that an algorithm reports of its call.
type insight struct {
	Key   *string         `json:"insight_key"`
	Value json.RawMessage `json:"insight_value"`
}

// ReadInsights reads an algorithm's report of its call. It returns the values by
// key, and how many were reported, the same key perhaps several times.
func ReadInsights(report io.Reader) (values map[string]string, n int, f *Failure) {
	body, err := io.ReadAll(io.LimitReader(report, maxInsightsBody+1))
	if err != nil {
		return nil, 0, Refuse(http.StatusBadRequest, "the body was cut off or is not what its headers say")
	}
	if len(body) > maxInsightsBody {
		return nil, 0, Refuse(http.StatusRequestEntityTooLarge, "insights are larger than 25 KB")
	}
	var list []insight
	if json.Unmarshal(body, &list) != nil {
		return nil, 0, Refuse(http.StatusBadRequest, `insights are a JSON array of {"insight_key","insight_value"}`)
	}
	if len(list) > maxInsights {
		return nil, 0, Refuse(http.StatusBadRequest, "there are more than 25 insights in one report")
	}
	values = make(map[string]string, len(list))
	for _, i := range list {
		if i.Key == nil || *i.Key == "" || i.Value == nil {
			return nil, 0, Refuse(http.StatusBadRequest, "each insight has an insight_key and an insight_value")
		}
		values[*i.Key] = string(jsonscan.Unquote(i.Value))
	}
	return values, len(list), nil
}
