package layout

import (
	"encoding/json"
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
