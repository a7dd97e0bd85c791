package config

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Where the queue of a satellite's durable calls runs.
const (
	QueueCluster = "cluster" // in pods of its own, each write on a quorum of them
	QueueEdge    = "edge"    // in the engine's own process
	QueueOff     = "off"     // nowhere: only synchronous calls are taken
)

// What the queue's disk outlives.
const (
	StoragePersistent = "persistent" // its pod
	StorageEphemeral  = "ephemeral"  // a restart of its container, not its pod
)

// QueueState is the ConfigMap in which engines keep the queue's incarnation and
// what was lost of it, so that a queue that comes back empty is known for one.
// The installer makes it, and leaves to the engines what is in it.
const QueueState = "execution-engine-queue"

// What the queue is given when routes.json does not say, and the bounds of it.
const (
	DefaultQueueKeep  = 24 * time.Hour
	MinQueueKeep      = time.Minute
	MaxQueueKeep      = 30 * 24 * time.Hour
	DefaultQueueShare = 20
	MinQueueShare     = 1
	MaxQueueShare     = 90
	DefaultQueueSize  = 10 << 30
	MinQueueSize      = 64 << 20
	MaxQueueSize      = 16 << 40
	maxQueueServers   = 16
)

// QueueSettings is routes.json's queue: where durable calls are kept, and how
// much of the satellite they may take. A nil one is off.
type QueueSettings struct {
	Mode         string   `json:"mode"`
	Replicas     int      `json:"replicas,omitempty"`      // nodes that hold each write: 3, or 1
	KeepSeconds  int64    `json:"keep_seconds,omitempty"`  // how long results stay
	SharePercent int      `json:"share_percent,omitempty"` // of an algorithm's slots, that waiting durable calls get at the least
	SizeBytes    int64    `json:"size_bytes,omitempty"`    // of one node's volume
	Storage      string   `json:"storage,omitempty"`       // StoragePersistent or StorageEphemeral
	Servers      []string `json:"servers,omitempty"`       // host:port of the nodes, in QueueCluster

	RetryTimeouts bool `json:"retry_timeouts,omitempty"` // whether a durable call that ran out of time is tried again
}

// On reports whether durable calls are taken.
func (q *QueueSettings) On() bool { return q != nil && q.Mode != QueueOff }

// Keep returns how long results stay.
func (q *QueueSettings) Keep() time.Duration {
	if q == nil || q.KeepSeconds == 0 {
		return DefaultQueueKeep
	}
	return time.Duration(q.KeepSeconds) * time.Second
}

// WithDefaults fills in what is not set.
func (q QueueSettings) WithDefaults() QueueSettings {
	if q.Mode == "" {
		q.Mode = QueueOff
	}
	if q.Mode == QueueOff {
		return q
	}
	if q.Replicas == 0 {
		q.Replicas = 1
		if q.Mode == QueueCluster {
			q.Replicas = 3
		}
	}
	if q.KeepSeconds == 0 {
		q.KeepSeconds = int64(DefaultQueueKeep / time.Second)
	}
	if q.SharePercent == 0 {
		q.SharePercent = DefaultQueueShare
	}
	if q.SizeBytes == 0 {
		q.SizeBytes = DefaultQueueSize
	}
	if q.Storage == "" {
		q.Storage = StorageEphemeral
	}
	return q
}

