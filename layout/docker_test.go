package layout

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

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
		"no list":              {entries: []ent{file("manifest.json", "{}")}, err: "manifest.json: JSON object, want array"},
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
