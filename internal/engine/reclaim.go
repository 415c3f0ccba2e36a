package engine

import (
	"os"
	"path/filepath"
)

// runLink, in an engine's directory, leads to its RunDir.
const runLink = "run"

// NewRunDir makes the RunDir of an engine whose Dir exists.
func (e *Engine) NewRunDir() error {
	// podman takes no long name for it, and TMPDIR may be one.
	dir, err := os.MkdirTemp("/tmp", "oci2bwrap-")
	if err != nil {
		return err
	}
	e.RunDir = dir
	return os.Symlink(dir, filepath.Join(e.Dir, runLink))
}

// Reclaim ends and removes what engines have left whose user was killed: those
// that had directories in dir, each by its name. The directories may stay.
func Reclaim(dir string) {
	for _, name := range Names {
		e := &Engine{Name: name, Dir: filepath.Join(dir, name), made: true}
		if _, err := os.Lstat(e.Dir); err != nil {
			continue
		}
		if Bundled(name) {
			containers, _ := os.ReadDir(e.state())
			for _, c := range containers {
				e.forget(c.Name())
			}
			continue
		}
		e.RunDir, _ = os.Readlink(filepath.Join(e.Dir, runLink))
		e.Close()
	}
}
