package layout

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
)

func TestMembersLimit(t *testing.T) {
	path := save(t, archive(t, file("a", ""), file("b", ""), file("c", "")))
	_, err := Open(Ref{Path: path}, OpenOptions{Limits: Limits{Members: 2}})
	wantError(t, err, "too many members")
	bomb := save(t, gzipped(make([]byte, 8<<20)))
	_, err = Open(Ref{Path: bomb}, OpenOptions{TempDir: t.TempDir()})
	wantError(t, err, "archive is empty")
}

// TestStdin has an archive on stdin, as whatever a stdin can be.
func TestStdin(t *testing.T) {
	saved := dockerSave(t, map[string]formsImage{"a:1": twoLayers(t, "a")}, "a:1")
	read := func(ref Ref, in io.Reader) (*Image, error) {
		return Open(ref, OpenOptions{Platform: "linux/amd64", Stdin: in, TempDir: t.TempDir()})
	}
	f, err := os.Open(save(t, saved))
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() { w.Write(gzipped(saved)); w.Close() }()
	for _, in := range []io.Reader{f, r, bytes.NewReader(saved), bytes.NewReader(zstded(saved))} {
		img, err := read(Ref{Path: "-", Tag: "a:1"}, in)
		if err != nil {
			t.Fatalf("%T: %v", in, err)
		}
		wantTwoLayers(t, img, "docker-archive", "a")
		if err := img.Close(); err != nil {
			t.Error(err)
		}
	}
	_, err = Open(Ref{Path: "-"}, OpenOptions{Stdin: bytes.NewReader(saved), TempDir: "/proc/none"})
	wantError(t, err, "needs a temporary file: mkdir /proc/none")
	wantHint(t, err, "--cache-dir")
	if _, err := f.Stat(); err != nil {
		t.Errorf("stdin was closed: %v", err)
	}
	_, err = read(Ref{Path: "-"}, bytes.NewReader(nil))
	wantError(t, err, "stdin: empty")
	wantHint(t, err, "./result | oci2bwrap run -")
	endless, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer endless.Close()
	_, err = read(Ref{Path: "-"}, endless)
	wantError(t, err, "stdin: not an image: the archive is empty")
	_, err = read(Ref{Path: "-"}, strings.NewReader("hello"))
	wantError(t, err, "stdin: not a tar archive")
	wantHint(t, err, "./result | oci2bwrap run -")
	_, err = read(Ref{Path: "-"}, nil)
	wantError(t, err, "no stdin")
	_, err = read(Ref{Path: "-"}, bytes.NewReader(saved[:1000]))
	wantError(t, err, "truncated")
	packed := gzipped(saved)
	_, err = read(Ref{Path: "-"}, bytes.NewReader(packed[:len(packed)/2]))
	wantError(t, err, "stdin: archive is truncated")
	wantHint(t, err, "")
	_, err = read(Ref{Path: "-"}, bytes.NewReader(append(packed, 'j')))
	wantError(t, err, "stdin: gzip: junk after the compressed stream")
	wantHint(t, err, "")
	two := map[string]formsImage{"a:1": twoLayers(t, "a"), "b:1": twoLayers(t, "b")}
	_, err = read(Ref{Path: "-"}, bytes.NewReader(dockerSave(t, two, "a:1", "b:1")))
	wantError(t, err, "several images")
	wantHint(t, err, "-- -:TAG")
	_, err = read(Ref{Path: "-", Transport: "oci"}, bytes.NewReader(saved))
	wantError(t, err, "stdin is not one")
	_, err = read(Ref{Path: "-", Transport: "oci-archive"}, bytes.NewReader(saved))
	wantError(t, err, "oci-layout")
}

// TestNamedPipe opens an archive that comes through a pipe with a name. It can be
// opened but once: what writes to it ends with the first reader.
func TestNamedPipe(t *testing.T) {
	saved := gzipped(dockerSave(t, map[string]formsImage{"a:1": twoLayers(t, "a")}, "a:1"))
	for what, b := range map[string][]byte{"": saved, "empty": nil} {
		path := filepath.Join(t.TempDir(), "pipe")
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		wrote := make(chan error, 1)
		go func() { wrote <- os.WriteFile(path, b, 0) }()
		type result struct {
			img *Image
			err error
		}
		opened := make(chan result, 1)
		temp := t.TempDir()
		go func() {
			img, err := Open(Ref{Path: path}, OpenOptions{Platform: "linux/amd64", TempDir: temp})
			opened <- result{img, err}
		}()
		select {
		case r := <-opened:
			switch {
			case what != "":
				wantError(t, r.err, what)
			case r.err != nil:
				t.Error(r.err)
			default:
				wantTwoLayers(t, r.img, "docker-archive", "a")
				if err := r.img.Close(); err != nil {
					t.Error(err)
				}
			}
		case <-time.After(time.Minute):
			t.Fatalf("the pipe is opened twice: %q", what)
		}
		if err := <-wrote; err != nil {
			t.Error(err)
		}
	}
}

