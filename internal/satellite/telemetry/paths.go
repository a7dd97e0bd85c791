package telemetry

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Paths counts which way calls go through the engine: an event loop, or
// net/http.
type Paths struct {
	NetHTTP   atomic.Uint64 // calls that net/http has
	handovers [handoverReasons]atomic.Uint64
}

// Handover is why an event loop gives something to net/http.
type Handover int

// Why an event loop gives a call, or a replica's answer, to net/http.
const (
	CallNotPlain    Handover = iota // it is not beyond doubt
	CallPipelined                   // more came than one call
	CallUnfinished                  // its rest does not come
	CallMemory                      // unfinished calls have much memory
	CallDescriptors                 // it has no place in the loops' table
	CallOff                         // the loops are turned off
	CallUnknownPod                  // the own key, from an address that is not known yet
	CallVoid                        // its caller does not wait, and it is stored
	CallPassed                      // it is passed on as it is
	AnswerNotPlain
	AnswerLarge
	handoverReasons
)

var handoverLabels = [handoverReasons][2]string{
	{"call", "not_plain"},
	{"call", "pipelined"},
	{"call", "unfinished"},
	{"call", "memory"},
	{"call", "descriptors"},
	{"call", "off"},
	{"call", "unknown_pod"},
	{"call", "void"},
	{"call", "passed_on"},
	{"answer", "not_plain"},
	{"answer", "large"},
}

// pathCollector reads the counts when it is scraped.
type pathCollector struct {
	paths *Paths
	loops func() (calls uint64, on bool)
}

// NewPathCollector returns the collector of paths. The function returns how many
// calls the event loops took, and whether they take more.
func NewPathCollector(p *Paths, loops func() (calls uint64, on bool)) prometheus.Collector {
	return &pathCollector{p, loops}
}

// CountHandover notes that an event loop gave something to net/http.
func (p *Paths) CountHandover(why Handover) { p.handovers[why].Add(1) }

var (
	loopDesc     = prometheus.NewDesc("constellation_engine_event_loop", "1 while event loops take calls, 0 when net/http has all: --event-loop=false, or a panic.", nil, nil)
	pathDesc     = prometheus.NewDesc("constellation_engine_path_calls_total", "Calls by the way they go through the engine.", []string{"path"}, nil)
	handoverDesc = prometheus.NewDesc("constellation_engine_handovers_total", "Callers' connections (call) and replicas' answers (answer) that an event loop gave to net/http.", []string{"of", "reason"}, nil)
)

// Describe tells Prometheus what Collect gives.
func (c *pathCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- loopDesc
	ch <- pathDesc
	ch <- handoverDesc
}

// Collect reads the loops' counts.
func (c *pathCollector) Collect(ch chan<- prometheus.Metric) {
	calls, on := c.loops()
	up := 0.0
	if on {
		up = 1
	}
	ch <- prometheus.MustNewConstMetric(loopDesc, prometheus.GaugeValue, up)
	ch <- prometheus.MustNewConstMetric(pathDesc, prometheus.CounterValue, float64(calls), "event_loop")
	ch <- prometheus.MustNewConstMetric(pathDesc, prometheus.CounterValue, float64(c.paths.NetHTTP.Load()), "net_http")
	for reason, labels := range handoverLabels {
		ch <- prometheus.MustNewConstMetric(handoverDesc, prometheus.CounterValue, float64(c.paths.handovers[reason].Load()), labels[0], labels[1])
	}
}
