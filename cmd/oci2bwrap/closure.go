package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/internal/nixstore"
	"github.com/oci2bwrap/oci2bwrap/layout"
)

const (
	closuresDir  = "closures"
	closureMagic = "oci2bwrap closure 1"
	closureFor   = 30 * 24 * time.Hour
	mostClosure  = 16 << 20 // bytes of what is kept of one
	mostScanned  = 8 << 30  // bytes of store paths read where Nix can't be asked
)

// closureOf gives the closure of store paths and who knows it: Nix, or else
// the paths themselves. A store path never changes, so the answer is kept in
// cache, unless that is "". An error beside a why says that it is known, and not
// all there.
func closureOf(ctx context.Context, roots []string, cache string) (paths []layout.StorePath, why string, err error) {
	file := closureFile(cache, roots)
	if names, why := readClosure(file); why != "" {
		if paths, err := layout.StorePaths(names); err == nil {
			return paths, why, nil
		} // else something is gone: who is asked now says what
	}
	names, err := nixstore.Requisites(ctx, roots, os.Environ())
	why = nixstore.Program
	if err != nil {
		why = "references in its files"
		scanned, scanErr := nixstore.Scan(ctx, convert.StoreDir, roots, mostScanned)
		if scanErr != nil {
			return nil, "", fmt.Errorf("%w; %w", err, scanErr)
		}
		names = scanned
	}
	if paths, err = layout.StorePaths(names); err == nil {
		keepClosure(file, names, why)
	}
	return paths, why, err
}

// closureFile names what is kept of the closure of roots. A path that was
// removed and built anew is another file.
func closureFile(cache string, roots []string) string {
	if cache == "" {
		return ""
	}
	h := sha256.New()
	for _, root := range roots {
		info, err := os.Lstat(root)
		if err != nil {
			return ""
		}
		st := info.Sys().(*syscall.Stat_t)
		fmt.Fprintf(h, "%s %d %d %v\n", root, st.Dev, st.Ino, st.Ctim)
	}
	return filepath.Join(cache, closuresDir, hex.EncodeToString(h.Sum(nil)))
}

// readClosure reads what is kept; why is "" where nothing is, or where somebody
// else could have written it.
func readClosure(file string) (paths []string, why string) {
	f, err := os.Open(file)
	if err != nil {
		return nil, ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() > mostClosure {
		return nil, ""
	}
	if st := info.Sys().(*syscall.Stat_t); st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return nil, ""
	}
	raw, err := io.ReadAll(f)
	if err != nil || len(raw) < sha256.Size {
		return nil, ""
	}
	body, sum := raw[:len(raw)-sha256.Size], raw[len(raw)-sha256.Size:]
	if have := sha256.Sum256(body); !bytes.Equal(have[:], sum) {
		return nil, "" // written when the machine stopped
	}
	lines := strings.Split(string(body), "\n")
	if len(lines) < 3 || lines[0] != closureMagic {
		return nil, ""
	}
	return lines[2:], lines[1]
}

// keepClosure keeps it, and removes what is old. It is a convenience: that the
// cache can't be written to is no error.
func keepClosure(file string, paths []string, why string) {
	dir := filepath.Dir(file)
	if file == "" || os.MkdirAll(dir, 0o700) != nil {
		return
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > closureFor {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	body := []byte(strings.Join(slices.Concat([]string{closureMagic, why}, paths), "\n"))
	sum := sha256.Sum256(body)
	f, err := os.CreateTemp(dir, "new.")
	if err != nil {
		return
	}
	_, err = f.Write(append(body, sum[:]...))
	if errors.Join(err, f.Close()) != nil || os.Rename(f.Name(), file) != nil {
		_ = os.Remove(f.Name())
	}
}
