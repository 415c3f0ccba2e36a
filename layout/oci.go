package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	refName    = "org.opencontainers.image.ref.name"
	imageName  = "io.containerd.image.name" // a docker name, beside a refName that is only its tag
	layoutFile = "oci-layout"
	indexFile  = "index.json"
)

// ociImages are the images of an index: of an OCI image layout, as a directory
// or in an archive, or of a "dir" with a manifest list.
type ociImages struct {
	*blobs
	doc   string // what the index is called
	index *v1.IndexManifest
	items []dockerItem // from docker's document about the same images
}

// openOCI reads the documents that make a source an OCI image layout.
func openOCI(src source, limits Limits) (*ociImages, error) {
	b := &blobs{source: src, limits: limits}
	if err := checkLayout(b); err != nil {
		return nil, err
	}
	raw, err := b.file(indexFile)
	if err != nil {
		return nil, err
	}
	index, err := parseIndex(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", indexFile, err)
	}
	items, err := dockerItems(b)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return &ociImages{b, indexFile, index, items}, nil
}

// checkLayout reads the layout's marker file.
func checkLayout(b *blobs) error {
	raw, err := b.file(layoutFile)
	if err != nil {
		return err
	}
	var marker struct {
		Version string `json:"imageLayoutVersion"`
	}
	if err := json.Unmarshal(raw, &marker); err != nil {
		return fmt.Errorf("%s: %w", layoutFile, foreign(err))
	}
	if !strings.HasPrefix(marker.Version, "1.") {
		return fmt.Errorf("%s: imageLayoutVersion is %s, want 1.x", layoutFile, quote(marker.Version))
	}
	return nil
}

// find gathers the manifests that may be meant: those with the wanted tag or
// digest, or all. One in the layout's own index goes before one deeper down,
// which is looked for only then, and docker's names come last.
func (o *ociImages) find(s *selection) error {
	s.doc = o.doc
	top := o.index.Manifests
	if s.tag == "" {
		return o.expand(s, top, candidate{}, 0)
	}
	named := slices.DeleteFunc(slices.Clone(top), func(d v1.Descriptor) bool {
		return d.Annotations[refName] != s.tag && d.Digest.String() != s.tag
	})
	if len(named) > 0 {
		return o.expand(s, named, candidate{}, 0)
	}
	if err := o.expand(s, top, candidate{}, 0); err != nil {
		return err
	}
	has := s.tags()
	for _, fits := range []func(*candidate) bool{
		func(c *candidate) bool { return slices.Contains(c.tags, s.tag) || c.desc.Digest.String() == s.tag },
		func(c *candidate) bool { return namedLike(c.names, s.tag) },
	} {
		if found := filter(s.found, fits); len(found) > 0 {
			s.found = found
			return nil
		}
	}
	if found, err := o.ofItems(s); err != nil || len(found) > 0 {
		s.found = found
		return err
	}
	return s.noTag(append(has, itemNames(o.items)...))
}

func filter(cands []*candidate, fits func(*candidate) bool) []*candidate {
	return slices.DeleteFunc(slices.Clone(cands), func(c *candidate) bool { return !fits(c) })
}

// ofItems returns the candidates that the items named s.tag are about. Both
// documents name an image's config.
func (o *ociImages) ofItems(s *selection) ([]*candidate, error) {
	configs := map[v1.Hash]bool{}
	for n, item := range o.items {
		if item.named(n, s.tag) {
			configs[configDigest(item.Config)] = true
		}
	}
	if len(configs) == 0 {
		return nil, nil
	}
	if err := s.settle(s.usable(), true); err != nil {
		return nil, err
	}
	return filter(s.usable(), func(c *candidate) bool { return configs[c.img.ConfigDigest] }), nil
}

// addItemNames adds the names that docker's document has for the candidates
// that are loaded.
func (o *ociImages) addItemNames(s *selection) {
	for _, c := range s.usable() {
		for _, item := range o.items {
			if c.img != nil && configDigest(item.Config) == c.img.ConfigDigest {
				for _, name := range item.RepoTags {
					c.names = with(c.names, name)
				}
			}
		}
	}
}

// expand adds the manifests of an index, and of the indexes it names, to
// s.found. of has the names of the index itself.
func (o *ociImages) expand(s *selection, descs []v1.Descriptor, of candidate, depth int64) error {
	if depth > o.limits.Depth {
		return &LimitError{"Depth", "indexes are nested too deeply", o.limits.Depth}
	}
	for _, d := range descs {
		// An index may be named many times: it costs each time.
		if s.seen++; s.seen > o.limits.Members {
			return &LimitError{"Members", "indexes name too many manifests", o.limits.Members}
		}
		c := candidate{
			desc:  d,
			tags:  with(of.tags, d.Annotations[refName]),
			names: of.names,
			why:   passOver(d),
		}
		if len(o.items) > 0 {
			c.names = with(of.names, d.Annotations[imageName])
		}
		if c.why != "" || documentKinds[string(d.MediaType)] == kindManifest {
			c.read = func() (*Image, string, error) { return loadManifest(o.blobs, d) }
			s.add(c)
			continue
		}
		raw, err := o.document(d)
		if err != nil {
			return fmt.Errorf("index: %w", err)
		}
		index, err := parseIndex(raw)
		if err != nil {
			return fmt.Errorf("index %s: %w", d.Digest, err)
		}
		if index.ArtifactType != "" {
			c.why = "an artifact of type " + quote(index.ArtifactType)
			s.add(c)
			continue
		}
		if err := o.expand(s, index.Manifests, c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// with returns list with name at its end, if it is a name and not in it.
func with(list []string, name string) []string {
	if name == "" || slices.Contains(list, name) {
		return list
	}
	return append(slices.Clip(list), name)
}
