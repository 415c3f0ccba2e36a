package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"
)

// TestUpperFS holds the view to what overlayfs shows: whiteouts, an opaque
// directory, a file over a directory, a link that is not followed.
func TestUpperFS(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"both", "opaque", "new"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{"both/upper": "u", "both/shared": "upper's", "opaque/x": "x", "replaced": "now a file"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"gone", "both/gone"} {
		if err := unix.Mknod(filepath.Join(dir, name), unix.S_IFCHR, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Setxattr(filepath.Join(dir, "opaque"), "user.overlay.opaque", []byte("y"), 0); err != nil {
		t.Skip("no user xattrs here: ", err)
	}
	if err := os.Symlink("/etc", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s), Mode: 0o644} }
	u := &upperFS{dir: dir, base: fstest.MapFS{
		"both/lower": file("l"), "both/shared": file("lower's"), "both/gone": file(""), "gone/below": file(""), "opaque/hidden": file(""),
		"replaced/below": file(""), "only": file("below"), "link/passwd": file(""),
	}}
	for name, want := range map[string]string{
		"both/upper": "u", "both/lower": "l", "both/shared": "upper's", "both/gone": "-", "gone": "-", "gone/below": "-", "opaque/x": "x",
		"opaque/hidden": "-", "replaced": "now a file", "replaced/below": "-", "only": "below", "link/passwd": "-", "link/passwd/x": "-", "none": "-",
	} {
		data, err := fs.ReadFile(u, name)
		got := string(data)
		if err != nil {
			got = "-"
		}
		if _, e := u.Lstat(name); (e != nil) != (err != nil) {
			t.Errorf("%s: lstat %v, open %v", name, e, err)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if target, err := u.ReadLink("link"); target != "/etc" || err != nil {
		t.Error(target, err)
	}
	for name, want := range map[string]string{".": "both link new only opaque replaced", "both": "lower shared upper", "opaque": "x", "new": ""} {
		entries, err := fs.ReadDir(u, name)
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if err != nil || strings.Join(names, " ") != want {
			t.Errorf("%s: %q %v, want %s", name, names, err, want)
		}
	}
}
