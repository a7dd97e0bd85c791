package api

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync"
)

// minCompressed is from how many bytes on an answer is compressed: below, a
// packet is a packet.
const minCompressed = 1400

// compresses reports whether the answer goes out compressed. One with an ETag
// does not: it would need another one.
func (a *response) compresses(r *http.Request) bool {
	if a.header.Get("ETag") != "" || a.length() < minCompressed {
		return false
	}
	a.header.Set("Vary", "Accept-Encoding")
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, parameters, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			weight := strings.TrimLeft(strings.TrimPrefix(strings.ReplaceAll(parameters, " ", ""), "q="), "0.")
			return parameters == "" || weight != ""
		}
	}
	return false
}

var compressors = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil {
		panic("gzip knows its own level: " + err.Error())
	}
	return w
}}

// compress compresses to w what write writes.
func compress(w io.Writer, write func(io.Writer)) {
	compressor := compressors.Get().(*gzip.Writer)
	defer compressors.Put(compressor)
	compressor.Reset(w)
	write(compressor)
	_ = compressor.Close() // the client is gone: nobody to tell
}
