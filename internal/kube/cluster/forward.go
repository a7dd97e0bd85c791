package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// Forward is a way to a pod's ports through the API server and the pod's node,
// as kubectl port-forward takes it. Network policies do not stand in it, and the
// API server needs no way of its own to pods.
type Forward struct {
	pod      string
	conn     httpstream.Connection
	requests atomic.Int64
}

// ErrNoForward is wrapped by the error of a Forward that the account may not
// have; the error names the right that it lacks.
var ErrNoForward = errors.New("the kubeconfig's account may not reach pods")

// ForwardTo returns a way to a pod's ports. Close ends it.
func (c *Cluster) ForwardTo(ctx context.Context, pod string) (*Forward, error) {
	address := c.Typed.CoreV1().RESTClient().Post().Resource("pods").Namespace(c.Namespace).Name(pod).SubResource("portforward").URL()
	config := rest.CopyConfig(c.config)
	roundTripper, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, fmt.Errorf("reach pod %s: %w", pod, err)
	}
	byPost := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: roundTripper}, http.MethodPost, address)
	byWebsocket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(address, config)
	if err != nil {
		return nil, fmt.Errorf("reach pod %s: %w", pod, err)
	}
	type dialed struct {
		conn httpstream.Connection
		err  error
	}
	done := make(chan dialed, 1)
	go func() {
		conn, _, err := byWebsocket.Dial(portforward.PortForwardProtocolV1Name)
		if err != nil {
			// A server that is older, or asks for the right to create, takes this.
			conn, _, err = byPost.Dial(portforward.PortForwardProtocolV1Name)
		}
		done <- dialed{conn, err}
	}()
	select {
	case <-ctx.Done():
		go func() {
			if late := <-done; late.conn != nil {
				_ = late.conn.Close()
			}
		}()
		return nil, ctx.Err()
	case d := <-done:
		if d.err != nil {
			return nil, c.noForward(pod, d.err)
		}
		return &Forward{pod: pod, conn: d.conn}, nil
	}
}

// noForward explains why there is no way to a pod. The upgrade's error has the
// API server's words and no status.
func (c *Cluster) noForward(pod string, err error) error {
	if text := err.Error(); strings.Contains(text, "forbidden") || strings.Contains(text, "Forbidden") {
		return fmt.Errorf("%w: it lacks, in namespace %s: create pods/portforward", ErrNoForward, c.Namespace)
	}
	return fmt.Errorf("reach pod %s: %w", pod, err)
}

// Close ends the way and what goes by it.
func (f *Forward) Close() error { return f.conn.Close() }

// Dial returns a connection to a port of the pod.
func (f *Forward) Dial(_ context.Context, port int) (net.Conn, error) {
	header := http.Header{}
	header.Set(corev1.PortHeader, strconv.Itoa(port))
	header.Set(corev1.PortForwardRequestIDHeader, strconv.FormatInt(f.requests.Add(1), 10))
	header.Set(corev1.StreamType, corev1.StreamTypeError)
	problems, err := f.conn.CreateStream(header)
	if err != nil {
		return nil, fmt.Errorf("reach port %d of pod %s: %w", port, f.pod, err)
	}
	_ = problems.Close() // nothing is written to it
	header.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := f.conn.CreateStream(header)
	if err != nil {
		f.conn.RemoveStreams(problems)
		return nil, fmt.Errorf("reach port %d of pod %s: %w", port, f.pod, err)
	}
	c := &forwarded{Stream: data, forward: f, problems: problems, told: make(chan struct{})}
	go c.listen(port)
	return c, nil
}

// maxProblem bounds what a node says of a connection.
const maxProblem = 4 << 10

// forwarded is one connection. It has no deadlines: who waits ends it.
type forwarded struct {
	httpstream.Stream
	forward  *Forward
	problems httpstream.Stream
	once     sync.Once
	told     chan struct{} // closed once the node has said what it has to say
	problem  error
}

// listen hears of a port that nobody listens on, and ends the connection.
func (c *forwarded) listen(port int) {
	text, _ := io.ReadAll(io.LimitReader(c.problems, maxProblem))
	if len(text) > 0 {
		c.problem = fmt.Errorf("port %d of pod %s: %s", port, c.forward.pod, strings.TrimSpace(string(text)))
		_ = c.Reset()
	}
	close(c.told)
}

// Read reads what the pod sends.
func (c *forwarded) Read(p []byte) (int, error) {
	n, err := c.Stream.Read(p)
	if err == nil || n > 0 {
		return n, err
	}
	select {
	case <-c.told:
		if c.problem != nil {
			return n, c.problem
		}
	case <-time.After(time.Second): // it may be said a moment later
	}
	return n, err
}

// Close ends the connection.
func (c *forwarded) Close() error {
	c.once.Do(func() {
		_ = c.Reset()
		c.forward.conn.RemoveStreams(c.Stream, c.problems)
	})
	return nil
}

type podAddress string

func (podAddress) Network() string  { return "port-forward" }
func (a podAddress) String() string { return string(a) }

// LocalAddr is part of net.Conn.
func (c *forwarded) LocalAddr() net.Addr { return podAddress("algo-install") }

// RemoteAddr is part of net.Conn.
func (c *forwarded) RemoteAddr() net.Addr { return podAddress(c.forward.pod) }

// SetDeadline is part of net.Conn; there are none.
func (*forwarded) SetDeadline(time.Time) error { return nil }

// SetReadDeadline is part of net.Conn; there are none.
func (*forwarded) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline is part of net.Conn; there are none.
func (*forwarded) SetWriteDeadline(time.Time) error { return nil }
