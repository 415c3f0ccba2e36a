package layout

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func TestInspect(t *testing.T) {
	l := newLayout(t)
	a := l.manifest("linux/amd64", plainLayers(archive(t, file("f", "1")))...)
	b := l.manifest("linux/arm64")
	att := withPlatform(l.json(ociManifest, doc{}), "unknown/unknown")
	l.index(withTag(withPlatform(a, "linux/amd64"), "v1"), withTag(withPlatform(b, "linux/arm64"), "v1"), att)
	got, err := Inspect(Ref{Path: l.path, Tag: "v1"}, OpenOptions{Platform: "linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Form != "oci" || !slices.Equal(got.Tags, []string{"v1"}) || !slices.Equal(got.Platforms, []string{"linux/amd64", "linux/arm64"}) {
		t.Errorf("got %+v", got)
	}
	if len(got.Found) != 3 || got.Found[2].Not != "an attestation" || got.Found[1].Digest != b.Digest.String() {
		t.Errorf("found %+v", got.Found)
	}
	if d := got.Image; d == nil || d.Digest != a.Digest.String() || d.Tag != "v1" || len(d.Layers) != 1 || d.Size != d.Layers[0].Size || d.Size == 0 {
		t.Errorf("image %+v", d)
	}
	if got, err = Inspect(Ref{Path: l.path}, OpenOptions{Platform: "linux/s390x"}); err != nil || got.Image != nil || !strings.Contains(got.Problem, "no image for platform") {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = Inspect(Ref{Path: l.path, Tag: "v2"}, OpenOptions{})
	wantError(t, err, `no tag "v2"`)
}

// TestInspectJSON wants all that a config has, docker's own fields too, and
// history beside its layers.
func TestInspectJSON(t *testing.T) {
	img := formsImage{layers: [][]byte{archive(t, file("f", "1"))}}
	img.config = []byte(`{"architecture":"amd64","os":"linux","config":{"Healthcheck":{"Test":["CMD","true"]}},
		"history":[{"created_by":"one"},{"created_by":"two","empty_layer":true}],
		"rootfs":{"type":"layers","diff_ids":["` + digestOf(img.layers[0]).String() + `"]}}`)
	path := save(t, gzipped(dockerSave(t, map[string]formsImage{"b:1 a:1": img}, "b:1 a:1")))
	o := OpenOptions{Platform: "linux/amd64", TempDir: t.TempDir()}
	got, err := Inspect(Ref{Path: path}, o)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"form":"docker-archive"`, `"tags":["a:1","b:1"]`, `"Healthcheck":{"Test":["CMD","true"]}`,
		`{"created_by":"one","layer":1},{"created_by":"two","empty_layer":true}`, `"diffID":"` + digestOf(img.layers[0]).String(),
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
}

// TestInspectOtherForms wants lists that are not null, whatever the form.
func TestInspectOtherForms(t *testing.T) {
	unpacked := makeTree(t, t.TempDir(), "config.json="+wholeConfig, "rootfs/")
	bundle := makeTree(t, t.TempDir(), `config.json={"ociVersion":"1.0.2","root":{"path":"rootfs"}}`, "rootfs/")
	for _, path := range []string{unpacked, bundle} {
		got, err := Inspect(Ref{Path: path}, OpenOptions{Platform: "linux/amd64"})
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(got)
		if err != nil || strings.Contains(string(b), "null") {
			t.Errorf("%v: %s", err, b)
		}
		if !slices.Equal(got.Image.Dirs, []string{filepath.Join(path, "rootfs")}) {
			t.Errorf("dirs %q", got.Image.Dirs)
		}
	}
}

// TestInspectDockerNames has names in docker's document only.
func TestInspectDockerNames(t *testing.T) {
	l := newLayout(t)
	img := twoLayers(t, "a")
	m := l.json(ociManifest, doc{
		"schemaVersion": 2, "config": l.blob(ociConfig, img.config),
		"layers": []v1.Descriptor{l.blob(ociLayer, img.layers[0]), l.blob(ociLayer, img.layers[1])},
	})
	l.index(withPlatform(withTag(m, "1"), "linux/amd64"))
	l.write("manifest.json", marshal(t, []doc{{"Config": blobName(digestOf(img.config)), "RepoTags": []string{"reg.io/a:1"}, "Layers": []string{}}}))
	got, err := Inspect(Ref{Path: l.path, Tag: "reg.io/a:1"}, OpenOptions{Platform: "linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Tags, []string{"1", "reg.io/a:1"}) || got.Image.Tag != "reg.io/a:1" {
		t.Errorf("got %+v", got)
	}
}
