package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestProgress exports a directory that takes longer than a second to read, at
// a terminal, and ends it when it says so. With --quiet it says nothing until
// then.
func TestProgress(t *testing.T) {
	root := t.TempDir()
	f, err := os.Create(filepath.Join(root, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	// No machine reads this in the time that the test takes, and it takes no room.
	if err := f.Truncate(1 << 40); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	t.Run("told", func(t *testing.T) {
		p := newTerminal(t)
		before := p.settings()
		p.start("", "export", "rootfs:"+root, filepath.Join(t.TempDir(), "out"))
		p.expect(`\r\x1b\[Khashing layer 1 of 1, [0-9.]+ [MG]iB, [0-9.]+ [MG]iB/s`)
		if err := p.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		p.expect(`/s\r\x1b\[Koci2bwrap: `)
		p.ends(125, before)
	})
	t.Run("not wanted", func(t *testing.T) {
		p := newTerminal(t)
		before := p.settings()
		p.start("", "export", "--quiet", "rootfs:"+root, filepath.Join(t.TempDir(), "out"))
		// Another one, started later, tells of itself after a second.
		other := newTerminal(t)
		other.start("", "export", "rootfs:"+root, filepath.Join(t.TempDir(), "out"))
		other.expect(`hashing layer`)
		if err := p.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		p.expect(`oci2bwrap: `)
		p.ends(125, before)
		if text := p.text.String(); strings.Contains(text, "layer 1 of 1,") {
			t.Errorf("%q", text)
		}
	})
}
