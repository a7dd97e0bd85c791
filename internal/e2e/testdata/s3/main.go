// Command s3 is an object store in memory that speaks S3, with one bucket, for a pod of
// the end-to-end tests. It takes any credentials.
package main

import (
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

func main() {
	backend := s3mem.New()
	err := backend.CreateBucket("images")
	if err == nil {
		server := &http.Server{Addr: ":9000", Handler: gofakes3.New(backend).Server(), ReadHeaderTimeout: 10 * time.Second}
		err = server.ListenAndServe()
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
