package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/stack"
)

// launch is a launch with its token, as seed made it.
// digest is of the keys that it has.
type launch struct{ satellite, id, token, digest string }

func (l *launch) path() string {
	return "/v1/satellites/" + l.satellite + "/launches/" + l.id + "/heartbeat"
}

// report sends a heartbeat, and takes the keys of the answer.
func (l *launch) report(c *conn, body []byte) error {
	status, answer, err := c.send(http.MethodPost, l.path(), l.token, bytes.Replace(body, []byte("DIGEST"), []byte(l.digest), 1))
	if err == nil && status == http.StatusTooManyRequests && c.retryAfter > 0 {
		return laterError(c.retryAfter)
	}
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("answered %d: %s", status, answer)
	}
	if err != nil || !bytes.Contains(answer, []byte(`"keys"`)) {
		return err
	}
	var told apiv1.HeartbeatAnswer
	if err := json.Unmarshal(answer, &told); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	l.digest = told.Keys.Digest
	return nil
}

// seeded starts a mothership on made-up data; reports of its launches have reported.
func seeded(ctx context.Context, binary, dir string, satellites, launches, reports int) (*stack.Mothership, []*launch, error) {
	tokens := filepath.Join(dir, "tokens")
	_, err := stack.Command{Args: []string{
		binary, "seed", "--data-dir", filepath.Join(dir, "data"), "--tokens", tokens,
		"--satellites", strconv.Itoa(satellites), "--launches", strconv.Itoa(launches), "--reports", strconv.Itoa(reports),
	}}.Run(ctx)
	if err != nil {
		return nil, nil, err
	}
	data, err := os.ReadFile(tokens) //nolint:gosec // made above
	if err != nil {
		return nil, nil, fmt.Errorf("read the tokens: %w", err)
	}
	var list []*launch
	for line := range strings.Lines(string(data)) {
		if words := strings.Fields(line); len(words) == 3 {
			list = append(list, &launch{satellite: words[0], id: words[1], token: words[2]})
		}
	}
	m, err := stack.StartMothership(ctx, binary, dir, "127.0.0.1:0")
	return m, list, err
}

// viewer makes an API key that reads.
func viewer(ctx context.Context, m *stack.Mothership) (string, error) {
	if _, err := m.Administer(ctx, "", "account", "create", "bench", "--role", "admin"); err != nil {
		return "", err
	}
	return m.Administer(ctx, "", "api-key", "create", "--account", "bench", "--role", "admin")
}

// heartbeat is what a launch of two algorithms and two engines sends.
func heartbeat(sequence int64) []byte {
	latency := make([]string, len(apiv1.LatencyBounds)+1)
	for i := range latency {
		latency[i] = strconv.FormatInt(sequence*int64(i%7), 10)
	}
	counts := make([]string, 2)
	for i := range counts {
		counts[i] = fmt.Sprintf(`{"vanity_url":"foo/bar%d","calls":%d,"errors":{"timeout":%d},"latency":[%s]}`, i+1, sequence*100, sequence, strings.Join(latency, ","))
	}
	engine := func(id string) string {
		return fmt.Sprintf(`{"id":%q,"started_at":"2026-11-22T12:00:00Z","counts":[%s]}`, id, strings.Join(counts, ","))
	}
	return fmt.Appendf(nil, `{"engine":"execution-engine-6d9f-x2x7q/8f3a51","sequence":%d,"satellite_version":1,"system_version":"v1.4.0","keys_digest":"DIGEST",`+
		`"algorithms":[{"vanity_url":"foo/bar1","wanted":1,"ready":1},{"vanity_url":"foo/bar2","wanted":2,"ready":2,"in_flight":1}],"engines":[%s,%s]}`,
		sequence, engine("execution-engine-6d9f-x2x7q/8f3a51"), engine("execution-engine-6d9f-k8b2v/17ac90"))
}

// laterError is an answer to come again after a while.
type laterError time.Duration

func (e laterError) Error() string { return "told to report again in " + time.Duration(e).String() }

// conn is one HTTP/1.1 connection that stays open.
type conn struct {
	net.Conn
	reader     *bufio.Reader
	host       string
	retryAfter time.Duration // as the last answer said
}

// dialled counts connections: each some thousand come from a loopback address of
// their own, since an address has not ports enough for all.
var dialled atomic.Uint32

func dial(host string) (*conn, error) {
	from := net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+dialled.Add(1)/8192%200))} //nolint:gosec // below 256
	dialer := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &from}
	c, err := dialer.Dial("tcp", host)
	if err != nil {
		return nil, err
	}
	return &conn{c, bufio.NewReaderSize(c, 2048), host, 0}, nil
}

// send asks and gives the answer's status and body.
func (c *conn) send(method, path, token string, body []byte) (int, []byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n", method, path, c.host, token)
	if body != nil {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.Write(body)
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return 0, nil, err
	}
	if _, err := c.Write(b.Bytes()); err != nil {
		return 0, nil, err
	}
	resp, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()                                    //nolint:errcheck // read to its end
	seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // mostly there is none
	c.retryAfter = time.Duration(seconds) * time.Second
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// quantile returns the q-quantile of durations in milliseconds; it sorts them.
func quantile(list []time.Duration, q float64) float64 {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[min(len(list)-1, int(q*float64(len(list))))].Seconds() * 1000
}

// cpuSeconds is the processor time that a mothership and its PostgreSQL have
// taken, and that part which is PostgreSQL's.
func cpuSeconds(m *stack.Mothership) (total, database float64, err error) {
	server, err := processSeconds(m.PID(), true)
	if err != nil {
		return 0, 0, err
	}
	pids, err := filepath.Glob(filepath.Join(m.DataDir, "*", "postmaster.pid"))
	if more, _ := filepath.Glob(filepath.Join(m.DataDir, "*", "*", "postmaster.pid")); err == nil {
		pids = append(pids, more...)
	}
	if len(pids) != 1 {
		return 0, 0, fmt.Errorf("find PostgreSQL: there are %d postmaster.pid below %s", len(pids), m.DataDir)
	}
	data, err := os.ReadFile(pids[0])
	if err != nil {
		return 0, 0, fmt.Errorf("find PostgreSQL: %w", err)
	}
	first, _, _ := strings.Cut(string(data), "\n")
	postmaster, err := strconv.Atoi(first)
	if err != nil {
		return 0, 0, fmt.Errorf("find PostgreSQL: %w", err)
	}
	if database, err = processSeconds(postmaster, true); err != nil {
		return 0, 0, err
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", postmaster, postmaster))
	if err != nil {
		return 0, 0, fmt.Errorf("find PostgreSQL's processes: %w", err)
	}
	for _, child := range strings.Fields(string(children)) {
		pid, err := strconv.Atoi(child)
		if err != nil {
			continue
		}
		seconds, err := processSeconds(pid, false)
		if errors.Is(err, os.ErrNotExist) { // ended meanwhile: its parent has it
			continue
		}
		if err != nil {
			return 0, 0, err
		}
		database += seconds
	}
	return server + database, database, nil
}

// processSeconds is a process's processor time, with that of its ended
// children.
func processSeconds(pid int, withEnded bool) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	ticks := 0
	last := 13 // utime and stime are the 12th and 13th behind the name
	if withEnded {
		last = 15
	}
	for _, field := range fields[11:last] {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, fmt.Errorf("read processor time: %w", err)
		}
		ticks += n
	}
	const perSecond = 100 // USER_HZ, the same on every Linux that Go runs on
	return float64(ticks) / perSecond, nil
}
