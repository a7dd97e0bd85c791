package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

const driverName = "s3"

// partSize is how much of a blob is in memory before it goes to the store. A
// store takes 10,000 parts, all but the last of one size for some, so that a
// blob has at most 156 GiB.
const partSize = 16 << 20

// presignedFor is how long an address that a client is sent to may be used to
// begin a download.
const presignedFor = 15 * time.Minute

// stallTimeout is how long a read may stand still before it is begun again.
const stallTimeout = 30 * time.Second

// Options say which bucket, and how its store is reached.
type Options struct {
	Bucket       string
	Prefix       string // of every key, without slashes at its ends; may be empty
	Endpoint     string // host[:port]
	Secure       bool   // by HTTPS
	Region       string
	Addressing   minio.BucketLookupType
	Public       string // the endpoint as clients reach it; empty where it is the same
	PublicSecure bool
	StorageClass string
	Encryption   encrypt.ServerSide
	Credentials  *credentials.Credentials
	Transport    http.RoundTripper
	Retries      int // of a request that may be repeated; 0 for the default
}

// Driver implements distribution's StorageDriver. It is safe for concurrent use.
type Driver struct {
	store    minio.Core
	public   *minio.Client // makes the addresses that clients are sent to
	bucket   string
	root     string // before every path: empty, or PREFIX
	put      minio.PutObjectOptions
	copied   map[string]string // headers of a copy
	partSize int
	stall    time.Duration
	buffers  *sync.Pool
}

var _ driver.StorageDriver = (*Driver)(nil)

// New makes a driver. It asks nothing of the store.
func New(o Options) (*Driver, error) {
	options := minio.Options{
		Creds: o.Credentials, Secure: o.Secure, Region: o.Region, BucketLookup: o.Addressing, Transport: o.Transport, MaxRetries: o.Retries,
	}
	store, err := minio.NewCore(o.Endpoint, &options)
	if err != nil {
		return nil, fmt.Errorf("endpoint %s: %w", o.Endpoint, err)
	}
	public := store.Client
	if o.Public != "" {
		options.Secure = o.PublicSecure
		if public, err = minio.New(o.Public, &options); err != nil {
			return nil, fmt.Errorf("endpoint %s: %w", o.Public, err)
		}
	}
	d := &Driver{store: *store, public: public, bucket: o.Bucket, root: o.Prefix, partSize: partSize, stall: stallTimeout}
	d.buffers = &sync.Pool{New: func() any { return new(bytes.Buffer) }}
	d.put = minio.PutObjectOptions{
		ContentType: "application/octet-stream", StorageClass: o.StorageClass, ServerSideEncryption: o.Encryption,
		DisableContentSha256: true, // of pieces: one of the whole goes with the request
	}
	headers := http.Header{}
	if o.StorageClass != "" {
		headers.Set("X-Amz-Storage-Class", o.StorageClass)
	}
	if o.Encryption != nil {
		o.Encryption.Marshal(headers)
	}
	d.copied = map[string]string{}
	for name := range headers {
		d.copied[name] = headers.Get(name)
	}
	return d, nil
}

// Name implements driver.StorageDriver.
func (d *Driver) Name() string { return driverName }

// key is where the content of a path is in the bucket.
func (d *Driver) key(path string) string {
	return strings.TrimPrefix(d.root+path, "/")
}

// path is the inverse of key.
func (d *Driver) path(key string) string {
	return strings.TrimPrefix("/"+key, d.root)
}

// folder is what the keys of a path's descendants begin with.
func (d *Driver) folder(path string) string {
	if path == "/" {
		return strings.TrimPrefix(d.root+"/", "/")
	}
	return d.key(path) + "/"
}

func checkPath(path string) error {
	if !driver.PathRegexp.MatchString(path) {
		return driver.InvalidPathError{Path: path, DriverName: driverName}
	}
	return nil
}

// failed returns err as the interface has it: a path that is not there has an
// error of its own.
func failed(path string, err error) error {
	if err == nil {
		return nil
	}
	if isMissing(err) {
		return driver.PathNotFoundError{Path: path, DriverName: driverName}
	}
	return err
}

func isMissing(err error) bool {
	var response minio.ErrorResponse
	return errors.As(err, &response) && response.Code == minio.NoSuchKey
}

// GetContent implements driver.StorageDriver.
func (d *Driver) GetContent(ctx context.Context, path string) ([]byte, error) {
	r, err := d.Reader(ctx, path, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // only read
	return io.ReadAll(r)
}

// PutContent implements driver.StorageDriver. Content is there whole or not at
// all.
func (d *Driver) PutContent(ctx context.Context, path string, content []byte) error {
	if err := checkPath(path); err != nil {
		return err
	}
	return d.putObject(ctx, d.key(path), content)
}

// putObject has the store hold what arrives to its hash, which the signature
// covers.
func (d *Driver) putObject(ctx context.Context, key string, content []byte) error {
	_, err := d.store.PutObject(ctx, d.bucket, key, bytes.NewReader(content), int64(len(content)), "", hash(content), d.put)
	return err
}

func hash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// Stat implements driver.StorageDriver. A folder is what has something in it.
func (d *Driver) Stat(ctx context.Context, path string) (driver.FileInfo, error) {
	if path != "/" {
		if err := checkPath(path); err != nil {
			return nil, err
		}
		info, err := d.store.StatObject(ctx, d.bucket, d.key(path), minio.StatObjectOptions{})
		if err == nil {
			return file(path, info.Size, info.LastModified), nil
		}
		if !isMissing(err) {
			return nil, err
		}
	}
	for object := range d.store.ListObjectsIter(ctx, d.bucket, minio.ListObjectsOptions{Prefix: d.folder(path), Recursive: true, MaxKeys: 1}) {
		if object.Err != nil {
			return nil, failed(path, object.Err)
		}
		return folder(path), nil
	}
	return nil, driver.PathNotFoundError{Path: path, DriverName: driverName}
}

func file(path string, size int64, modified time.Time) driver.FileInfo {
	return driver.FileInfoInternal{FileInfoFields: driver.FileInfoFields{Path: path, Size: size, ModTime: modified}}
}

func folder(path string) driver.FileInfo {
	return driver.FileInfoInternal{FileInfoFields: driver.FileInfoFields{Path: path, IsDir: true}}
}

// RedirectURL implements driver.StorageDriver: an address that holds for a
// moment, by which whoever has it reads the content without credentials.
func (d *Driver) RedirectURL(r *http.Request, path string) (string, error) {
	if err := checkPath(path); err != nil {
		return "", err
	}
	if r.Method != http.MethodGet {
		return "", nil
	}
	u, err := d.public.PresignedGetObject(r.Context(), d.bucket, d.key(path), presignedFor, nil)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}