// check holds settings that have their defaults to the rules.
func (q *QueueSettings) check(v *constellation.Validation) {
	switch q.Mode {
	case QueueOff:
		return
	case QueueCluster:
		if len(q.Servers) == 0 || len(q.Servers) > maxQueueServers {
			v.Add("servers", "the queue in mode %s needs the addresses of its nodes, such as [\"queue-0.queue:4222\"], and %d at most", QueueCluster, maxQueueServers)
		}
	case QueueEdge:
	default:
		v.Add("mode", "the queue's mode is %s, %s or %s; not %q", QueueCluster, QueueEdge, QueueOff, q.Mode)
	}
	if q.Replicas != 1 && q.Replicas != 3 {
		v.Add("replicas", "the queue's replicas are 1 or 3; not %d", q.Replicas)
	}
	if q.KeepSeconds < int64(MinQueueKeep/time.Second) || q.KeepSeconds > int64(MaxQueueKeep/time.Second) {
		v.Add("keep_seconds", "keep_seconds is a number from %d to %d", int64(MinQueueKeep/time.Second), int64(MaxQueueKeep/time.Second))
	}
	if q.SharePercent < MinQueueShare || q.SharePercent > MaxQueueShare {
		v.Add("share_percent", "share_percent is a number from %d to %d", MinQueueShare, MaxQueueShare)
	}
	if q.SizeBytes < MinQueueSize || q.SizeBytes > MaxQueueSize {
		v.Add("size_bytes", "size_bytes is a number from %d to %d", int64(MinQueueSize), int64(MaxQueueSize))
	}
	if q.Storage != StoragePersistent && q.Storage != StorageEphemeral {
		v.Add("storage", "the queue's storage is %s or %s; not %q", StoragePersistent, StorageEphemeral, q.Storage)
	}
	for i, server := range q.Servers {
		if !isHostPort(server) {
			v.Add(fmt.Sprintf("servers[%d]", i), "a server is host:port, such as queue-0.queue:4222; not %q", server)
		}
	}
}

// Callbacks is routes.json's callbacks: where results may be sent beyond
// public addresses.
type Callbacks struct {
	Allow []string `json:"allow,omitempty"` // host names, addresses and prefixes
}

// MaxCallbackAllow is how many entries Callbacks.Allow has at most.
const MaxCallbackAllow = 100

var hostName = regexp.MustCompile(`^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// CallbackTarget returns an entry of Callbacks.Allow as it is written there: a
// host name in lower case, or a prefix with nothing behind its length. The
// error is one sentence without its subject.
func CallbackTarget(entry string) (string, error) {
	entry = strings.ToLower(strings.TrimSpace(entry))
	if address, err := netip.ParseAddr(entry); err == nil && address.Zone() == "" {
		return netip.PrefixFrom(address.Unmap(), address.Unmap().BitLen()).String(), nil
	}
	if prefix, err := netip.ParsePrefix(entry); err == nil {
		return prefix.Masked().String(), nil
	}
	// A last label of digits is how an address begins that is written oddly.
	last := entry[strings.LastIndexByte(entry, '.')+1:]
	if len(entry) > 253 || !hostName.MatchString(entry) || strings.Trim(last, "0123456789") == "" {
		return "", fmt.Errorf("is host names and address ranges such as hooks.example,10.0.0.0/8; not %q", entry)
	}
	return entry, nil
}

func (c *Callbacks) check(v *constellation.Validation) {
	if len(c.Allow) > MaxCallbackAllow {
		v.Add("allow", "callbacks.allow has at most %d entries; this one has %d", MaxCallbackAllow, len(c.Allow))
		return
	}
	for i, entry := range c.Allow {
		if _, err := CallbackTarget(entry); err != nil {
			v.Add(fmt.Sprintf("allow[%d]", i), "callbacks.allow %v", err)
		}
	}
}

// decodeQueue reads routes.json's queue and callbacks. What breaks a rule is
// refused whole: a queue that nobody asked for so is none, and results then go
// to public addresses alone. The algorithms beside it are served.
func (r *Routes) decodeQueue(queue, callbacks json.RawMessage, sieve *sieve) {
	r.Queue, r.Callbacks = nil, Callbacks{}
	if len(queue) > 0 && string(queue) != "null" {
		var q QueueSettings
		if err := decodePart(queue, &q); err != nil {
			sieve.refuse(0, "queue", err)
		} else if q = q.WithDefaults(); sieve.passes(0, "queue", q.check) {
			r.Queue = &q
		}
	}
	if len(callbacks) > 0 && string(callbacks) != "null" {
		var c Callbacks
		if err := decodePart(callbacks, &c); err != nil {
			sieve.refuse(0, "callbacks", err)
		} else if sieve.passes(0, "callbacks", c.check) {
			r.Callbacks = c
		}
	}
}
