package layout

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// formsImage is two layers as docker's and skopeo's documents describe them.
type formsImage struct {
	config []byte
	layers [][]byte
}

func twoLayers(t testing.TB, name string) formsImage {
	t.Helper()
	img := formsImage{layers: [][]byte{
		archive(t, folder("etc/", 0o755), file("etc/name", name), file("gone", "x")),
		archive(t, white(".wh.gone"), file("top", "2")),
	}}
	img.config = marshal(t, doc{
		"os": "linux", "architecture": "amd64", "config": doc{"Cmd": []string{"/" + name}},
		"rootfs": doc{"type": "layers", "diff_ids": []v1.Hash{digestOf(img.layers[0]), digestOf(img.layers[1])}},
	})
	return img
}

func (i formsImage) configName() string { return digestOf(i.config).Hex + ".json" }

func marshal(t testing.TB, d any) []byte {
	t.Helper()
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// dockerSave makes a docker archive; layers lie in ID/layer.tar.
func dockerSave(t testing.TB, images map[string]formsImage, order ...string) []byte {
	t.Helper()
	var entries []ent
	var items []doc
	for _, name := range order {
		img := images[name]
		var layers []string
		for _, l := range img.layers {
			path := digestOf(l).Hex[:12] + "/layer.tar"
			layers = append(layers, path)
			entries = append(entries, file(path, string(l)))
		}
		entries = append(entries, file(img.configName(), string(img.config)))
		items = append(items, doc{"Config": img.configName(), "RepoTags": strings.Fields(name), "Layers": layers})
	}
	return archive(t, append(entries, file("manifest.json", string(marshal(t, items))))...)
}

func save(t testing.TB, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func openAMD64(t testing.TB, path, tag string) (*Image, error) {
	t.Helper()
	return Open(Ref{Path: path, Tag: tag}, OpenOptions{Platform: "linux/amd64", TempDir: t.TempDir()})
}

// wantTwoLayers checks that img is twoLayers(name).
func wantTwoLayers(t *testing.T, img *Image, form, name string) {
	t.Helper()
	if img.Form != form {
		t.Errorf("form %q, want %q", img.Form, form)
	}
	if cmd := strings.Join(img.Config.Config.Cmd, " "); cmd != "/"+name {
		t.Errorf("cmd %q, want %q", cmd, "/"+name)
	}
	root := filepath.Join(tempDir(t), "root")
	if err := Unpack(t.Context(), img, root, UnpackOptions{}); err != nil {
		t.Error(err)
		return
	}
	want := "etc: dir 0755\netc/name: file 0644 " + name + "\ntop: file 0644 2\n"
	if got := render(snapshot(t, root)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestDockerArchive(t *testing.T) {
	a, b := twoLayers(t, "a"), twoLayers(t, "b")
	images := map[string]formsImage{"a:latest x.io/a:v1": a, "": b}
	two := dockerSave(t, images, "a:latest x.io/a:v1", "")
	single := dockerSave(t, images, "")
	for name, test := range map[string]struct {
		archive   []byte
		tag, want string
		err       string
	}{
		"only one":       {archive: single, want: "b"},
		"gzip":           {archive: gzipped(single), want: "b"},
		"zstd":           {archive: zstded(single), want: "b"},
		"name":           {archive: two, tag: "a", want: "a"},
		"full name":      {archive: two, tag: "docker.io/library/a:latest", want: "a"},
		"other name":     {archive: two, tag: "x.io/a:v1", want: "a"},
		"first":          {archive: two, tag: "@0", want: "a"},
		"second":         {archive: two, tag: "@1", want: "b"},
		"no third":       {archive: two, tag: "@2", err: `no tag "@2" in manifest.json (has: @1, a:latest, x.io/a:v1)`},
		"no such name":   {archive: two, tag: "a:v1", err: `no tag "a:v1" in manifest.json (has: @1, a:latest, x.io/a:v1)`},
		"ambiguous":      {archive: two, err: `several images for platform linux/amd64 (has: @1, a:latest, x.io/a:v1)`},
		"cut short":      {archive: single[:len(single)/2], err: "truncated"},
		"gzip cut short": {archive: gzipped(single)[:len(gzipped(single))-9], err: "truncated"},
		"zstd cut short": {archive: zstded(single)[:len(zstded(single))-9], err: "truncated"},
		"empty":          {archive: []byte{}, err: "empty"},
		"no members":     {archive: make([]byte, 1024), err: "archive is empty"},
		"other archive":  {archive: archive(t, file("f", "x")), err: `not an image: the archive has neither oci-layout with index.json nor manifest.json (its first member: "f")`},
		"gzip of text":   {archive: gzipped([]byte("hello")), err: "not a tar archive"},
		"text":           {archive: bytes.Repeat([]byte("hello "), 200), err: "not a tar archive"},
		"json":           {archive: []byte(`{"layers":[]}`), err: "a JSON document"},
		"bzip2":          {archive: []byte("BZh91AY&SY" + strings.Repeat("x", 600)), err: "bzip2"},
		"junk":           {archive: append(gzipped(single), "junk that is long enough"...), err: "gzip"},
	} {
		t.Run(name, func(t *testing.T) {
			img, err := openAMD64(t, save(t, test.archive), test.tag)
			if test.err != "" {
				wantError(t, err, test.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer img.Close()
			wantTwoLayers(t, img, "docker-archive", test.want)
		})
	}
}

// TestDockerArchiveMembers has archives whose members are not what the
// documents say, or not in the usual way.
func TestDockerArchiveMembers(t *testing.T) {
	img := twoLayers(t, "a")
	config := file(img.configName(), string(img.config))
	manifest := func(config string, layers ...string) ent {
		return file("manifest.json", string(marshal(t, []doc{{"Config": config, "Layers": layers}})))
	}
	one, two := file("1/layer.tar", string(img.layers[0])), file("2/layer.tar", string(img.layers[1]))
	usual := manifest(img.configName(), "1/layer.tar", "2/layer.tar")
	sparse := two
	sparse.PAXRecords = map[string]string{"OCI2BWRAP.x": "1"}
	for name, test := range map[string]struct {
		entries []ent
		err     string
	}{
		"manifest first":       {entries: []ent{usual, config, one, two}},
		"dots":                 {entries: []ent{manifest("./"+img.configName(), "./1/layer.tar", "2//layer.tar"), config, file("./1/layer.tar", one.body), two}},
		"symlink":              {entries: []ent{usual, config, one, file("x/layer.tar", two.body), symlink("2/layer.tar", "../x/layer.tar")}},
		"symlink of symlink":   {entries: []ent{usual, config, one, file("x", two.body), symlink("y", "/x"), symlink("2/layer.tar", "../y")}},
		"symlink before":       {entries: []ent{symlink("2/layer.tar", "../x/layer.tar"), usual, config, one, file("x/layer.tar", two.body)}},
		"hard link":            {entries: []ent{usual, config, one, file("x/layer.tar", two.body), hard("2/layer.tar", "x/layer.tar")}},
		"symlink out":          {entries: []ent{usual, config, one, symlink("2/layer.tar", "../../../../etc/passwd")}, err: `"2/layer.tar": links to "etc/passwd", which is not in the archive`},
		"symlink to absolute":  {entries: []ent{usual, config, one, symlink("2/layer.tar", "/etc/passwd")}, err: "not in the archive"},
		"cycle":                {entries: []ent{usual, config, one, symlink("2/layer.tar", "../y"), symlink("y", "2/layer.tar")}, err: "cycle"},
		"cycle of manifest":    {entries: []ent{symlink("manifest.json", "config.json"), symlink("config.json", "manifest.json")}, err: "cycle"},
		"last one counts":      {entries: []ent{file("2/layer.tar", "junk"), usual, config, one, two}},
		"gzip layer":           {entries: []ent{usual, config, one, file("2/layer.tar", string(gzipped(img.layers[1])))}},
		"zstd layer":           {entries: []ent{usual, config, one, file("2/layer.tar", string(zstded(img.layers[1])))}},
		"no layer":             {entries: []ent{usual, config, one}, err: `layer 2: "2/layer.tar": not in the archive`},
		"no config":            {entries: []ent{usual, one, two}, err: "not in the archive"},
		"folder as layer":      {entries: []ent{usual, config, one, folder("2/layer.tar", 0o755)}, err: "not a regular file"},
		"other config":         {entries: []ent{usual, file(img.configName(), string(img.config)+" "), one, two}, err: "wrong digest"},
		"unnamed config":       {entries: []ent{manifest("config.json", "1/layer.tar", "2/layer.tar"), file("config.json", string(img.config)+" "), one, two}},
		"crane's config":       {entries: []ent{manifest("sha256:"+digestOf(img.config).Hex, "1/layer.tar", "2/layer.tar"), file("sha256:"+digestOf(img.config).Hex, string(img.config)), one, two}},
		"one layer":            {entries: []ent{manifest(img.configName(), "1/layer.tar"), config, one}, err: "manifest.json has 1 layers, config has 2 diff_ids"},
		"null":                 {entries: []ent{file("manifest.json", "null")}, err: "manifest.json: names no image"},
		"no list":              {entries: []ent{file("manifest.json", "{}")}, err: "manifest.json: json: cannot unmarshal"},
		"no json":              {entries: []ent{file("manifest.json", "x")}, err: "manifest.json: invalid character"},
		"before 1.10":          {entries: []ent{file("repositories", "{}"), one}, err: "docker before 1.10"},
		"root filesystem":      {entries: []ent{folder("bin/", 0o755), file("bin/sh", "x")}, err: "not an image"},
		"extended attributes":  {entries: []ent{usual, config, one, sparse}},
		"layer named manifest": {entries: []ent{manifest(img.configName(), "1/layer.tar", "manifest.json"), config, one}},
	} {
		t.Run(name, func(t *testing.T) {
			img, err := openAMD64(t, save(t, archive(t, test.entries...)), "")
			if err == nil && name == "layer named manifest" {
				err = Unpack(t.Context(), img, filepath.Join(tempDir(t), "root"), UnpackOptions{})
				if err == nil {
					t.Error("unpacked what is no layer")
				}
				return
			}
			if test.err != "" {
				wantError(t, err, test.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer img.Close()
			wantTwoLayers(t, img, "docker-archive", "a")
		})
	}
}

// TestChangedLayer has a docker archive with a layer that its diff_id isn't of.
func TestChangedLayer(t *testing.T) {
	a := twoLayers(t, "a")
	a.layers[1] = archive(t, file("other", "x"))
	img, err := openAMD64(t, save(t, dockerSave(t, map[string]formsImage{"a": a}, "a")), "")
	if err != nil {
		t.Fatal(err)
	}
	err = Unpack(t.Context(), img, filepath.Join(tempDir(t), "root"), UnpackOptions{})
	wantError(t, err, "wrong diff_id")
}

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
	if _, err := f.Stat(); err != nil {
		t.Errorf("stdin was closed: %v", err)
	}
	_, err = read(Ref{Path: "-"}, bytes.NewReader(nil))
	wantError(t, err, "stdin: empty")
	_, err = read(Ref{Path: "-"}, nil)
	wantError(t, err, "no stdin")
	_, err = read(Ref{Path: "-"}, bytes.NewReader(saved[:1000]))
	wantError(t, err, "truncated")
	_, err = read(Ref{Path: "-", Transport: "oci"}, bytes.NewReader(saved))
	wantError(t, err, "stdin is not one")
	_, err = read(Ref{Path: "-", Transport: "oci-archive"}, bytes.NewReader(saved))
	wantError(t, err, "oci-layout")
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

// packed makes a tar of a directory.
func packed(t testing.TB, dir string) []byte {
	t.Helper()
	var entries []ent
	for name, what := range snapshot(t, dir) {
		if rest, ok := strings.CutPrefix(what, "file "); ok {
			_, body, _ := strings.Cut(rest, " ")
			entries = append(entries, file(name, body))
		}
	}
	return archive(t, entries...)
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

// FuzzDockerManifest parses manifest.json of docker archives.
func FuzzDockerManifest(f *testing.F) {
	f.Add([]byte(`[{"Config":"c.json","RepoTags":["a:1"],"Layers":["1/layer.tar"]}]`), "a:1")
	f.Add([]byte(`[{"Config":"blobs/sha256/`+strings.Repeat("0", 64)+`","RepoTags":null,"Layers":[]}]`), "@0")
	f.Add([]byte(`null`), "")
	f.Fuzz(func(t *testing.T, b []byte, tag string) {
		items, err := parseDocker(b)
		if err == nil && len(items) == 0 {
			t.Error("no images and no error")
		}
		for n, item := range items {
			if !item.named(n, indexLabel(n)) {
				t.Errorf("image %d isn't %s", n, indexLabel(n))
			}
			for _, name := range item.RepoTags {
				if !item.named(n, name) {
					t.Errorf("%q doesn't name what is called so", name)
				}
			}
			if h := configDigest(item.Config); h.Hex != "" && len(h.Hex) != 64 {
				t.Errorf("digest %s", h)
			}
			item.named(n, tag)
		}
	})
}
