package layout

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	configFile = "config.json"
	layersName = "layers"
)

// openLayers opens an unpacked image: config.json beside rootfs/ or layers/.
func openLayers(path string, limits Limits) (images, error) {
	img := &Image{}
	if err := img.readConfig(filepath.Join(path, configFile), false, limits); err != nil {
		return nil, inside(path, err)
	}
	_, rootErr := os.Lstat(filepath.Join(path, rootfsName))
	_, layersErr := os.Lstat(filepath.Join(path, layersName))
	var err error
	switch {
	case rootErr == nil && layersErr == nil:
		return nil, fmt.Errorf("has both %s and %s: one of them is the image", rootfsName, layersName)
	case rootErr == nil:
		img.Dirs, err = realDirs([]string{filepath.Join(path, rootfsName)})
	case layersErr == nil:
		img.layered = true
		img.Dirs, err = layerDirs(filepath.Join(path, layersName), limits)
	default:
		return nil, fmt.Errorf("has neither %s nor %s beside %s", rootfsName, layersName, configFile)
	}
	if err == nil {
		img.StorePaths, err = recordedPaths(path, limits)
	}
	if err != nil {
		return nil, inside(path, err)
	}
	return one{img, configFile}, nil
}

// layerDirs lists the directories in layers/, lowest first.
func layerDirs(path string, limits Limits) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("%s: empty", path)
	}
	if n := int64(len(entries)); n > limits.Members {
		return nil, &LimitError{"Members", path + ": too many directories", limits.Members}
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return natural(a.Name(), b.Name()) })
	var dirs []string
	for _, e := range entries {
		dirs = append(dirs, filepath.Join(path, e.Name()))
	}
	return realDirs(dirs)
}

// realDirs resolves paths to directories.
func realDirs(paths []string) ([]string, error) {
	var dirs []string
	for _, path := range paths {
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		dir, err := filepath.EvalSymlinks(abs)
		if err != nil {
			return nil, linkError(path, err)
		}
		info, err := os.Stat(dir)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			return nil, fmt.Errorf("%s: neither a directory nor a link to one", path)
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// linkError names the link that can't be followed, and not only what it leads
// to.
func linkError(path string, err error) error {
	target, lerr := os.Readlink(path)
	if lerr != nil {
		return err
	}
	var cause *os.PathError
	switch {
	case errors.As(err, &cause):
		err = cause.Err
	case strings.HasPrefix(err.Error(), "EvalSymlinks: "): // of which filepath has no error of its own
		err = unix.ELOOP
	}
	return fmt.Errorf("%s: a link to %s: %w", path, quote(target), err)
}

// inside leaves the image's own path, which every message has, out of the
// names of what lies in it.
func inside(path string, err error) error {
	var p *os.PathError
	if errors.As(err, &p) && strings.HasPrefix(p.Path, path+"/") {
		return fmt.Errorf("%s: %w", strings.TrimPrefix(p.Path, path+"/"), p.Err)
	}
	s := err.Error()
	if rest, ok := strings.CutPrefix(s, path+"/"); ok {
		return &renamed{rest, err}
	}
	return err
}

// renamed is an error with another text.
type renamed struct {
	text string
	error
}

func (r *renamed) Error() string { return r.text }
func (r *renamed) Unwrap() error { return r.error }

// natural compares names as people order them: runs of digits by their value.
func natural(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		nx, ny := digits(x), digits(y)
		if nx == 0 || ny == 0 {
			if x[0] != y[0] {
				return cmp.Compare(x[0], y[0])
			}
			x, y = x[1:], y[1:]
			continue
		}
		vx, vy := strings.TrimLeft(x[:nx], "0"), strings.TrimLeft(y[:ny], "0")
		if c := cmp.Or(cmp.Compare(len(vx), len(vy)), cmp.Compare(vx, vy)); c != 0 {
			return c
		}
		x, y = x[nx:], y[ny:]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(a, b))
}

// digits is how many digits s begins with.
func digits(s string) int {
	return len(s) - len(strings.TrimLeft(s, "0123456789"))
}

// openRootfs opens directories with a config given beside them.
func openRootfs(path string, o OpenOptions) (images, error) {
	img := &Image{}
	var err error
	if o.Config == "" {
		err = img.setConfig([]byte("{}"))
	} else {
		err = img.readConfig(o.Config, true, o.Limits)
	}
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if img.Dirs, err = realDirs(append([]string{path}, o.Rootfs...)); err != nil {
		return nil, err
	}
	return one{img, "the directory"}, nil
}

// openBundle opens an OCI runtime bundle (runtime-spec, bundle.md).
func openBundle(path string, limits Limits) (images, error) {
	raw, err := readDocument(filepath.Join(path, configFile), false, limits)
	if err != nil {
		return nil, inside(path, err)
	}
	var doc struct {
		Version *string `json:"ociVersion"`
		Root    *struct {
			Path string `json:"path"`
		} `json:"root"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", configFile, foreign(err))
	}
	switch {
	case doc.Version == nil || *doc.Version == "":
		return nil, fmt.Errorf("%s: no ociVersion: not a runtime bundle's", configFile)
	case doc.Root == nil || doc.Root.Path == "":
		return nil, fmt.Errorf("%s: no root.path", configFile)
	case strings.ContainsRune(doc.Root.Path, 0):
		return nil, fmt.Errorf("%s: root.path has a NUL byte", configFile)
	}
	root := doc.Root.Path
	if !filepath.IsAbs(root) {
		root = filepath.Join(path, root)
	}
	dirs, err := realDirs([]string{root})
	if err != nil {
		return nil, fmt.Errorf("%s: root.path: %w", configFile, inside(path, err))
	}
	return one{&Image{Bundle: raw, Dirs: dirs}, configFile}, nil
}

// isBundle says whether the config.json in a directory has an ociVersion at
// its top. A document that can't be parsed is left to who opens it.
func isBundle(path string, limits Limits) (bool, error) {
	raw, err := readDocument(filepath.Join(path, configFile), false, limits)
	if err != nil {
		return false, inside(path, err)
	}
	var doc struct {
		Version json.RawMessage `json:"ociVersion"`
	}
	_ = json.Unmarshal(raw, &doc)
	return doc.Version != nil, nil
}

// BundleConfig gives the config.json of what Open would take for a runtime
// bundle, nil of anything else. What it names need not be there: its root may
// be out of reach for a caller who has not entered its namespaces yet.
func BundleConfig(ref Ref, limits Limits) []byte {
	if ref.Transport != "" && ref.Transport != "bundle" {
		return nil
	}
	limits = limits.withDefaults()
	raw, err := readDocument(filepath.Join(ref.Path, configFile), false, limits)
	if err != nil {
		return nil // most images have none, and need not be looked at twice
	}
	if ref.Transport == "" {
		if form, err := recogniseDir(ref.Path, limits); err != nil || form != "bundle" {
			return nil
		}
	}
	return raw
}
