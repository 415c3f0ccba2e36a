package layout

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// StorePath is an entry of the image's /nix/store.
type StorePath struct {
	Name   string // in /nix/store
	Source string // absolute, on the host
	Link   string // the target, where it is a symlink
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
	there, err := checkThere(img.nix[n:])
	if err != nil {
		return nil, err
	}
	var base *Rootfs
	lower := ""
	if n > 0 {
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
	root.join(base, there)
	return root, nil
}

// nixKey names what is made for an image in the cache: by all that the image
// JSON says about its layers, because nothing of the store is read to know.
func (s *Store) nixKey(img *Image) string {
	h := sha256.New()
	_ = json.NewEncoder(h).Encode(img.nix) // of strings and numbers; a Hash takes all
	return "nix-" + hex.EncodeToString(h.Sum(nil)) + "-" + s.Ownership.name()
}

// join puts together the parts of a root; base may be nil. links are the
// targets of the store paths that are symlinks.
func (r *Rootfs) join(base *Rootfs, links map[string]string) {
	made := r.Dirs[0]
	var dirs []string
	if base != nil {
		dirs = base.Dirs
		r.Skipped = append(slices.Clip(base.Skipped), r.Skipped...)
		r.below = base
		if r.Owner == nil {
			r.Owner = base.Owner
		}
	}
	r.Dirs = append(append(slices.Clip(dirs), r.parts.Merged...), made)
	r.Owned = r.Owned && len(r.parts.Merged) == 0
	if r.parts.Store == nil {
		return
	}
	r.Store = make([]StorePath, 0, len(r.parts.Store))
	for _, p := range r.parts.Store {
		source, link := nixStoreDir, links[nixStoreDir+"/"+p.Name]
		switch p.In {
		case partBase:
			source = filepath.Join(dirs[0], nixStoreDir)
		case partMade:
			source = filepath.Join(made, nixStoreDir)
		}
		r.Store = append(r.Store, StorePath{p.Name, source + "/" + p.Name, link})
	}
}

// checkThere looks for every store path, so that one that is missing has its
// name in the message, and not in the sandbox's. It gives the targets of those
// that are symlinks.
func checkThere(layers []nixLayer) (links map[string]string, err error) {
	var missing []string
	links = map[string]string{}
	for _, l := range layers {
		for n := range l.Paths {
			p := &l.Paths[n]
			info, err := os.Lstat(p.Path)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				missing = append(missing, p.Path)
			case err != nil:
				return nil, err
			case info.Mode()&fs.ModeSymlink != 0:
				if links[p.Path], err = os.Readlink(p.Path); err != nil {
					return nil, err
				}
			}
		}
	}
	if len(missing) > 0 {
		return nil, missingPaths(missing)
	}
	return links, nil
}
