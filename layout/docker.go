package layout

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	dockerFile   = "manifest.json"
	legacyFile   = "repositories" // all that docker before 1.10 wrote
	dockerConfig = "application/vnd.docker.container.image.v1+json"
	dockerLayer  = "application/vnd.docker.image.rootfs.diff.tar"
)

// dockerItem is an image in the manifest.json of "docker save".
type dockerItem struct {
	Config   string   // a member of the archive
	RepoTags []string // NAME:TAG
	Layers   []string // members, lowest first
}

// dockerItems reads the manifest.json of a source.
func dockerItems(b *blobs) ([]dockerItem, error) {
	raw, err := b.file(dockerFile)
	if err != nil {
		return nil, err
	}
	items, err := parseDocker(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dockerFile, err)
	}
	return items, nil
}

func parseDocker(raw []byte) ([]dockerItem, error) {
	var items []dockerItem
	if err := json.Unmarshal(raw, &items); err != nil {
		return nil, foreign(err)
	}
	if len(items) == 0 {
		return nil, errors.New("names no image")
	}
	for n, item := range items {
		if item.Config == "" {
			return nil, fmt.Errorf("image %d has no Config", n)
		}
	}
	return items, nil
}

// named says whether tag means the item, the nth: "@n", or one of its names.
func (i *dockerItem) named(n int, tag string) bool {
	return tag == indexLabel(n) || namedLike(i.RepoTags, tag)
}

// indexLabel names the nth image of a docker archive.
func indexLabel(n int) string { return "@" + strconv.Itoa(n) }

// itemNames lists what the images of a docker archive can be named by.
func itemNames(items []dockerItem) []string {
	var names []string
	for n, item := range items {
		if len(item.RepoTags) == 0 {
			names = append(names, indexLabel(n))
		}
		names = append(names, item.RepoTags...)
	}
	return names
}

// namedLike says whether one of names is another spelling of name.
func namedLike(names []string, name string) bool {
	for _, n := range names {
		if dockerName(n) == dockerName(name) {
			return true
		}
	}
	return false
}

// dockerName spells out a docker name: with registry, "library" and "latest"
// where they are left out.
func dockerName(s string) string {
	host, rest, ok := strings.Cut(s, "/")
	switch {
	case ok && (host == "docker.io" || host == "index.docker.io"):
		s = rest
	case ok && (strings.ContainsAny(host, ".:") || host == "localhost"):
		return tagOrLatest(s)
	}
	if !strings.Contains(s, "/") {
		s = "library/" + s
	}
	return tagOrLatest("docker.io/" + s)
}

func tagOrLatest(s string) string {
	if strings.Contains(path.Base(s), ":") {
		return s
	}
	return s + ":latest"
}

// dockerImages are the images of a docker archive.
type dockerImages struct {
	*blobs
	archive *tarball
	items   []dockerItem
}

func openDocker(a *tarball, limits Limits) (*dockerImages, error) {
	b := &blobs{source: a, limits: limits}
	items, err := dockerItems(b)
	if err != nil {
		return nil, err
	}
	return &dockerImages{b, a, items}, nil
}

func (d *dockerImages) find(s *selection) error {
	s.doc = dockerFile
	for n, item := range d.items {
		if s.tag != "" && !item.named(n, s.tag) {
			continue
		}
		s.add(candidate{label: indexLabel(n), names: item.RepoTags, read: func() (*Image, string, error) {
			img, err := d.load(item)
			if err != nil {
				return nil, "", fmt.Errorf("image %s: %w", indexLabel(n), err)
			}
			return img, img.unusable(), nil
		}})
	}
	if len(s.found) == 0 {
		return s.noTag(itemNames(d.items))
	}
	return nil
}

// load reads the config of an item. The diff_ids in it are what its layers are
// verified by.
func (d *dockerImages) load(item dockerItem) (*Image, error) {
	if d.reads++; d.reads > d.limits.Documents {
		return nil, &LimitError{"Documents", "too many documents", d.limits.Documents}
	}
	raw, err := d.file(item.Config)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	sum := sha256.Sum256(raw)
	img := &Image{RawConfig: raw, ConfigDigest: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}}
	if want := configDigest(item.Config); want.Hex != "" && want != img.ConfigDigest {
		return nil, fmt.Errorf("config %s: wrong digest: content is %s", quote(item.Config), img.ConfigDigest)
	}
	diffIDs, err := img.parseConfig()
	if err != nil {
		return nil, fmt.Errorf("config %s: %w", quote(item.Config), err)
	}
	if len(diffIDs) != len(item.Layers) {
		return nil, fmt.Errorf("%s has %d layers, config has %d diff_ids", dockerFile, len(item.Layers), len(diffIDs))
	}
	for n, name := range item.Layers {
		l, err := d.layer(name, diffIDs[n])
		if err != nil {
			return nil, fmt.Errorf("layer %d: %w", n+1, err)
		}
		img.Layers = append(img.Layers, l)
	}
	return img, nil
}

// layer describes the layer in a member. Its digest is known when it isn't
// compressed, or when it is the member's name.
func (d *dockerImages) layer(name string, diffID v1.Hash) (Layer, error) {
	m, err := d.archive.find(name)
	if err != nil {
		return Layer{}, err
	}
	compression, err := d.archive.compression(m)
	if err != nil {
		return Layer{}, fmt.Errorf("%s: %w", quote(name), err)
	}
	l := Layer{MediaType: dockerLayer, DiffID: diffID, Size: m.size}
	if compression != "" {
		l.MediaType += "." + compression
	}
	l.open = func() (io.ReadCloser, error) { return d.archive.reader(m), nil }
	if digest, err := v1.NewHash(strings.Replace(strings.TrimPrefix(path.Clean(name), "blobs/"), "/", ":", 1)); err == nil {
		l.Digest = digest
		l.open = func() (io.ReadCloser, error) { return d.blob(v1.Descriptor{Digest: digest, Size: m.size}) }
	} else if compression == "" {
		l.Digest = diffID // checked as such
	}
	return l, nil
}

// configDigest is the digest that a config's name says it has, or the zero
// Hash: HEX.json, sha256:HEX or blobs/sha256/HEX.
func configDigest(name string) v1.Hash {
	name = strings.TrimSuffix(path.Clean(name), ".json")
	for _, prefix := range []string{"blobs/sha256/", "sha256:"} {
		name = strings.TrimPrefix(name, prefix)
	}
	h, err := v1.NewHash("sha256:" + name)
	if err != nil {
		return v1.Hash{}
	}
	return h
}
