package storage

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/storage/s3"
)

// retries is how often a request to an object store is made before it has
// failed: for some five seconds.
const retries = 6

// maxThreads is how many operations on files run at once, as distribution has
// it.
const maxThreads = 100

// Open returns the driver of a location. A folder is made if need be; nothing is
// asked of an object store before [Check].
func Open(l Location) (driver.StorageDriver, error) {
	d, err := open(l)
	if err != nil {
		return nil, err
	}
	return &traced{StorageDriver: d, system: l.scheme}, nil
}

func open(l Location) (driver.StorageDriver, error) {
	if l.scheme == schemeFile {
		if err := os.MkdirAll(l.dir, 0o700); err != nil {
			return nil, constellation.Wrap(err, constellation.KindUnavailable, "the storage %s cannot be made (%s); name another folder, or give this user the right", l, reason(err))
		}
		return filesystem.New(filesystem.DriverParameters{RootDirectory: l.dir, MaxThreads: maxThreads}), nil
	}
	return openS3(l)
}

func openS3(l Location) (driver.StorageDriver, error) {
	transport, err := transportTo(l.s3.caFile)
	if err != nil {
		return nil, err
	}
	o := s3.Options{
		Bucket: l.bucket, Prefix: l.prefix, Endpoint: "s3.amazonaws.com", Secure: true, Region: l.region(),
		StorageClass: l.s3.storageClass, Credentials: provider(), Transport: transport, Retries: retries,
	}
	if l.s3.endpoint != "" {
		o.Endpoint, o.Secure, _ = parseEndpoint(l.s3.endpoint) // was checked
	} else if o.Region == "" {
		return nil, constellation.Errorf(constellation.KindInvalid, "the storage %s names no region: add ?region=…, or set AWS_REGION", l)
	}
	if o.Region == "" {
		o.Region = "us-east-1" // what stores that have no regions call theirs
	}
	if l.s3.publicEndpoint != "" {
		o.Public, o.PublicSecure, _ = parseEndpoint(l.s3.publicEndpoint) // was checked
	}
	switch l.s3.addressing {
	case "path":
		o.Addressing = minio.BucketLookupPath
	case "virtual":
		o.Addressing = minio.BucketLookupDNS
	}
	switch l.s3.encryption {
	case "AES256":
		o.Encryption = encrypt.NewSSE()
	case "aws:kms":
		if o.Encryption, err = encrypt.NewSSEKMS(l.s3.encryptionKey, nil); err != nil {
			return nil, err
		}
	}
	d, err := s3.New(o)
	if err != nil {
		return nil, constellation.Wrap(err, constellation.KindInvalid, "the storage %s cannot be used: its endpoint or its bucket is wrong", l)
	}
	return d, nil
}

// region is the setting's, or the environment's as AWS's own programs take it.
func (l Location) region() string {
	for _, region := range []string{l.s3.region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")} {
		if region != "" {
			return region
		}
	}
	return ""
}

// transportTo never waits for ever: not for a connection, nor for an answer to
// begin. Bodies are watched by those who read them.
func transportTo(caFile string) (http.RoundTripper, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile) //nolint:gosec // the admin's own setting
		if err != nil {
			return nil, constellation.Wrap(err, constellation.KindInvalid, "the storage's ca_file %s cannot be read (%s)", caFile, reason(err))
		}
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			config.RootCAs = x509.NewCertPool()
		}
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, constellation.Errorf(constellation.KindInvalid, "the storage's ca_file %s has no certificate in PEM form", caFile)
		}
	}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       config, // and so HTTP/1.1: a connection a transfer
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: time.Minute,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       time.Minute,
		DisableCompression:    true,
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
	}, nil
}

// errNoCredentials is a machine that has none.
var errNoCredentials = errors.New("no credentials were found")

// provider looks for credentials where AWS's own programs do.
func provider() *credentials.Credentials {
	providers := []credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}}
	if os.Getenv("AWS_EC2_METADATA_DISABLED") != "true" || os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE")+os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI") != "" {
		// A machine without a role has nobody who answers at that address.
		providers = append(providers, &credentials.IAM{Client: &http.Client{Timeout: 5 * time.Second}})
	}
	return credentials.New(&required{credentials.Chain{Providers: providers}})
}

// required is a chain that has credentials: without, a request would go out
// unsigned.
type required struct{ credentials.Chain }

// Retrieve implements credentials.Provider.
func (r *required) Retrieve() (credentials.Value, error) { return r.RetrieveWithCredContext(nil) }

// RetrieveWithCredContext implements credentials.Provider.
func (r *required) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	value, err := r.Chain.RetrieveWithCredContext(cc)
	if err == nil && value.AccessKeyID == "" {
		err = errNoCredentials
	}
	return value, err
}

// checkTimeout is how long a store may take for a small file.
const checkTimeout = 20 * time.Second

// Check writes a small file, reads it back and reports in one sentence what
// keeps a store from being used.
func Check(ctx context.Context, l Location, d driver.StorageDriver) error {
	const probe = "/constellation/probe"
	limited, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if err := d.PutContent(limited, probe, []byte("ok")); err != nil {
		return Explain(l, "written to", err)
	}
	got, err := d.GetContent(limited, probe)
	if err != nil {
		return Explain(l, "read from", err)
	}
	if string(got) != "ok" {
		return constellation.Errorf(constellation.KindUnavailable, "the storage %s gives back another content than was written to it", l)
	}
	return nil
}