// TestReadingProgress tells of an archive that has to be spooled: of a file how
// much of it is read, and of a pipe how much has come.
func TestReadingProgress(t *testing.T) {
	saved := gzipped(dockerSave(t, map[string]formsImage{"a:1": twoLayers(t, "a")}, "a:1"))
	size := int64(len(saved))
	for path, want := range map[string]Progress{save(t, saved): {Done: size, Total: size}, "-": {Done: size}} {
		var last Progress
		img, err := Open(Ref{Path: path}, OpenOptions{
			Platform: "linux/amd64", Stdin: bytes.NewReader(saved), TempDir: t.TempDir(),
			Progress: func(p Progress) { last = p },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := img.Close(); err != nil {
			t.Error(err)
		}
		if last != want {
			t.Errorf("%s: got %+v, want %+v", path, last, want)
		}
	}
}

// TestOCIArchive packs layouts, also as docker 25 does with its own document
// beside.
func TestOCIArchive(t *testing.T) {
	l := newLayout(t)
	a, b := twoLayers(t, "a"), twoLayers(t, "b")
	var items []doc
	var descs []v1.Descriptor
	for name, img := range map[string]formsImage{"a": a, "b": b} {
		d := l.json(ociManifest, doc{
			"schemaVersion": 2, "mediaType": ociManifest, "config": l.blob(ociConfig, img.config),
			"layers": []v1.Descriptor{l.blob(ociLayer, img.layers[0]), l.blob(ociLayer+"+gzip", gzipped(img.layers[1]))},
		})
		descs = append(descs, withTag(d, "tag-"+name))
		items = append(items, doc{"Config": blobName(digestOf(img.config)), "RepoTags": []string{"reg.io/" + name + ":1"}, "Layers": []string{blobName(digestOf(img.layers[0])), blobName(digestOf(gzipped(img.layers[1])))}})
	}
	l.index(descs...)
	plain := packed(t, l.path)
	l.write("manifest.json", marshal(t, items))
	both := packed(t, l.path)
	for name, test := range map[string]struct {
		path, tag, form, want string
		err                   string
	}{
		"layout":                  {path: save(t, plain), tag: "tag-a", form: "oci-archive", want: "a"},
		"zstd":                    {path: save(t, zstded(plain)), tag: "tag-b", form: "oci-archive", want: "b"},
		"no docker name":          {path: save(t, plain), tag: "reg.io/b:1", err: `no tag "reg.io/b:1" in index.json (has: tag-a, tag-b)`},
		"both, OCI's name":        {path: save(t, both), tag: "tag-b", form: "oci-archive", want: "b"},
		"both, docker's name":     {path: save(t, both), tag: "reg.io/b:1", form: "oci-archive", want: "b"},
		"both, no name":           {path: save(t, both), tag: "c", err: `no tag "c" in index.json (has: reg.io/a:1, reg.io/b:1, tag-a, tag-b)`},
		"directory, docker's":     {path: l.path, tag: "reg.io/a:1", form: "oci", want: "a"},
		"no layout in an archive": {path: save(t, archive(t, file("oci-layout", "{}"))), err: "not an image"},
	} {
		t.Run(name, func(t *testing.T) {
			img, err := openAMD64(t, test.path, test.tag)
			if test.err != "" {
				wantError(t, err, test.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer img.Close()
			wantTwoLayers(t, img, test.form, test.want)
		})
	}
	img, err := Open(Ref{Transport: "docker-archive", Path: save(t, both), Tag: "reg.io/b:1"}, OpenOptions{Platform: "linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	wantTwoLayers(t, img, "docker-archive", "b")
	for _, ref := range []Ref{{"oci", save(t, plain), ""}, {"dir", save(t, plain), ""}, {"oci-archive", l.path, ""}, {"docker-archive", save(t, plain), ""}} {
		_, err := Open(ref, OpenOptions{Platform: "linux/amd64"})
		if err == nil {
			t.Errorf("%v opened", ref)
		}
	}
}

// FuzzArchive opens archives of the fuzzer's making.
func FuzzArchive(f *testing.F) {
	img := twoLayers(f, "a")
	saved := dockerSave(f, map[string]formsImage{"a:1": img}, "a:1")
	f.Add(saved, "")
	f.Add(gzipped(saved), "a:1")
	f.Add(zstded(saved), "@0")
	f.Add(archive(f, symlink("manifest.json", "x"), hard("x", "manifest.json")), "")
	f.Add(archive(f, file("oci-layout", `{"imageLayoutVersion":"1.0.0"}`), file("index.json", `{"schemaVersion":2,"manifests":[]}`)), "v1")
	f.Add(archive(f, file("repositories", "{}")), "")
	f.Fuzz(func(t *testing.T, b []byte, tag string) {
		img, err := Open(Ref{Path: "-", Tag: tag}, OpenOptions{Platform: "linux/amd64", Stdin: bytes.NewReader(b), TempDir: t.TempDir(), Limits: Limits{Members: 1000}})
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %q", err)
			}
			return
		}
		if len(img.Layers) != len(img.Config.RootFS.DiffIDs) {
			t.Errorf("%d layers, %d diff_ids", len(img.Layers), len(img.Config.RootFS.DiffIDs))
		}
		for _, l := range img.Layers {
			r, err := l.Open()
			if err != nil {
				continue
			}
			if n, err := io.Copy(io.Discard, r); err == nil && n != l.Size {
				t.Errorf("layer of %d bytes, says %d", n, l.Size)
			}
			r.Close()
		}
		if err := img.Close(); err != nil {
			t.Error(err)
		}
	})
}
