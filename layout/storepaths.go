package layout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	ispec "github.com/opencontainers/image-spec/specs-go/v1"
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

// StoreReferences gives the store paths that directories are in, that symlinks
// in them lead to, or that the config names, sorted: what a closure begins
// with. Directories outside of the store are looked through as far as mostLinks
// files.
func StoreReferences(ctx context.Context, dirs []string, config ispec.ImageConfig) ([]string, error) {
	if _, err := os.Lstat(nixStoreDir); err != nil {
		return nil, nil
	}
	found, err := namedPaths(config)
	if err != nil {
		return nil, err
	}
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
			if target, err := os.Readlink(file); err == nil {
				note(found, storePathOf(target))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// namedPaths are the store paths that a config has in its strings, such as an
// entrypoint that lies in no root.
func namedPaths(config ispec.ImageConfig) (map[string]bool, error) {
	raw, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, p := range regexp.MustCompile(nixStoreDir+`/[0-9a-df-np-sv-z]{32}-[0-9A-Za-z+._?=-]+`).FindAll(raw, -1) {
		note(found, string(p))
	}
	return found, nil
}

// note adds a store path that is there.
func note(found map[string]bool, p string) {
	if _, err := os.Lstat(p); p != "" && err == nil {
		found[p] = true
	}
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
