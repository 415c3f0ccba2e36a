package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert"
)

// TestInsideFS has the names of a sandbox that were checked become something
// else before they are opened.
func TestInsideFS(t *testing.T) {
	dir := t.TempDir()
	outside, root := filepath.Join(dir, "outside"), filepath.Join(dir, "root")
	for _, err := range []error{
		os.Mkdir(outside, 0o755), os.Mkdir(root, 0o755), os.Mkdir(root+"/real", 0o755),
		os.WriteFile(outside+"/passwd", []byte("evil:x:7:7::/:\n"), 0o644), os.WriteFile(root+"/real/passwd", []byte("app:x:8:9::/:\n"), 0o644),
		os.Symlink(outside, root+"/absolute"), os.Symlink("../outside", root+"/relative"), os.Symlink(outside+"/passwd", root+"/real/link"),
		os.Symlink("/real", root+"/etc"), unix.Mkfifo(root+"/real/fifo", 0o644), unix.Mkfifo(root+"/real/group", 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	inside, err := openInside(root)
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	for _, name := range []string{"absolute/passwd", "relative/passwd", "real/link", "real/fifo", "real"} {
		if f, err := inside.Open(name); err == nil {
			data, _ := io.ReadAll(f)
			t.Errorf("%s: read %q", name, data)
		}
	}
	if user, _, err := convert.ResolveUser(inside, "app"); err != nil || user.UID != 8 || user.GID != 9 {
		t.Errorf("got %v, %v", user, err)
	}
}
