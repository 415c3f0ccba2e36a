package main

import (
	"errors"
	"os"
	"path/filepath"
)

// cacheDir is where unpacked images and what was found out about bubblewrap
// are kept.
func (f *imageFlags) dir() (string, error) {
	if f.cacheDir != "" {
		return filepath.Abs(f.cacheDir)
	}
	if dir := os.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "oci2bwrap"), nil
	}
	if home := os.Getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".cache", "oci2bwrap"), nil
	}
	return "", &hinted{errors.New("no place for unpacked images: neither HOME nor XDG_CACHE_HOME is set"), "name one with --cache-dir"}
}
