package layout

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// ExportOptions say how an image is written.
type ExportOptions struct {
	Tag      string // org.opencontainers.image.ref.name; "" = none
	Compress string // "gzip" or "zstd" for layers that are not compressed; "" = as they are
	Limits   Limits

	// StorePaths are store paths that the image's directories refer to, for a
	// layer of their own, the lowest.
	StorePaths []string

	// Progress, if not nil, is told some ten times a second, from another
	// goroutine but never after Export has returned.
	Progress func(Progress)
}

// Export writes img into the OCI image layout at dir, which is made where it
// isn't there. In one that is there the image takes over its tag, and all else
// stays. Blobs are written as they are stored, and verified; store paths
// become the layers that nix2container pushes; directories become layers that
// are the same whoever writes them: names sorted, times the image's creation
// or else the epoch, the caller's files root's. It returns the manifest.
func Export(ctx context.Context, img *Image, dir string, o ExportOptions) (ispec.Descriptor, error) {
	var none ispec.Descriptor
	if o.Compress != "" && o.Compress != "gzip" && o.Compress != "zstd" {
		return none, fmt.Errorf("compression %s is not known (has: gzip, zstd)", quote(o.Compress))
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return none, err
	}
	place, err := placeFor(dir)
	if err != nil {
		return none, err
	}
	e := &exporter{ExportOptions: o, dir: place}
	manifest, err := e.image(ctx, img)
	if err == nil {
		err = e.enter(manifest)
	}
	if err == nil && place != dir {
		err = os.Rename(place, dir)
	}
	if err != nil && place != dir {
		err = also(err, removePath(place))
	}
	return manifest, destError(err)
}

// placeFor is where a layout is written: at dir if there is one already, and
// else beside it, for it to appear complete.
func placeFor(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0:
		place, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".")
		if err != nil {
			return "", err
		}
		return place, os.Chmod(place, 0o755)
	case err != nil:
		return "", err
	}
	if err := checkLayout(&blobs{source: directory(dir), limits: Limits{}.withDefaults()}); err != nil {
		return "", &hinted{fmt.Errorf("%s: is no OCI image layout that an image could be added to: %w", dir, err), "name a directory that does not exist"}
	}
	return dir, nil
}

// exporter writes one image.
type exporter struct {
	ExportOptions
	dir string // the layout's
}

// image writes all blobs of the image and returns its manifest.
func (e *exporter) image(ctx context.Context, img *Image) (ispec.Descriptor, error) {
	var none ispec.Descriptor
	layers, raw, err := e.contents(ctx, img)
	if err != nil {
		return none, err
	}
	m := ispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ispec.MediaTypeImageManifest,
		Layers: []ispec.Descriptor{}, Annotations: img.Annotations,
	}
	count := newMeter(e.Progress, Writing, layers, 1)
	defer count.stop()
	for n := range layers {
		count.begin(n + 1)
		d, err := e.layer(ctx, &layers[n], count)
		if err != nil {
			return none, fmt.Errorf("layer %d (%s): %w", n+1, layers[n].label(), err)
		}
		m.Layers = append(m.Layers, d)
	}
	if m.Config, err = e.document(ispec.MediaTypeImageConfig, raw); err != nil {
		return none, err
	}
	doc := img.rawManifest
	if !sameManifest(doc, &m) {
		if doc, err = json.Marshal(m); err != nil {
			return none, err
		}
	}
	return e.document(ispec.MediaTypeImageManifest, doc)
}

// sameManifest says that a manifest as stored says what m does, so that it can
// keep its digest.
func sameManifest(raw []byte, m *ispec.Manifest) bool {
	var have ispec.Manifest
	if json.Unmarshal(raw, &have) != nil || have.MediaType != "" && have.MediaType != m.MediaType || have.Config.Digest != m.Config.Digest || have.Config.MediaType != m.Config.MediaType {
		return false
	}
	return slices.EqualFunc(have.Layers, m.Layers, func(a, b ispec.Descriptor) bool {
		return a.Digest == b.Digest && a.MediaType == b.MediaType && a.Size == b.Size
	})
}

// document writes a JSON document as a blob.
func (e *exporter) document(mediaType string, raw []byte) (ispec.Descriptor, error) {
	d := ispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	b, err := e.newBlob()
	if err != nil {
		return d, err
	}
	_, err = b.Write(raw)
	return d, b.finish(d.Digest, err)
}

