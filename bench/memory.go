package bench

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// watchMemory begins to watch the process's resident memory; the function that it
// returns tells the peak since then, in MiB, and 0 where the system does not. Where
// the system does not let the peak be forgotten, it is that of the process's life.
func watchMemory() (peak func() int64) {
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // see proc_pid_clear_refs(5)
	return func() int64 {
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			return 0
		}
		_, rest, _ := strings.Cut(string(status), "VmHWM:")
		kibibytes, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		n, _ := strconv.ParseInt(kibibytes, 10, 64)
		return n >> 10
	}
}

// onDisk is what files hold, in MiB. They may come and go meanwhile.
func onDisk(dir string) (mebibytes int64, err error) {
	bytes := int64(0)
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		var info fs.FileInfo
		if err == nil && d.Type().IsRegular() {
			if info, err = d.Info(); err == nil {
				bytes += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return bytes >> 20, err
}
