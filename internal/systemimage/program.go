package systemimage

import (
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// hostCABundles are where distributions keep their certificate authorities.
var hostCABundles = []string{
	"/etc/ssl/certs/ca-certificates.crt", // Debian, Alpine, Arch, and the system image itself
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
}

// format is part of a Key: it grows when the image is made in another way.
const format = 2

// Program is what an image is made of: an executable and certificate authorities.
type Program struct {
	executable *os.File
	size       int64
	caBundle   []byte
}

// Open opens a program that runs on nothing but a Linux kernel; "" is the running
// one, and the host's certificate authorities. Its errors are KindUnavailable and say
// what to do.
func Open(executable, caBundle string) (*Program, error) {
	authorities, err := readCABundle(caBundle)
	if err != nil {
		return nil, err
	}
	file, err := openExecutable(executable)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("read the mothership's binary: %w", err)
	}
	return &Program{executable: file, size: info.Size(), caBundle: authorities}, nil
}

// Close ends the reading of the program.
func (p *Program) Close() { _ = p.executable.Close() } // only read

// Size returns how many bytes the program has.
func (p *Program) Size() int64 { return p.size }

// Key names the image by all that goes into it.
func (p *Program) Key() (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%d %s %s %x ", format, runtime.GOARCH, runtime.Version(), sha256.Sum256(p.caBundle))
	if _, err := io.Copy(sum, p.reader()); err != nil {
		return "", fmt.Errorf("read the mothership's binary: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func (p *Program) reader() io.Reader { return io.NewSectionReader(p.executable, 0, p.size) }

// Part is one of an image's layers.
type Part int

// The layers, the lowest first: what a program expects of a file system, and the
// program.
const (
	base Part = iota
	binary
)

// Parts are an image's layers in their order.
var Parts = []Part{base, binary}

// WriteLayer writes one of the layers to w, until ctx ends.
func (p *Program) WriteLayer(ctx context.Context, w io.Writer, part Part) (Layer, error) {
	if part == base {
		return writeLayer(ctx, w, baseFiles(p.caBundle))
	}
	return writeLayer(ctx, w, binaryFiles(contextReader{ctx, p.reader()}, p.size))
}

// readCABundle reads the certificate authorities that the satellite and the
// installer's container trust.
func readCABundle(path string) ([]byte, error) {
	paths := hostCABundles
	if path != "" {
		paths = []string{path}
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, constellation.Wrap(err, constellation.KindUnavailable, "the certificate authorities for the system image cannot be read from %s", path)
		}
		return data, nil
	}
	return nil, constellation.Errorf(constellation.KindUnavailable, "the system image needs certificate authorities and this machine has none: install the package ca-certificates and restart the mothership")
}

// openExecutable opens a program that runs on nothing but a Linux kernel.
func openExecutable(path string) (*os.File, error) {
	if path == "" {
		var err error
		if path, err = os.Executable(); err != nil {
			return nil, constellation.Wrap(err, constellation.KindUnavailable, "the mothership cannot find its own binary for the system image")
		}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, constellation.Wrap(err, constellation.KindUnavailable, "the mothership cannot read its own binary for the system image")
	}
	binary, err := elf.NewFile(file)
	if err != nil {
		_ = file.Close()
		return nil, constellation.Wrap(err, constellation.KindUnavailable, "the system image needs a mothership that runs on Linux; this one runs on %s", runtime.GOOS)
	}
	for _, program := range binary.Progs {
		if program.Type == elf.PT_INTERP {
			_ = file.Close()
			return nil, constellation.Errorf(constellation.KindUnavailable, "the system image needs a statically linked mothership: build it with CGO_ENABLED=0, as make build does")
		}
	}
	return file, nil
}
