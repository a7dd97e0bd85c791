package store

import (
	"io"
	"os"
)

// joinedFiles reads files as if they were one.
type joinedFiles struct {
	files []*os.File
	ends  []int64
	size  int64
}

func joined(files []*os.File) (*joinedFiles, error) {
	j := &joinedFiles{files: files}
	for _, file := range files {
		info, err := file.Stat()
		if err != nil {
			return nil, err
		}
		j.size += info.Size()
		j.ends = append(j.ends, j.size)
	}
	return j, nil
}

// ReadAt reads across the files' borders.
func (j *joinedFiles) ReadAt(p []byte, at int64) (n int, err error) {
	begin := int64(0)
	for i, end := range j.ends {
		if at+int64(n) < end && n < len(p) {
			want := p[n:min(int64(len(p)), int64(n)+end-at-int64(n))]
			got, err := j.files[i].ReadAt(want, at+int64(n)-begin)
			n += got
			if got < len(want) {
				return n, err
			}
		}
		begin = end
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
