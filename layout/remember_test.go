package layout

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// TestRemembered opens compressed archives again: without decompressing them,
// unless something else is wanted of them.
func TestRemembered(t *testing.T) {
	a, b := twoLayers(t, "a"), twoLayers(t, "b")
	saved := dockerSave(t, map[string]formsImage{"a:1": a, "b:1": b}, "a:1", "b:1")
	o := OpenOptions{Platform: "linux/amd64", TempDir: t.TempDir()}
	gz, zst := save(t, gzipped(saved)), save(t, zstded(saved))
	open := func(path, tag string, spooled bool) {
		t.Helper()
		img, err := Open(Ref{Path: path, Tag: tag}, o)
		if err != nil {
			t.Fatal(err)
		}
		if r := img.file.(*remembered); (r.file != nil) != spooled {
			t.Errorf("spooled: %v, want %v", r.file != nil, spooled)
		}
		wantTwoLayers(t, img, "docker-archive", tag[:1])
		if err := img.Close(); err != nil {
			t.Error(err)
		}
	}
	open(gz, "a:1", true)
	open(gz, "a:1", true) // too young to be remembered
	time.Sleep(rememberAge + 100*time.Millisecond)
	for _, path := range []string{gz, zst} {
		open(path, "a:1", true)
		open(path, "a:1", false)
		open(path, "b:1", true)
	}
	entries, err := os.ReadDir(filepath.Join(o.TempDir, rememberDir))
	if err != nil || len(entries) != 2 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	for _, e := range entries {
		name := filepath.Join(o.TempDir, rememberDir, e.Name())
		raw, err := os.ReadFile(name)
		if err == nil {
			raw[len(raw)/2] ^= 1
			err = os.WriteFile(name, raw, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	open(gz, "a:1", true) // damaged
	open(gz, "a:1", false)
	old := time.Now().Add(-rememberFor - time.Hour)
	if err := os.Chtimes(filepath.Join(o.TempDir, rememberDir, entries[0].Name()), old, old); err != nil {
		t.Fatal(err)
	}
	forget(filepath.Join(o.TempDir, rememberDir), rememberFor)
	if left, err := os.ReadDir(filepath.Join(o.TempDir, rememberDir)); err != nil || len(left) != 1 {
		t.Errorf("%d files, %v", len(left), err)
	}
	if err := os.WriteFile(gz, gzipped(dockerSave(t, map[string]formsImage{"b:1": b}, "b:1")), 0o644); err != nil {
		t.Fatal(err)
	}
	open(gz, "b:1", true)
}

// TestPruneArchives holds pruning to what is noted of archives, too.
func TestPruneArchives(t *testing.T) {
	s := &Store{Dir: filepath.Join(tempDir(t), "cache")}
	dir := filepath.Join(s.Dir, rememberDir)
	now := time.Now()
	for _, tt := range []struct {
		name string
		o    PruneOptions
		left int
	}{
		{"useless", PruneOptions{}, 2},
		{"old", PruneOptions{OlderThan: time.Hour}, 1},
		{"small enough", PruneOptions{KeepBytes: 1 << 30}, 2},
		{"too large", PruneOptions{KeepBytes: 1}, 0},
		{"all", PruneOptions{All: true}, 0},
	} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for i, age := range []time.Duration{-time.Minute, 2 * time.Hour} {
			note := filepath.Join(dir, strconv.Itoa(i))
			if err := os.WriteFile(note, []byte("note"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(note, now.Add(-age), now.Add(-age)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Prune(tt.o, now); err != nil {
			t.Fatal(err)
		}
		if left := names(t, dir); len(left) != tt.left {
			t.Errorf("%s: left %v, want %d", tt.name, left, tt.left)
		}
	}
}
