package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"bahi/domain"
)

// searchedPeople is how many people's particulars the demo looks for.
const searchedPeople = 40

// search reads every file of the ledger and of its keys, and looks for what was
// told about some of the story's people.
func (s *story) search() (people int, read int64, err error) {
	var needles [][]byte
	for i := 0; i < len(s.Before) && people < searchedPeople; i += len(s.Before) / searchedPeople / 2 {
		if r, ok := s.Before[i].(domain.Registration); ok {
			people++
			for _, told := range []string{r.Name, r.Mobile, r.PhotoID.Number, string(r.Person)} {
				needles = append(needles, []byte(told))
			}
		}
	}
	for _, dir := range []string{s.data, s.data + "-keys"} {
		n, err := searchFiles(dir, needles)
		if read += n; err != nil {
			return people, read, err
		}
	}
	return people, read, nil
}

func searchFiles(dir string, needles [][]byte) (read int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed by a compaction since it was listed
		}
		if err != nil {
			return err
		}
		read += int64(len(content))
		for _, needle := range needles {
			if bytes.Contains(content, needle) {
				return fmt.Errorf("personal data found in %s", path)
			}
		}
		return nil
	})
	return read, err
}
