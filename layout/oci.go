package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	refName    = "org.opencontainers.image.ref.name"
	layoutFile = "oci-layout"
	indexFile  = "index.json"
)

// openOCI opens an image of an OCI image layout directory.
func openOCI(path, tag string, want v1.Platform, limits Limits) (*Image, error) {
	dir := &blobDir{path: path, limits: limits}
	if err := checkLayout(dir); err != nil {
		return nil, err
	}
	raw, err := dir.file(indexFile)
	if err != nil {
		return nil, err
	}
	index, err := parseIndex(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", indexFile, err)
	}
	s := &selection{dir: dir, tag: tag, want: want}
	if err := s.collect(index.Manifests); err != nil {
		return nil, err
	}
	return s.choose()
}

// checkLayout reads the layout's marker file.
func checkLayout(dir *blobDir) error {
	raw, err := dir.file(layoutFile)
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

// collect gathers the manifests that may be meant: those with the wanted tag,
// or all. A tag on the layout's own index goes before one deeper down, which
// is looked for only then.
func (s *selection) collect(top []v1.Descriptor) error {
	if s.tag == "" {
		return s.expand(top, nil, 0)
	}
	named := slices.DeleteFunc(slices.Clone(top), func(d v1.Descriptor) bool {
		return d.Annotations[refName] != s.tag
	})
	if len(named) > 0 {
		return s.expand(named, nil, 0)
	}
	if err := s.expand(top, nil, 0); err != nil {
		return err
	}
	has := s.tags()
	s.found = slices.DeleteFunc(s.found, func(c *candidate) bool {
		return !slices.Contains(c.tags, s.tag)
	})
	switch {
	case len(s.found) > 0:
		return nil
	case len(has) > 0:
		return fmt.Errorf("no tag %s in %s (has: %s)", quote(s.tag), indexFile, strings.Join(has, ", "))
	}
	return &hinted{
		fmt.Errorf("no tag %s in %s, which has no tags", quote(s.tag), indexFile),
		"without a tag, the only image is meant",
	}
}

// expand adds the manifests of an index, and of the indexes it names, to
// s.found. tags are those of the index itself.
func (s *selection) expand(descs []v1.Descriptor, tags []string, depth int64) error {
	if depth > s.dir.limits.Depth {
		return &LimitError{"Depth", "indexes are nested too deeply", s.dir.limits.Depth}
	}
	for _, d := range descs {
		t := tags
		if name := d.Annotations[refName]; name != "" && !slices.Contains(t, name) {
			t = append(slices.Clip(t), name)
		}
		why := passOver(d)
		if why != "" || documentKinds[string(d.MediaType)] == kindManifest {
			s.add(d, t, why)
			continue
		}
		raw, err := s.dir.document(d)
		if err != nil {
			return fmt.Errorf("index: %w", err)
		}
		index, err := parseIndex(raw)
		if err != nil {
			return fmt.Errorf("index %s: %w", d.Digest, err)
		}
		if index.ArtifactType != "" {
			s.add(d, t, "an artifact of type "+quote(index.ArtifactType))
			continue
		}
		if err := s.expand(index.Manifests, t, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// add notes a manifest once, with all the tags it is found by.
func (s *selection) add(d v1.Descriptor, tags []string, why string) {
	var have *v1.Platform
	if d.Platform != nil && d.Platform.OS != "" && d.Platform.Architecture != "" {
		p := normalise(*d.Platform)
		have = &p
	}
	for _, c := range s.found {
		if c.desc.Digest == d.Digest && samePlatform(c.platform, have) {
			for _, t := range tags {
				if !slices.Contains(c.tags, t) {
					c.tags = append(slices.Clip(c.tags), t)
				}
			}
			return
		}
	}
	s.found = append(s.found, &candidate{desc: d, tags: tags, platform: have, why: why})
}

func samePlatform(a, b *v1.Platform) bool {
	if a == nil || b == nil {
		return a == b
	}
	return platformName(*a) == platformName(*b)
}

var errNoImages = errors.New(indexFile + " names no image")
