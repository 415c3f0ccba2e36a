package layout

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
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
		"odd version":  {config: `{"ociVersion":3,"root":{"path":"rootfs"}}`, err: "config.json: ociVersion: JSON number, want string"},
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

// TestBundleLimit holds the recogniser to the limit of who opens: a config.json
// over it is refused, and one that the caller allows is not.
func TestBundleLimit(t *testing.T) {
	config := `{"ociVersion":"1.0.2","root":{"path":"rootfs"},"annotations":{"x":"` + strings.Repeat("x", 5<<20) + `"}}`
	dir := makeTree(t, t.TempDir(), "config.json="+config, "rootfs/")
	for _, test := range []struct {
		limit int64
		err   string
	}{{0, "document is too large (limit: 4194304)"}, {6 << 20, ""}, {1 << 20, "document is too large (limit: 1048576)"}} {
		img, err := Open(Ref{Path: dir}, OpenOptions{Limits: Limits{JSON: test.limit}})
		if test.err != "" {
			wantError(t, err, test.err)
		} else if err != nil || img.Form != "bundle" {
			t.Errorf("limit %d: %v", test.limit, err)
		}
	}
}

// TestBundleConfig has documents that must be neither read whole nor waited for,
// and directories that are opened as something else.
func TestBundleConfig(t *testing.T) {
	const config = `{"ociVersion":"1.0.2","root":{"path":"none"}}`
	fifo := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(fifo, configFile), 0o600); err != nil {
		t.Fatal(err)
	}
	large := makeTree(t, t.TempDir(), "config.json="+`{"ociVersion":"1.0.2","x":"`+strings.Repeat("x", 5<<20)+`"}`)
	bundle := makeTree(t, t.TempDir(), "config.json="+config)
	for _, test := range []struct {
		ref    Ref
		limits Limits
		want   bool
	}{
		{Ref{Path: bundle}, Limits{}, true},
		{Ref{Transport: "bundle", Path: bundle}, Limits{}, true},
		{Ref{Transport: "layers", Path: bundle}, Limits{}, false},
		{Ref{Path: large}, Limits{}, false},
		{Ref{Path: large}, Limits{JSON: 6 << 20}, true},
		{Ref{Path: fifo}, Limits{}, false},
		{Ref{Transport: "bundle", Path: fifo}, Limits{}, false},
		{Ref{Path: makeTree(t, t.TempDir(), "config.json="+config, "oci-layout={}")}, Limits{}, false},
		{Ref{Path: makeTree(t, t.TempDir(), "config.json={}", "rootfs/")}, Limits{}, false},
		{Ref{Path: t.TempDir()}, Limits{}, false},
	} {
		if got := BundleConfig(test.ref, test.limits); (got != nil) != test.want {
			t.Errorf("%v with %+v: %d bytes, want some %v", test.ref, test.limits, len(got), test.want)
		}
	}
}
