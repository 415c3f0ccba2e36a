package layout

import (
	"path/filepath"
	"slices"
	"testing"
)

func TestBundle(t *testing.T) {
	abs := t.TempDir()
	for name, test := range map[string]struct {
		config, dir, err string
	}{
		"relative":     {config: `{"ociVersion":"1.0.2","root":{"path":"rootfs"}}`, dir: "rootfs"},
		"elsewhere":    {config: `{"ociVersion":"1.0.2","root":{"path":"../other"}}`, dir: "../other"},
		"absolute":     {config: `{"ociVersion":"1.0.2","root":{"path":"` + abs + `"}}`, dir: abs},
		"no root":      {config: `{"ociVersion":"1.0.2"}`, err: "config.json: no root.path"},
		"missing root": {config: `{"ociVersion":"1.0.2","root":{"path":"none"}}`, err: "config.json: root.path: none: no such file"},
		"NUL":          {config: `{"ociVersion":"1.0.2","root":{"path":"a\u0000"}}`, err: "NUL"},
		"no version":   {config: `{"ociVersion":"","root":{"path":"rootfs"}}`, err: "no ociVersion"},
		"odd version":  {config: `{"ociVersion":3,"root":{"path":"rootfs"}}`, err: "config.json: json: cannot"},
		"a file":       {config: `{"ociVersion":"1","root":{"path":"config.json"}}`, err: "neither a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := makeTree(t, filepath.Join(t.TempDir(), "b"), "config.json="+test.config, "rootfs/", "../other/")
			img, err := openAMD64(t, dir, "")
			if test.err != "" {
				wantError(t, err, test.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := test.dir
			if !filepath.IsAbs(want) {
				want = filepath.Join(dir, want)
			}
			if img.Form != "bundle" || string(img.Bundle) != test.config || !slices.Equal(img.Dirs, []string{want}) {
				t.Errorf("got %+v", img)
			}
		})
	}
	_, err := Open(Ref{Transport: "bundle", Path: makeTree(t, t.TempDir(), "config.json="+wholeConfig, "rootfs/")}, OpenOptions{})
	wantError(t, err, "no ociVersion")
}
