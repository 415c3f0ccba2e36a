package layout

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func TestOpenWhatIsNoImage(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(Ref{Path: dir}, OpenOptions{})
	if err == nil || !strings.Contains(err.Error(), "not an image") {
		t.Errorf("got %v", err)
	}
	_, err = Open(Ref{Path: filepath.Join(dir, "none")}, OpenOptions{})
	var hint interface{ Hint() string }
	if err == nil || !strings.Contains(err.Error(), "no such file") || !errors.As(err, &hint) {
		t.Errorf("got %v", err)
	}
}

func TestChainID(t *testing.T) {
	a, b := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("a", 64)}, v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("b", 64)}
	img := &Image{}
	if img.ChainID() != (v1.Hash{}) {
		t.Error("no layers have a chain")
	}
	img.Layers = []Layer{{DiffID: a}}
	if img.ChainID() != a {
		t.Error("one layer is its own chain")
	}
	img.Layers = append(img.Layers, Layer{DiffID: b})
	if want := digestOf([]byte(a.String() + " " + b.String())); img.ChainID() != want {
		t.Errorf("got %v, want %v", img.ChainID(), want)
	}
}

// TestSHA512 has every digest of an image in the other algorithm.
func TestSHA512(t *testing.T) {
	l := newLayout(t)
	l.must(os.Mkdir(filepath.Join(l.path, "blobs/sha512"), 0o755))
	blob := func(mediaType string, b []byte) doc {
		sum := sha512.Sum512(b)
		name := hex.EncodeToString(sum[:])
		l.write("blobs/sha512/"+name, b)
		return doc{"mediaType": mediaType, "size": len(b), "digest": "sha512:" + name}
	}
	layer := blob(ociLayer, archive(t, file("f", "1")))
	config, _ := json.Marshal(doc{"os": "linux", "architecture": "amd64", "rootfs": doc{"type": "layers", "diff_ids": []any{layer["digest"]}}})
	manifest, _ := json.Marshal(doc{"schemaVersion": 2, "config": blob(ociConfig, config), "layers": []any{layer}})
	index, _ := json.Marshal(doc{"schemaVersion": 2, "manifests": []any{blob(ociManifest, manifest)}})
	l.write("index.json", index)
	img, err := Open(Ref{Path: l.path}, OpenOptions{Platform: "linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	if err := Unpack(t.Context(), img, filepath.Join(t.TempDir(), "root"), UnpackOptions{}); err != nil {
		t.Fatal(err)
	}
}

// FuzzDocuments opens layouts whose documents are the fuzzer's: an image that
// opens has what it promises.
func FuzzDocuments(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"manifests":[]}`), []byte(`{"schemaVersion":2,"layers":[]}`), []byte(`{"rootfs":{"type":"layers"}}`), true)
	f.Add([]byte(`{"schemaVersion":2,"config":{}}`), []byte(`{"schemaVersion":1}`), []byte(`{"rootfs":{"type":"layers","diff_ids":["sha256:`+strings.Repeat("0", 64)+`"]}}`), false)
	f.Fuzz(func(t *testing.T, index, manifest, config []byte, nested bool) {
		l := newLayout(t)
		mediaType := ociManifest
		if nested {
			mediaType = ociIndex
		}
		c := l.blob(ociConfig, config)
		var m doc
		if json.Unmarshal(manifest, &m) == nil && m != nil {
			m["config"] = c
			manifest, _ = json.Marshal(m)
		}
		var i doc
		if json.Unmarshal(index, &i) == nil && i != nil {
			i["manifests"] = []any{l.blob(mediaType, manifest)}
			index, _ = json.Marshal(i)
		}
		l.write("index.json", index)
		img, err := Open(Ref{Path: l.path}, OpenOptions{Platform: "linux/amd64"})
		if err == nil && len(img.Layers) != len(img.Config.RootFS.DiffIDs) {
			t.Errorf("%d layers, %d diff_ids", len(img.Layers), len(img.Config.RootFS.DiffIDs))
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("more than a line: %q", err)
		}
	})
}