// contents are the image's layers and its config. Where there are directories,
// their layers are what the config names.
func (e *exporter) contents(ctx context.Context, img *Image) ([]Layer, []byte, error) {
	if img.Dirs == nil {
		return img.Layers, img.RawConfig, nil
	}
	config, err := img.exportConfig()
	if err != nil {
		return nil, nil, err
	}
	when := time.Unix(0, 0).UTC()
	if config.Created != nil {
		when = config.Created.UTC().Truncate(time.Second)
	}
	layers, err := e.made(ctx, img, dirRules{whiteouts: img.layered, when: &when, caller: os.Geteuid()})
	if err != nil {
		return nil, nil, err
	}
	config.RootFS = ispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{}}
	config.History = nil
	for _, l := range layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, specDigest(l.DiffID))
	}
	raw, err := img.withDockerKeys(config)
	return layers, raw, err
}

// made are the layers of an image of directories, below them that of the store
// paths.
func (e *exporter) made(ctx context.Context, img *Image, rules dirRules) ([]Layer, error) {
	parts := len(img.Dirs)
	if len(e.StorePaths) > 0 {
		parts++
	}
	count := startMeter(e.Progress, Progress{Step: Hashing, Part: 1, Parts: parts})
	defer count.stop()
	var layers []Layer
	if len(e.StorePaths) > 0 {
		l, err := storeLayer(ctx, e.StorePaths, count)
		if err != nil {
			return nil, err
		}
		layers = append(layers, l)
	}
	for _, dir := range img.Dirs {
		count.begin(len(layers) + 1)
		l, err := dirLayer(ctx, dir, rules, count)
		if err != nil {
			return nil, err
		}
		layers = append(layers, l)
	}
	return layers, nil
}

// storeLayer is a layer of store paths, in the form of nix2container's.
func storeLayer(ctx context.Context, paths []string, count io.Writer) (Layer, error) {
	l := nixLayer{}
	for _, p := range paths {
		l.Paths = append(l.Paths, nixPath{Path: p})
	}
	if err := l.check(); err != nil {
		return Layer{}, fmt.Errorf("store paths%w", err)
	}
	tree, err := l.tree(ctx)
	if err != nil {
		return Layer{}, err
	}
	return madeLayer(ctx, tree, count)
}

// enter adds the manifest to the layout's index, where it takes the tag from
// whatever had it.
func (e *exporter) enter(manifest ispec.Descriptor) error {
	lock, err := os.Open(e.dir)
	if err != nil {
		return err
	}
	defer lock.Close() // and with it the lock
	if err := retry(func() error { return unix.Flock(int(lock.Fd()), unix.LOCK_EX) }); err != nil {
		return err
	}
	file := filepath.Join(e.dir, ispec.ImageIndexFile)
	index := ispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ispec.MediaTypeImageIndex}
	raw, err := readDocument(file, false, e.Limits.withDefaults())
	switch {
	case err == nil:
		if err := json.Unmarshal(raw, &index); err != nil {
			return fmt.Errorf("%s: %w", file, foreign(err))
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	index.Manifests = slices.DeleteFunc(index.Manifests, func(d ispec.Descriptor) bool {
		name, named := d.Annotations[refName]
		if d.Digest == manifest.Digest && (!named || name == e.Tag) {
			return true
		}
		if e.Tag != "" && name == e.Tag {
			delete(d.Annotations, refName) // its blobs stay, without a name
		}
		return false
	})
	if e.Tag != "" {
		manifest.Annotations = map[string]string{refName: e.Tag}
	}
	index.Manifests = append(index.Manifests, manifest)
	if raw, err = json.Marshal(index); err != nil {
		return err
	}
	if err := e.replace(ispec.ImageLayoutFile, []byte(`{"imageLayoutVersion":"`+ispec.ImageLayoutVersion+`"}`)); err != nil {
		return err
	}
	return e.replace(ispec.ImageIndexFile, raw)
}

// replace writes a file of the layout as a whole.
func (e *exporter) replace(name string, data []byte) error {
	f, err := os.CreateTemp(e.dir, "."+name+".")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = cmp.Or(err, f.Chmod(0o644))
	err = cmp.Or(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(e.dir, name))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
