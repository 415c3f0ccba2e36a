package e2e_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
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

// TestProgressBeforeNotes unpacks an archive that comes slowly and of which there
// is something to say: that is on a line of its own.
func TestProgressBeforeNotes(t *testing.T) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for name, text := range map[string]string{
		"manifest.json": `[{"Config": "config.json", "Layers": []}]`,
		"config.json":   fmt.Sprintf(`{"architecture": %q, "os": "linux", "config": {"Cmd": ["/x"], "Env": ["NAME"]}, "rootfs": {"type": "layers", "diff_ids": []}}`, runtime.GOARCH),
	} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p := newTerminal(t)
	p.in = in
	before := p.settings()
	p.start("", "unpack", "-", filepath.Join(t.TempDir(), "bundle"))
	in.Close()
	// What is told after a second is what was read until then.
	if _, err := out.Write(archive.Next(1024)); err != nil {
		t.Fatal(err)
	}
	p.expect(`\r\x1b\[Kreading the archive, 1.0 KiB, [0-9]+ B/s`)
	if _, err := archive.WriteTo(out); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	p.expect(`\r\x1b\[Koci2bwrap: note: .*NAME`)
	p.ends(0, before)
}
