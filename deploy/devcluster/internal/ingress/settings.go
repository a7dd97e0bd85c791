package ingress

import (
	"regexp"
	"strconv"
)

// prefix of the annotations, those of ingress-nginx.
const prefix = "nginx.ingress.kubernetes.io/"

// settings of one location; the defaults are ingress-nginx's.
type settings struct {
	bodySize         string
	connectTimeout   string
	readTimeout      string
	sendTimeout      string
	buffering        string
	requestBuffering string
	scheme           string // by which what is behind is reached
}

var sizePattern = regexp.MustCompile(`^[0-9]+[kKmMgG]?$`)

// readSettings takes the values that are well formed and the defaults for the others.
func readSettings(annotations map[string]string) settings {
	seconds := func(name, fallback string) string {
		v := annotations[prefix+name]
		if n, err := strconv.Atoi(v); err == nil && n > 0 {
			return v + "s"
		}
		return fallback
	}
	onOff := func(name, fallback string) string {
		if v := annotations[prefix+name]; v == "on" || v == "off" {
			return v
		}
		return fallback
	}
	s := settings{
		bodySize:         "1m",
		connectTimeout:   seconds("proxy-connect-timeout", "5s"),
		readTimeout:      seconds("proxy-read-timeout", "60s"),
		sendTimeout:      seconds("proxy-send-timeout", "60s"),
		buffering:        onOff("proxy-buffering", "off"),
		requestBuffering: onOff("proxy-request-buffering", "on"),
		scheme:           "http",
	}
	if annotations[prefix+"backend-protocol"] == "HTTPS" {
		s.scheme = "https" // its certificate is not looked at, as by ingress-nginx
	}
	if v := annotations[prefix+"proxy-body-size"]; sizePattern.MatchString(v) {
		s.bodySize = v
	}
	return s
}
