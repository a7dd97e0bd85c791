package protocol

import (
	"net/http"
	"time"
)

// writeStep is what a caller has to take within their time: one who reads nothing
// would keep a large answer in memory.
const writeStep = 256 << 10

// WriteParts writes the body. Of one that is not small, the caller has to take a
// step within stall.
func (r *Reply) WriteParts(w http.ResponseWriter, stall time.Duration) error {
	for _, part := range r.Parts {
		for len(part) > 0 {
			if r.Length() > SmallBody {
				_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(stall))
			}
			n := min(len(part), writeStep)
			if _, err := w.Write(part[:n]); err != nil {
				return err
			}
			part = part[n:]
		}
	}
	return nil
}
