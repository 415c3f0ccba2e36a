package layout

import (
	"maps"
	"path/filepath"
	"testing"
	"time"
)

// TestProgress tells of unpacking, checking and removing, each to its end.
func TestProgress(t *testing.T) {
	img := imageOf(t, plainLayers(archive(t, file("a", "1")), archive(t, file("b", "2")))...)
	var last Progress
	s := &Store{Dir: tempDir(t), Progress: func(p Progress) { last = p }}
	used(t, s, img)
	size := img.Layers[0].Size + img.Layers[1].Size
	if want := (Progress{Step: Unpacking, Done: size, Total: size, Part: 2, Parts: 2}); last != want {
		t.Errorf("got %+v, want %+v", last, want)
	}
	other := imageOf(t, plainLayers(archive(t, file("c", "four"), hard("d", "c")))...)
	used(t, s, other)
	if damage, err := s.Verify(t.Context()); err != nil || len(damage) > 0 {
		t.Fatal(damage, err)
	}
	if want := (Progress{Step: Checking, Done: 1 + 1 + 2*4, Total: 1 + 1 + 2*4, Part: 2, Parts: 2}); last != want {
		t.Errorf("got %+v, want %+v", last, want)
	}
	removed, err := s.Prune(PruneOptions{All: true}, time.Now())
	if err != nil || len(removed) != 2 {
		t.Fatal(removed, err)
	}
	if want := (Progress{Step: Pruning, Done: removed[0].Own + removed[1].Own, Part: 2, Parts: 2}); last != want {
		t.Errorf("got %+v, want %+v", last, want)
	}
}

// TestExportProgress tells of the layers of an image, and of the directories
// that are made layers before they are written.
func TestExportProgress(t *testing.T) {
	layers := imageOf(t, plainLayers(archive(t, file("a", "1")), archive(t, file("b", "2")))...)
	dir := makeTree(t, tempDir(t), "etc/file=body")
	dirs, err := Open(Ref{Transport: "rootfs", Path: dir}, OpenOptions{Rootfs: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	for _, img := range []*Image{layers, dirs} {
		last := map[Step]Progress{}
		tell := func(p Progress) { last[p.Step] = p }
		to := filepath.Join(tempDir(t), "layout")
		if _, err := Export(t.Context(), img, to, ExportOptions{Progress: tell}); err != nil {
			t.Fatal(err)
		}
		made, err := Open(Ref{Path: to}, OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		size := made.Layers[0].Size + made.Layers[1].Size
		want := map[Step]Progress{Writing: {Step: Writing, Done: size, Total: size, Part: 2, Parts: 2}}
		if img == dirs {
			want[Hashing] = Progress{Step: Hashing, Done: size, Part: 2, Parts: 2}
		}
		if !maps.Equal(last, want) {
			t.Errorf("got %+v, want %+v", last, want)
		}
	}
}
