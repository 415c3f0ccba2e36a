package layout

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// StorePath is an entry of the image's /nix/store.
type StorePath struct {
	Name   string // in /nix/store
	Source string // absolute, on the host: a directory, file or symlink
}

// rootParts are what a root consists of beside the directory in the cache.
type rootParts struct {
	Merged []string    `json:"merged"` // store paths whose files lie at /, lowest first
	Store  []storePart `json:"store"`  // sorted by name; null = /nix/store is that of the directories
}

// storePart is an entry of the image's /nix/store and where its files lie.
type storePart struct {
	Name string `json:"name"`
	In   string `json:"in"` // partStore, partBase or partMade
}

const (
	partStore = ""     // where the store has it
	partBase  = "base" // in the root of the image's base
	partMade  = "made" // in the directory that was made
)

// errAsLayers says that an image can only be had by applying its layers.
var errAsLayers = errors.New("not to be had from the store")

// nixRootfs is the root of an image of store paths. They are used where they
// lie; what the image has otherwise than the store, such as other modes, is in
// a directory of the cache, and what archives hold in another.
func (s *Store) nixRootfs(ctx context.Context, img *Image) (*Rootfs, error) {
	n := slices.IndexFunc(img.nix, func(l nixLayer) bool { return l.LayerPath == "" })
	if n < 0 || slices.ContainsFunc(img.nix[n:], func(l nixLayer) bool { return l.LayerPath != "" }) {
		return s.unpacked(ctx, img, s.key(img))
	}
	if err := checkThere(img.nix[n:]); err != nil {
		return nil, err
	}
	var base *Rootfs
	lower := ""
	if n > 0 {
		var err error
		below := &Image{Name: img.Name, Layers: img.Layers[:n]}
		if base, err = s.unpacked(ctx, below, s.key(below)); err != nil {
			return nil, err
		}
		lower = base.Dirs[0]
	}
	made := &Image{Name: img.Name}
	made.compose = func(ctx context.Context) ([]Layer, *rootParts, error) {
		return compose(ctx, img.nix[n:], lower)
	}
	root, err := s.unpacked(ctx, made, s.nixKey(img))
	if err != nil {
		if base != nil {
			err = also(err, base.Close())
		}
		if errors.Is(err, errAsLayers) {
			return s.unpacked(ctx, img, s.key(img))
		}
		return nil, err
	}
	root.join(base)
	return root, nil
}

// nixKey names what is made for an image in the cache: by all that the image
// JSON says about its layers, because nothing of the store is read to know.
func (s *Store) nixKey(img *Image) string {
	h := sha256.New()
	_ = json.NewEncoder(h).Encode(img.nix) // of strings and numbers; a Hash takes all
	return "nix-" + hex.EncodeToString(h.Sum(nil)) + "-" + s.Ownership.name()
}

// join puts together the parts of a root; base may be nil.
func (r *Rootfs) join(base *Rootfs) {
	made := r.Dirs[0]
	var dirs []string
	if base != nil {
		dirs = base.Dirs
		r.Skipped = append(slices.Clip(base.Skipped), r.Skipped...)
		r.below = base
	}
	r.Dirs = append(append(slices.Clip(dirs), r.parts.Merged...), made)
	r.Owned = r.Owned && len(r.parts.Merged) == 0
	if r.parts.Store == nil {
		return
	}
	r.Store = make([]StorePath, 0, len(r.parts.Store))
	for _, p := range r.parts.Store {
		source := nixStoreDir
		switch p.In {
		case partBase:
			source = filepath.Join(dirs[0], nixStoreDir)
		case partMade:
			source = filepath.Join(made, nixStoreDir)
		}
		r.Store = append(r.Store, StorePath{p.Name, source + "/" + p.Name})
	}
}

// checkThere looks for every store path, so that one that is missing has its
// name in the message, and not in the sandbox's.
func checkThere(layers []nixLayer) error {
	var missing []string
	for _, l := range layers {
		for n := range l.Paths {
			p := &l.Paths[n]
			if _, err := os.Lstat(p.Path); errors.Is(err, fs.ErrNotExist) && !slices.Contains(missing, p.Path) {
				missing = append(missing, p.Path)
			} else if err != nil {
				return err
			}
		}
	}
	if len(missing) > 0 {
		return missingPaths(missing)
	}
	return nil
}

// composer finds out what of an image is to be made.
type composer struct {
	base   string            // directory of the lower layers; "" = none
	want   *nixNode          // the image's files, but for plain paths
	merged []string          // as in rootParts
	store  map[string]string // entries of /nix/store and where they are
	walked map[string]bool   // names in /nix/store that have files in want
}

