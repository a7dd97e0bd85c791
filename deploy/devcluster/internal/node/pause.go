package node

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"time"
)

// WritePauseImage writes an OCI layout in a tar: one image, named name, that
// holds nothing but the program.
func WritePauseImage(w io.Writer, name string, program []byte) error {
	var layer bytes.Buffer
	lt := tar.NewWriter(&layer)
	if err := addFile(lt, "pause", 0o755, program); err != nil {
		return err
	}
	if err := lt.Close(); err != nil {
		return fmt.Errorf("write pause layer: %w", err)
	}
	type object = map[string]any
	blobs := map[string][]byte{}
	describe := func(mediaType string, data []byte) object {
		sum := sha256.Sum256(data)
		digest := hex.EncodeToString(sum[:])
		blobs[digest] = data
		return object{"mediaType": mediaType, "digest": "sha256:" + digest, "size": len(data)}
	}
	encode := func(v any) []byte {
		data, err := json.Marshal(v)
		if err != nil {
			panic(err) // only strings, numbers, maps and lists come here
		}
		return data
	}
	const oci = "application/vnd.oci.image."
	layerDescriptor := describe(oci+"layer.v1.tar", layer.Bytes())
	config := describe(oci+"config.v1+json", encode(object{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": object{"Entrypoint": []string{"/pause"}, "User": "65535:65535"},
		"rootfs": object{"type": "layers", "diff_ids": []any{layerDescriptor["digest"]}},
	}))
	manifest := describe(oci+"manifest.v1+json", encode(object{
		"schemaVersion": 2, "mediaType": oci + "manifest.v1+json", "config": config, "layers": []any{layerDescriptor},
	}))
	manifest["annotations"] = object{"io.containerd.image.name": name}
	index := encode(object{"schemaVersion": 2, "mediaType": oci + "index.v1+json", "manifests": []any{manifest}})

	out := tar.NewWriter(w)
	if err := addFile(out, "oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	for digest, data := range blobs {
		if err := addFile(out, "blobs/sha256/"+digest, 0o644, data); err != nil {
			return err
		}
	}
	if err := addFile(out, "index.json", 0o644, index); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("write pause image: %w", err)
	}
	return nil
}

func addFile(w *tar.Writer, name string, mode int64, data []byte) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data)), ModTime: time.Unix(0, 0)}
	if err := w.WriteHeader(header); err != nil {
		return fmt.Errorf("write %s to image: %w", name, err)
	}
	if _, err := w.Write(data); err != nil {
		return fmt.Errorf("write %s to image: %w", name, err)
	}
	return nil
}
