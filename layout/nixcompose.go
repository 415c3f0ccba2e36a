package layout

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	layer, err := madeLayer(ctx, made, io.Discard)
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
// digest, also to count, and again by who unpacks it.
func madeLayer(ctx context.Context, made *nixNode, count io.Writer) (Layer, error) {
	h := sha256.New()
	var n tally
	if err := writeNix(ctx, io.MultiWriter(h, &n, count), made); err != nil {
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
