package layout

import (
	"bytes"
	"path"
	"strings"
	"testing"
)

// FuzzNixDocument parses image JSON of nix2container: what is accepted names
// nothing outside of the store, and makes the same image twice.
func FuzzNixDocument(f *testing.F) {
	digest := "sha256:" + strings.Repeat("0", 64)
	for _, layer := range []string{
		`{"digest":"` + digest + `","diff_ids":"` + digest + `","size":1,"paths":[{"path":"/nix/store/a-b"}]}`,
		`{"digest":"` + digest + `","diff_ids":"` + digest + `","paths":[{"path":"/nix/store/../etc"},{"path":"/nix/store/"},{"path":"/etc"}]}`,
		`{"digest":"` + digest + `","diff_ids":"` + digest + `","paths":[{"path":"/nix/store/a","options":{"rewrite":{"regex":"^/nix/store/(.*)","repl":"/../$1"},"perms":[{"regex":".*","mode":"4755","uid":-1}]}}]}`,
		`{"digest":"x","diff_ids":"","layer-path":"/etc/passwd"}`,
	} {
		f.Add([]byte(`{"version":1,"image-config":{"Cmd":["x"]},"layers":[` + layer + `],"arch":"amd64"}`))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		open := func() (*Image, error) {
			doc, err := parseNix(raw)
			if err != nil {
				return nil, err
			}
			for _, l := range doc.Layers {
				for _, p := range l.Paths {
					if !strings.HasPrefix(p.Path, nixStoreDir+"/") || path.Clean(p.Path) != p.Path || strings.ContainsRune(p.Path, 0) {
						t.Errorf("path %q", p.Path)
					}
				}
			}
			return doc.image()
		}
		img, err := open()
		again, err2 := open()
		if (err == nil) != (err2 == nil) || err != nil && err.Error() != err2.Error() {
			t.Fatalf("%v, then %v", err, err2)
		}
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b\x00") {
				t.Errorf("more than a line: %q", err)
			}
			return
		}
		if !bytes.Equal(img.RawConfig, again.RawConfig) || img.ConfigDigest != again.ConfigDigest {
			t.Errorf("%s, then %s", img.RawConfig, again.RawConfig)
		}
		if len(img.Layers) != len(img.Config.RootFS.DiffIDs) {
			t.Errorf("%d layers, %d diff_ids", len(img.Layers), len(img.Config.RootFS.DiffIDs))
		}
	})
}
