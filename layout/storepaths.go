package layout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	storePathsFile = "store-paths"
	mostLinks      = 100_000 // files looked at for links into the store
)

// StorePaths looks at store paths, each directly below /nix/store, and sorts
// them by name. The error names those that are missing, and the remedy.
func StorePaths(paths []string) ([]StorePath, error) {
	var missing []string
	found := make([]StorePath, 0, len(paths))
	for _, p := range paths {
		name, ok := strings.CutPrefix(p, nixStoreDir+"/")
		if !ok || name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
			return nil, fmt.Errorf("%s is no store path", quote(p))
		}
		s := StorePath{Name: name, Source: p}
		info, err := os.Lstat(p)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, p)
			continue
		case err != nil:
			return nil, err
		case info.Mode()&fs.ModeSymlink != 0:
			if s.Link, err = os.Readlink(p); err != nil {
				return nil, err
			}
		}
		found = append(found, s)
	}
	if len(missing) > 0 {
		return nil, missingPaths(missing)
	}
	slices.SortFunc(found, func(a, b StorePath) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(found, func(a, b StorePath) bool { return a.Name == b.Name }), nil
}

// recordedPaths reads the closure that lies beside an unpacked image, one
// store path a line as Nix's closureInfo writes it; nil for none.
func recordedPaths(dir string, limits Limits) ([]string, error) {
	raw, err := readDocument(filepath.Join(dir, storePathsFile), false, limits)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return strings.Fields(string(raw)), err
}

// StoreReferences gives the store paths that directories are in, or that
// symlinks in them lead to, sorted: what a closure begins with. Directories
// outside of the store are looked through as far as mostLinks files.
func StoreReferences(ctx context.Context, dirs []string) ([]string, error) {
	if _, err := os.Lstat(nixStoreDir); err != nil {
		return nil, nil
	}
	found := map[string]bool{}
	left := mostLinks
	for _, dir := range dirs {
		if p := storePathOf(dir); p != "" {
			found[p] = true
			continue
		}
		err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
			if left--; left < 0 {
				return fs.SkipAll
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil || d.Type()&fs.ModeSymlink == 0 {
				return nil // what can't be read leads nowhere
			}
			target, err := os.Readlink(file)
			if p := storePathOf(target); err == nil && p != "" {
				if _, err := os.Lstat(p); err == nil {
					found[p] = true
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	var paths []string
	for p := range found {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths, nil
}

// storePathOf is the store path that a name is or lies in, "" for none.
func storePathOf(name string) string {
	rest, ok := strings.CutPrefix(filepath.Clean(name), nixStoreDir+"/")
	if !ok {
		return ""
	}
	first, _, _ := strings.Cut(rest, "/")
	return nixStoreDir + "/" + first
}
