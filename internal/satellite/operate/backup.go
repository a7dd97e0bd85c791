package operate

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"
)

// A backup is a file of lines of JSON: a header, then for each item one that
// says how many bytes follow it, and at last one with the SHA-256 of all before.
const (
	backupFormat  = "constellation-queue-backup"
	backupVersion = 1
	maxLine       = 512 << 10
	maxItem       = 64 << 20
)

// Header is how a backup begins.
type Header struct {
	Format   string    `json:"format"`
	Version  int       `json:"version"`
	ID       string    `json:"id"` // differs for each backup
	LaunchID string    `json:"launch_id"`
	At       time.Time `json:"at"`
}

// NewHeader returns that of a new backup.
func NewHeader(launchID string, at time.Time) Header {
	return Header{Format: backupFormat, Version: backupVersion, ID: rand.Text(), LaunchID: launchID, At: at.UTC()}
}

func (h Header) check() error {
	switch {
	case h.Format != backupFormat:
		return errors.New("it is no backup of a queue")
	case h.Version != backupVersion:
		return fmt.Errorf("it is a backup of form %d, and this program reads %d", h.Version, backupVersion)
	case h.ID == "" || len(h.ID) > 64 || h.At.IsZero():
		return errors.New("its first line is not that of a backup")
	}
	for _, r := range h.ID {
		if (r < 'A' || r > 'Z') && (r < '0' || r > '9') {
			return errors.New("its first line is not that of a backup")
		}
	}
	return nil
}

// Item is one thing that is stored: a message, or a record.
type Item struct {
	Bucket string `json:"bucket,omitempty"` // of a record
	Key    string `json:"key,omitempty"`

	Kind      string            `json:"kind,omitempty"` // of a message
	Algorithm string            `json:"algorithm,omitempty"`
	ID        string            `json:"id,omitempty"`
	Header    map[string]string `json:"header,omitempty"`
	Seq       uint64            `json:"seq,omitempty"`
	Stored    time.Time         `json:"stored,omitzero"`

	Data []byte `json:"-"`
}

// line is what a line behind the first may say.
type line struct {
	Item
	Bytes  *int    `json:"bytes,omitempty"`
	End    bool    `json:"end,omitempty"`
	Items  *uint64 `json:"items,omitempty"`
	SHA256 string  `json:"sha256,omitempty"`
}

// itemLine and endLine are line as they are written.
type itemLine struct {
	Item
	Bytes int `json:"bytes"`
}

type endLine struct {
	End    bool   `json:"end"`
	Items  uint64 `json:"items"`
	SHA256 string `json:"sha256"`
}

// Writer writes a backup.
type Writer struct {
	out    io.Writer
	sum    hash.Hash
	header Header
	begun  bool
	items  uint64
}

// NewWriter returns a writer of a backup, of which nothing is written before
// its first item.
func NewWriter(out io.Writer, h Header) *Writer {
	return &Writer{out: out, sum: sha256.New(), header: h}
}

// Begun reports whether anything was written.
func (w *Writer) Begun() bool { return w.begun }

func (w *Writer) write(data []byte) error {
	w.begun = true
	_, _ = w.sum.Write(data)
	_, err := w.out.Write(data)
	return err
}

func (w *Writer) line(value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return w.write(append(data, '\n'))
}

// Put writes an item.
func (w *Writer) Put(item Item) error {
	if len(item.Data) > maxItem {
		return fmt.Errorf("an item of %d bytes is larger than a backup takes", len(item.Data))
	}
	if err := w.begin(); err != nil {
		return err
	}
	w.items++
	if err := w.line(itemLine{item, len(item.Data)}); err != nil {
		return err
	}
	return w.write(append(item.Data[:len(item.Data):len(item.Data)], '\n'))
}

func (w *Writer) begin() error {
	if w.begun {
		return nil
	}
	return w.line(w.header)
}

// Close writes how the backup ends. What was written before is no backup
// without it.
func (w *Writer) Close() error {
	if err := w.begin(); err != nil {
		return err
	}
	data, err := json.Marshal(endLine{true, w.items, hex.EncodeToString(w.sum.Sum(nil))})
	if err != nil {
		return err
	}
	_, err = w.out.Write(append(data, '\n'))
	return err
}

// ErrCutOff says that a backup does not end as one does.
var ErrCutOff = errors.New("it breaks off: it is not a whole backup")

// Reader reads a backup.
type Reader struct {
	in     *bufio.Reader
	sum    hash.Hash
	header Header
	items  uint64
}

// NewReader returns a reader of a backup that begins as one does.
func NewReader(in io.Reader) (*Reader, error) {
	r := &Reader{in: bufio.NewReaderSize(in, 64<<10), sum: sha256.New()}
	text, err := r.text()
	if errors.Is(err, ErrCutOff) && len(text) == 0 {
		return nil, errors.New("it is empty")
	}
	if err != nil || json.Unmarshal(text, &r.header) != nil {
		return nil, errors.New("it is no backup of a queue")
	}
	_, _ = r.sum.Write(text)
	return r, r.header.check()
}

// Header returns how the backup begins.
func (r *Reader) Header() Header { return r.header }

// text reads one line.
func (r *Reader) text() ([]byte, error) {
	var text []byte
	for {
		part, err := r.in.ReadSlice('\n')
		if len(text)+len(part) > maxLine {
			return text, errors.New("it has a line that is too long to be one of a backup's")
		}
		text = append(text, part...)
		if err == nil {
			return text, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return text, cutOff(err)
		}
	}
}

func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrCutOff
	}
	return err
}

// Next returns the next item. It returns io.EOF after the last of a backup that
// is whole, and is what was written.
func (r *Reader) Next() (Item, error) {
	text, err := r.text()
	if err != nil {
		return Item{}, err
	}
	var l line
	if err := json.Unmarshal(text, &l); err != nil || !l.End && (l.Bytes == nil || *l.Bytes < 0 || *l.Bytes > maxItem) {
		return Item{}, errors.New("it has a line that is none of a backup's")
	}
	if l.End {
		return Item{}, r.end(&l)
	}
	_, _ = r.sum.Write(text)
	item := l.Item
	if (item.Bucket == "") == (item.Kind == "") {
		return Item{}, errors.New("it has an item that is neither a message nor a record")
	}
	// Memory is taken as the bytes come: a length that was made up takes none.
	var data bytes.Buffer
	n, err := io.CopyN(&data, r.in, int64(*l.Bytes)+1)
	if err != nil || n == 0 || data.Bytes()[n-1] != '\n' {
		if err == nil {
			err = errors.New("it has an item that does not end where it says")
		}
		return Item{}, cutOff(err)
	}
	_, _ = r.sum.Write(data.Bytes())
	item.Data = data.Bytes()[:n-1]
	r.items++
	return item, nil
}

func (r *Reader) end(l *line) error {
	if l.Items == nil || *l.Items != r.items || l.SHA256 != hex.EncodeToString(r.sum.Sum(nil)) {
		return errors.New("it is not what was written: its checksum is another")
	}
	if _, err := r.in.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.New("something follows its end")
	}
	return io.EOF
}

// readPart reads items as they are sent to be restored: in a backup's form.
func readPart(data []byte) (Header, []Item, error) {
	r, err := NewReader(bytes.NewReader(data))
	if err != nil {
		return Header{}, nil, err
	}
	var items []Item
	for {
		item, err := r.Next()
		if errors.Is(err, io.EOF) {
			return r.header, items, nil
		}
		if err != nil {
			return Header{}, nil, err
		}
		items = append(items, item)
	}
}
