package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// The view follows overlayfs: what a directory entry hides, merges and
// whites out.
func TestMergedFS(t *testing.T) {
	dirs := make([]string, 3)
	for i, files := range []string{
		"a/low a/both b/x c/gone d/old/x f/inside/x",
		"a/both a/mid c/.wh.gone c/kept d/.wh..wh..opq d/new f",
		"b .wh.e a/.wh.mid",
	} {
		dirs[i] = t.TempDir()
		for _, f := range strings.Fields(files) {
			os.MkdirAll(filepath.Join(dirs[i], filepath.Dir(f)), 0o755)
			if err := os.WriteFile(filepath.Join(dirs[i], f), []byte{byte('0' + i)}, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	m, err := merge(dirs, []bwrap.Whiteouts{
		{Lower: 1, Markers: []string{"c/.wh.gone", "d/.wh..wh..opq"}, Hidden: []string{"c/gone"}, Opaque: []string{"d"}},
		{Lower: 2, Markers: []string{".wh.e", "a/.wh.mid"}, Hidden: []string{"e", "a/mid"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = fs.WalkDir(m, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() {
			b, err := fs.ReadFile(m, name)
			if err != nil {
				return err
			}
			got = append(got, name+"="+string(b))
		}
		return nil
	})
	const want = "a/both=1 a/low=0 b=2 c/kept=1 d/new=1 f=1"
	if s := strings.Join(got, " "); err != nil || s != want {
		t.Errorf("got  %s, %v\nwant %s", s, err, want)
	}
	for _, gone := range []string{"a/mid", "b/x", "c/gone", "d/old", "f/inside", "e", ".wh.e", "../x"} {
		if _, err := m.Lstat(gone); err == nil {
			t.Errorf("%s is seen", gone)
		}
	}
}
