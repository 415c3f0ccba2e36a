package layout

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
	ociConfig   = "application/vnd.oci.image.config.v1+json"
	ociLayer    = "application/vnd.oci.image.layer.v1.tar"
)

// ent is an entry of a layer.
type ent struct {
	tar.Header
	body string
}

var testTime = time.Unix(1_000_000_000, 0)

func entry(kind byte, name string, mode int64) ent {
	return ent{Header: tar.Header{Typeflag: kind, Name: name, Mode: mode, ModTime: testTime, Uid: 1234, Gid: 5678}}
}

func file(name, body string) ent {
	e := entry(tar.TypeReg, name, 0o644)
	e.body, e.Size = body, int64(len(body))
	return e
}

func folder(name string, mode int64) ent { return entry(tar.TypeDir, name, mode) }
func white(name string) ent              { return file(name, "") }

func symlink(name, target string) ent {
	e := entry(tar.TypeSymlink, name, 0o777)
	e.Linkname = target
	return e
}

func hard(name, target string) ent {
	e := entry(tar.TypeLink, name, 0o600)
	e.Linkname = target
	return e
}

func device(name string, major, minor int64) ent {
	e := entry(tar.TypeChar, name, 0o666)
	e.Devmajor, e.Devminor = major, minor
	return e
}

// archive makes a tar stream.
func archive(tb testing.TB, entries ...ent) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if err := w.WriteHeader(&e.Header); err != nil {
			tb.Fatalf("%s: %v", e.Name, err)
		}
		if _, err := w.Write([]byte(e.body)); err != nil {
			tb.Fatalf("%s: %v", e.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func zstded(b []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return w.EncodeAll(b, nil)
}

func digestOf(b []byte) v1.Hash {
	sum := sha256.Sum256(b)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}

// tempDir is a directory that is removed at the end, whatever the modes of what
// is in it then.
func tempDir(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	tb.Cleanup(func() {
		if err := removePath(dir); err != nil {
			tb.Error(err)
		}
	})
	return dir
}

// layoutDir writes an OCI layout.
type layoutDir struct {
	testing.TB
	path string
}

func newLayout(tb testing.TB) *layoutDir {
	l := &layoutDir{tb, filepath.Join(tempDir(tb), "image")}
	l.must(os.MkdirAll(filepath.Join(l.path, "blobs/sha256"), 0o755))
	l.write("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return l
}

func (l *layoutDir) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

func (l *layoutDir) write(name string, b []byte) {
	l.Helper()
	l.must(os.WriteFile(filepath.Join(l.path, name), b, 0o644))
}

// blob stores b and returns its descriptor.
func (l *layoutDir) blob(mediaType string, b []byte) v1.Descriptor {
	l.Helper()
	d := v1.Descriptor{Digest: digestOf(b), Size: int64(len(b))}
	d.MediaType = "x"
	l.must(json.Unmarshal([]byte(`"`+mediaType+`"`), &d.MediaType))
	l.write(blobName(d.Digest), b)
	return d
}

func (l *layoutDir) json(mediaType string, doc any) v1.Descriptor {
	l.Helper()
	b, err := json.Marshal(doc)
	l.must(err)
	return l.blob(mediaType, b)
}

type doc = map[string]any

// stored is a layer: its blob and the stream that its diff_id is of.
type stored struct {
	mediaType   string
	blob, plain []byte
}

func plainLayers(tars ...[]byte) []stored {
	var out []stored
	for _, b := range tars {
		out = append(out, stored{ociLayer, b, b})
	}
	return out
}

// manifest stores an image for platform ("" = none in its config).
func (l *layoutDir) manifest(platform string, layers ...stored) v1.Descriptor {
	l.Helper()
	config, descs := doc{"rootfs": doc{"type": "layers", "diff_ids": []string{}}}, []v1.Descriptor{}
	if platform != "" {
		p := strings.Split(platform, "/")
		config["os"], config["architecture"] = p[0], p[1]
		if len(p) > 2 {
			config["variant"] = p[2]
		}
	}
	ids := []string{}
	for _, s := range layers {
		ids = append(ids, digestOf(s.plain).String())
		descs = append(descs, l.blob(s.mediaType, s.blob))
	}
	config["rootfs"] = doc{"type": "layers", "diff_ids": ids}
	return l.json(ociManifest, doc{
		"schemaVersion": 2, "mediaType": ociManifest,
		"config": l.json(ociConfig, config), "layers": descs,
	})
}

// index writes index.json.
func (l *layoutDir) index(descs ...v1.Descriptor) {
	l.Helper()
	b, err := json.Marshal(doc{"schemaVersion": 2, "manifests": descs})
	l.must(err)
	l.write("index.json", b)
}

func withTag(d v1.Descriptor, tag string) v1.Descriptor {
	d.Annotations = map[string]string{refName: tag}
	return d
}

func withPlatform(d v1.Descriptor, platform string) v1.Descriptor {
	p := strings.Split(platform+"/", "/")
	d.Platform = &v1.Platform{OS: p[0], Architecture: p[1], Variant: p[2]}
	return d
}

// imageOf opens an image with the given layers.
func imageOf(tb testing.TB, layers ...stored) *Image {
	tb.Helper()
	l := newLayout(tb)
	l.index(l.manifest("linux/amd64", layers...))
	img, err := Open(Ref{Path: l.path}, OpenOptions{Platform: "linux/amd64"})
	if err != nil {
		tb.Fatal(err)
	}
	return img
}

// snapshot describes all that is below root, one line a path: what, mode,
// content or target. Unreadable directories are opened for it.
func snapshot(tb testing.TB, root string) map[string]string {
	tb.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		mode := info.Mode()
		perm := uint32(mode.Perm())
		for bit, v := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
			if mode&bit != 0 {
				perm |= v
			}
		}
		switch {
		case mode.IsDir():
			out[name] = fmt.Sprintf("dir %04o", perm)
			if mode.Perm()&0o700 != 0o700 {
				return os.Chmod(path, 0o700)
			}
		case mode&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			out[name] = "link " + target
			return err
		case mode.IsRegular():
			if mode.Perm()&0o400 == 0 {
				os.Chmod(path, 0o600)
			}
			b, err := os.ReadFile(path)
			out[name] = fmt.Sprintf("file %04o %s", perm, b)
			return err
		default:
			out[name] = mode.Type().String()
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// render lists a snapshot, sorted, without the root.
func render(snap map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(snap)) {
		if name != "." {
			fmt.Fprintf(&b, "%s: %s\n", name, snap[name])
		}
	}
	return b.String()
}

// canary is a directory beside a root that nothing may touch.
func canary(tb testing.TB, parent string) (check func()) {
	tb.Helper()
	dir := filepath.Join(parent, "canary")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "keep"), []byte("alive"), 0o640); err != nil {
		tb.Fatal(err)
	}
	want := render(snapshot(tb, dir))
	return func() {
		tb.Helper()
		if got := render(snapshot(tb, dir)); got != want {
			tb.Errorf("outside the root:\n%swant:\n%s", got, want)
		}
		entries, err := os.ReadDir(parent)
		if err != nil {
			tb.Fatal(err)
		}
		for _, e := range entries {
			if !slices.Contains([]string{"canary", "root"}, e.Name()) {
				tb.Errorf("%s was made outside the root", e.Name())
			}
		}
	}
}
