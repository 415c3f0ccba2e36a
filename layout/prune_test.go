package layout

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPruneByKey removes what is named and nothing else, and says what can't be.
func TestPruneByKey(t *testing.T) {
	s := &Store{Dir: tempDir(t)}
	var keys []string
	for _, content := range []string{"1", "2", "3"} {
		img := imageOf(t, plainLayers(archive(t, file("f", content)))...)
		keys = append(keys, s.key(img))
		root, err := s.Rootfs(t.Context(), img)
		if err != nil {
			t.Fatal(err)
		}
		if content == "3" {
			defer root.Close()
		} else if err := root.Close(); err != nil {
			t.Fatal(err)
		}
	}
	removed, err := s.Prune(PruneOptions{Keys: []string{keys[0], "none"}}, time.Now())
	wantError(t, err, `cache: no root "none"`)
	if removed != nil {
		t.Errorf("removed %v", removed)
	}
	removed, err = s.Prune(PruneOptions{Keys: []string{keys[0], keys[2]}}, time.Now())
	wantError(t, err, "cache: root "+keys[2]+" is in use")
	if len(removed) != 1 || removed[0].Key != keys[0] {
		t.Errorf("removed %v", removed)
	}
	if left := names(t, s.Dir, "roots"); !slices.Equal(left, slices.Sorted(slices.Values(keys[1:]))) {
		t.Errorf("left %v", left)
	}
}

// TestForeignRoot has a root that the caller can't look at, as one that root has
// made in a user's cache: it is told of, and the others are looked after.
func TestForeignRoot(t *testing.T) {
	s := &Store{Dir: tempDir(t)}
	var dirs []string
	for _, content := range []string{"1", "2", "3"} {
		img := imageOf(t, plainLayers(archive(t, file("f", content)))...)
		used(t, s, img)
		dirs = append(dirs, filepath.Join(s.Dir, "roots", s.key(img)))
	}
	foreign := dirs[1]
	deny, want := func() error { return os.Chmod(foreign, 0) }, "permission denied"
	if os.Geteuid() == 0 {
		deny, want = func() error { return os.Chown(filepath.Join(foreign, metaName), 12345, -1) }, "belongs to uid 12345"
		if ownMaps() != "" {
			t.Skip("root of a user namespace trusts who is in it")
		}
	}
	if err := errors.Join(deny(), os.WriteFile(filepath.Join(dirs[2], rootfsName, "f"), []byte("x"), 0o644)); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(foreign, 0o700)
	told := func(what string, err error) {
		if err == nil || strings.Count(err.Error(), "cache: ") != 1 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want one fault with %q", what, err, want)
		}
	}
	list, err := s.List()
	told("list", err)
	if len(list) != 2 {
		t.Errorf("listed %v", list)
	}
	damage, err := s.Verify(t.Context())
	told("verify", err)
	if len(damage) == 0 || damage[0].Key != filepath.Base(dirs[2]) {
		t.Errorf("damage %v", damage)
	}
	removed, err := s.Prune(PruneOptions{All: true}, time.Now())
	told("prune", err)
	if left := names(t, s.Dir, "roots"); len(removed) != 2 || !slices.Equal(left, []string{filepath.Base(foreign)}) {
		t.Errorf("removed %v, left %v", removed, left)
	}
}

func TestListAndPrune(t *testing.T) {
	s := &Store{Dir: filepath.Join(tempDir(t), "cache")}
	if list, err := s.List(); err != nil || list != nil {
		t.Errorf("no cache: %v, %v", list, err)
	}
	if gone, err := s.Prune(PruneOptions{All: true}, time.Now()); err != nil || gone != nil {
		t.Errorf("no cache: %v, %v", gone, err)
	}
	now := time.Now()
	var images []*Image
	for i := range 4 {
		img := imageOf(t, plainLayers(archive(t, file(fmt.Sprint("f", i), strings.Repeat("x", 100<<10))))...)
		images = append(images, img)
		used(t, s, img)
		at := now.Add(-time.Duration(i) * time.Hour)
		if err := os.Chtimes(filepath.Join(s.Dir, "locks", s.key(img)), at, at); err != nil {
			t.Fatal(err)
		}
	}
	held, err := s.Rootfs(t.Context(), images[3])
	if err != nil {
		t.Fatal(err)
	}
	at := now.Add(-3 * time.Hour)
	os.Chtimes(filepath.Join(s.Dir, "locks", s.key(images[3])), at, at)
	list, err := s.List()
	if err != nil || len(list) != 4 {
		t.Fatal(list, err)
	}
	for i, e := range list {
		if e.Key != s.key(images[i]) || e.InUse != (i == 3) || e.Files != 1 || e.Size < 100<<10 || e.Own != e.Size ||
			e.Image != images[i].Name || e.Layers != 1 || e.ChainID != images[i].ChainID().String() {
			t.Errorf("%d: %+v", i, e)
		}
	}
	keys := func(list []CacheEntry, err error) string {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
		var got []string
		for _, e := range list {
			got = append(got, fmt.Sprint(slices.IndexFunc(images, func(img *Image) bool { return s.key(img) == e.Key })))
		}
		return strings.Join(got, " ")
	}
	if got := keys(s.Prune(PruneOptions{}, now)); got != "" {
		t.Errorf("no option: %s", got)
	}
	if got := keys(s.Prune(PruneOptions{OlderThan: 90 * time.Minute}, now)); got != "2" {
		t.Errorf("by age: %s", got)
	}
	if got := keys(s.Prune(PruneOptions{KeepBytes: 300 << 10}, now)); got != "1" {
		t.Errorf("by size: %s", got)
	}
	if got := keys(s.Prune(PruneOptions{All: true}, now)); got != "0" {
		t.Errorf("all: %s", got)
	}
	if got := keys(s.List()); got != "3" {
		t.Errorf("left: %s", got)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	os.Mkdir(filepath.Join(s.Dir, "roots", "foreign"), 0o700)
	if got := keys(s.Prune(PruneOptions{All: true}, now)); got != "3" {
		t.Errorf("after Close: %s", got)
	}
	for _, sub := range []string{"roots", "locks", "tmp"} {
		if left := names(t, s.Dir, sub); left != nil {
			t.Errorf("left in %s: %v", sub, left)
		}
	}
}