// compose makes the layer of all that can't be had from the store or the base
// as it is, which may be little more than /, and says what goes with it.
func compose(ctx context.Context, layers []nixLayer, base string) ([]Layer, *rootParts, error) {
	c := &composer{base: base, want: &nixNode{}, store: map[string]string{}, walked: map[string]bool{}}
	trees := make([]*nixNode, len(layers))
	for n := range layers {
		trees[n] = &nixNode{}
		for i := range layers[n].Paths {
			if p := &layers[n].Paths[i]; !p.plain() {
				if err := c.walk(ctx, trees[n], p); err != nil {
					return nil, nil, err
				}
			}
		}
	}
	if err := c.baseStore(); err != nil {
		return nil, nil, err
	}
	for n := range layers {
		for i := range layers[n].Paths {
			if p := &layers[n].Paths[i]; p.plain() {
				if err := c.bind(ctx, trees[n], p); err != nil {
					return nil, nil, err
				}
			}
		}
	}
	for _, tree := range trees {
		if err := c.want.put(tree); err != nil {
			return nil, nil, err
		}
	}
	made, err := c.made()
	if err != nil {
		return nil, nil, err
	}
	layer, err := madeLayer(ctx, made)
	if err != nil {
		return nil, nil, err
	}
	return []Layer{layer}, c.parts(), nil
}

// walk adds a path with options to its layer's tree, and sees whether its
// files lie in the image as they do below it.
func (c *composer) walk(ctx context.Context, tree *nixNode, p *nixPath) error {
	if err := tree.addPath(ctx, p); err != nil {
		return err
	}
	rooted := true
	err := filepath.WalkDir(p.Path, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasPrefix(d.Name(), whiteoutPrefix) {
			return errAsLayers
		}
		place := p.Options.place(file)
		if place != "" && !path.IsAbs(place) || strings.Contains(place, "..") {
			return errAsLayers
		}
		below := path.Clean("/" + strings.TrimPrefix(file, p.Path))
		if path.Clean(cmp.Or(place, "/")) != below || place == "" && below != "/" || !d.IsDir() && below == "/" {
			rooted = false
		}
		if rest, ok := strings.CutPrefix(path.Clean(place), nixStoreDir+"/"); ok {
			name, _, _ := strings.Cut(rest, "/")
			c.walked[name] = true
		}
		return nil
	})
	if rooted && !slices.Contains(c.merged, p.Path) {
		c.merged = append(c.merged, p.Path)
	}
	return err
}

// baseStore notes what the base has in its own /nix/store.
func (c *composer) baseStore() error {
	if c.base == "" {
		return nil
	}
	entries, err := os.ReadDir(filepath.Join(c.base, nixStoreDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		c.store[e.Name()] = partBase
	}
	return err
}

// bind has a path without options used where it lies, unless the image has
// other files in it as well.
func (c *composer) bind(ctx context.Context, tree *nixNode, p *nixPath) error {
	name := strings.TrimPrefix(p.Path, nixStoreDir+"/")
	if !strings.Contains(name, "/") && !c.walked[name] && c.store[name] != partBase {
		c.store[name] = partStore
		tree.at(nixStoreDir) // the layer has the directories above it
		return nil
	}
	name, _, _ = strings.Cut(name, "/")
	c.walked[name] = true
	return tree.addPath(ctx, p)
}

// parts says what goes with the directory that is made.
func (c *composer) parts() *rootParts {
	r := &rootParts{Merged: c.merged}
	for name := range c.walked {
		c.store[name] = partMade
	}
	if !slices.Contains(slices.Collect(maps.Values(c.store)), partStore) {
		return r
	}
	for name, in := range c.store {
		r.Store = append(r.Store, storePart{name, in})
	}
	slices.SortFunc(r.Store, func(a, b storePart) int { return strings.Compare(a.Name, b.Name) })
	return r
}

// madeLayer is the layer of what is made. It is written once to know its
// digest, and again by who unpacks it.
func madeLayer(ctx context.Context, made *nixNode) (Layer, error) {
	h := sha256.New()
	var n tally
	if err := writeNix(ctx, io.MultiWriter(h, &n), made); err != nil {
		return Layer{}, err
	}
	digest := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
	return Layer{
		MediaType: ispec.MediaTypeImageLayer, Digest: digest, DiffID: digest, Size: int64(n),
		open: func() (io.ReadCloser, error) {
			r, w := io.Pipe()
			go func() { w.CloseWithError(writeNix(ctx, w, made)) }()
			return r, nil
		},
	}, nil
}

// put applies a layer's tree, as an archive's entries would be.
func (n *nixNode) put(layer *nixNode) error {
	for name, from := range layer.children {
		if n.children == nil {
			n.children = map[string]*nixNode{}
		}
		to := n.children[name]
		if to == nil || !to.isDir() || !from.isDir() {
			to = &nixNode{}
			n.children[name] = to
		}
		to.info, to.source, to.options = from.info, from.source, from.options
		if !from.isDir() && len(from.children) > 0 {
			return fmt.Errorf("%s has files below it: %w", quote(from.source), errAsLayers)
		}
		if err := to.put(from); err != nil {
			return err
		}
	}
	return nil
}

func (n *nixNode) isDir() bool { return n.info == nil || n.info.IsDir() }
