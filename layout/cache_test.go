package layout

import (
	"archive/tar"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// used has an image's root in a cache, and returns its directory.
func used(t *testing.T, s *Store, img *Image) string {
	t.Helper()
	root, err := s.Rootfs(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	if err := root.Close(); err != nil {
		t.Fatal(err)
	}
	return root.Dirs[0]
}

// facts describes a tree with what snapshot leaves out: times, xattrs.
func facts(t *testing.T, root string) string {
	t.Helper()
	snap := snapshot(t, root)
	for name := range snap {
		var st unix.Stat_t
		path := filepath.Join(root, name)
		if err := unix.Lstat(path, &st); err != nil {
			t.Fatal(err)
		}
		value := make([]byte, 100)
		n, _ := unix.Lgetxattr(path, "user.note", value)
		snap[name] += fmt.Sprintf(" mtime %d.%d owner %d:%d note %q", st.Mtim.Sec, st.Mtim.Nsec, st.Uid, st.Gid, value[:max(n, 0)])
	}
	return render(snap)
}

func noted(e ent, note string) ent {
	e.PAXRecords = map[string]string{"SCHILY.xattr.user.note": note}
	e.Format = tar.FormatPAX
	return e
}

func inodeOf(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

// sharedLayers are a lower layer and several upper ones, each of which does
// something else to it.
func sharedLayers(t *testing.T) (lower []byte, uppers map[string][]byte) {
	later := func(e ent) ent { e.ModTime = testTime.Add(time.Hour); return e }
	mode := func(e ent, mode int64) ent { e.Mode = mode; return e }
	lower = archive(t,
		noted(folder("d", 0o750), "dir"), noted(file("d/f", "shared"), "file"), hard("d/g", "d/f"),
		folder("e", 0o755), file("e/x", "x"), file("e/sub/y", "y"), symlink("link", "d"),
		mode(file("suid", "s"), 0o4755), entry(tar.TypeFifo, "pipe", 0o600), device("null", 1, 3))
	return lower, map[string][]byte{
		"same":       archive(t, file("other", "1")),
		"content":    archive(t, later(file("d/f", "changed"))),
		"mode":       archive(t, mode(file("d/f", "shared"), 0o600)),
		"note":       archive(t, noted(file("d/f", "shared"), "another")),
		"remove":     archive(t, white("d/.wh.f")),
		"opaque":     archive(t, white("e/.wh..wh..opq"), file("e/z", "z")),
		"directory":  archive(t, later(noted(folder("d", 0o700), "other"))),
		"replaced":   archive(t, file("e", "no directory")),
		"to link":    archive(t, symlink("e", "d"), file("link/new", "n")),
		"hard":       archive(t, mode(hard("h", "d/f"), 0o777)),
		"to dir":     archive(t, white(".wh.suid"), file("suid/in", "1")),
		"all":        archive(t, white(".wh..wh..opq"), file("only", "1")),
		"twice":      archive(t, white(".wh.e"), file("e/x", "1"), file("e/x", "2")),
		"device":     archive(t, hard("null2", "null"), file("null", "file")),
		"below fifo": archive(t, file("pipe/x", "1")),
	}
}

// TestStoreSharesLayers: whatever a layer does to what it shares, its own root
// is as if unpacked alone, and no other root changes.
func TestStoreSharesLayers(t *testing.T) {
	lower, uppers := sharedLayers(t)
	for name, upper := range uppers {
		t.Run(name, func(t *testing.T) {
			s := &Store{Dir: tempDir(t)}
			third := archive(t, file("third", "3"))
			images := []*Image{
				imageOf(t, plainLayers(lower, upper, third)...),
				imageOf(t, plainLayers(lower, archive(t, file("side", "1")))...),
				imageOf(t, plainLayers(lower, upper)...),
				imageOf(t, plainLayers(lower)...),
			}
			var roots, before []string
			for i, img := range images {
				if i > 0 {
					img.Layers[0].open = nil // the lowest layer is not read again
				}
				root := used(t, s, img)
				alone := filepath.Join(tempDir(t), "alone")
				again := imageOf(t, plainLayers([][]byte{lower, upper, third}[:len(img.Layers)]...)...)
				if i == 1 {
					again = imageOf(t, plainLayers(lower, archive(t, file("side", "1")))...)
				}
				if err := Unpack(t.Context(), again, alone, UnpackOptions{}); err != nil {
					t.Fatal(err)
				}
				if got, want := facts(t, root), facts(t, alone); got != want {
					t.Errorf("image %d: got\n%swant\n%s", i, got, want)
				}
				roots, before = append(roots, root), append(before, facts(t, root))
			}
			for i, root := range roots {
				if got := facts(t, root); got != before[i] {
					t.Errorf("root %d was\n%sbecame\n%s", i, before[i], got)
				}
			}
			if inodeOf(t, filepath.Join(roots[1], "d/f")) != inodeOf(t, filepath.Join(roots[3], "d/f")) {
				t.Error("d/f is not shared")
			}
			if damage, err := s.Verify(t.Context()); err != nil || damage != nil {
				t.Errorf("damage: %v, %v", damage, err)
			}
			// What one root loses, the others keep.
			if _, err := s.Prune(PruneOptions{Keys: []string{s.key(images[0])}}, time.Now()); err != nil {
				t.Fatal(err)
			}
			if got := facts(t, roots[3]); got != before[3] {
				t.Errorf("after prune:\n%swas\n%s", got, before[3])
			}
		})
	}
}

// TestStoreSharesNoDamage: a root that can't be shared is not used.
func TestStoreSharesNoDamage(t *testing.T) {
	lower, upper := archive(t, file("a", "1"), file("d/b", "2")), archive(t, file("c", "3"))
	for name, harm := range map[string]func(dir string) error{
		"file is gone":   func(dir string) error { return os.Remove(dir + "/rootfs/d/b") },
		"record is gone": func(dir string) error { return os.Remove(dir + "/record") },
		"record is cut":  func(dir string) error { return os.Truncate(dir+"/record", 20) },
		"a link":         func(dir string) error { return os.Rename(dir+"/rootfs/d", dir+"/x") },
	} {
		s := &Store{Dir: tempDir(t)}
		root := used(t, s, imageOf(t, plainLayers(lower)...))
		if err := harm(filepath.Dir(root)); err != nil {
			t.Fatal(err)
		}
		if name == "a link" {
			os.Symlink("../x", root+"/d")
		}
		both := used(t, s, imageOf(t, plainLayers(lower, upper)...))
		if got := render(snapshot(t, both)); got != "a: file 0644 1\nc: file 0644 3\nd: dir 0755\nd/b: file 0644 2\n" {
			t.Errorf("%s: got\n%s", name, got)
		}
	}
}

func TestVerify(t *testing.T) {
	all := archive(t, noted(folder("d", 0o755), "n"), noted(file("d/f", "content"), "n"), file("g", "1"), symlink("l", "g"), entry(tar.TypeFifo, "p", 0o600),
		folder("closed", 0o400), file("closed/f", "2"))
	type harm func(root string) error
	chtimes := func(name string) harm {
		return func(root string) error { return os.Chtimes(root+name, time.Time{}, time.Unix(5, 0)) }
	}
	for _, test := range []struct {
		want string
		harm harm
	}{
		{"", func(string) error { return nil }},
		{"/d/f: content differs", func(r string) error { os.WriteFile(r+"/d/f", []byte("CONTENT"), 0); return chtimesTo(r + "/d/f") }},
		{"/d/f: size is 3 instead of 7", func(r string) error { os.Truncate(r+"/d/f", 3); return chtimesTo(r + "/d/f") }},
		{"/g: mode is 0600 instead of 0644", func(r string) error { return os.Chmod(r+"/g", 0o600) }},
		{"/closed: mode is 0500 instead of 0400", func(r string) error { return os.Chmod(r+"/closed", 0o500) }},
		{"/d: mode is 0700 instead of 0755", func(r string) error { return os.Chmod(r+"/d", 0o700) }},
		{"/g: mtime is 5 instead of 1000000000", chtimes("/g")},
		{`/d/f: extended attribute "user.note" differs`, func(r string) error { return unix.Setxattr(r+"/d/f", "user.note", []byte("x"), 0) }},
		{`/d: extended attribute "user.note" is missing`, func(r string) error { return unix.Removexattr(r+"/d", "user.note") }},
		{`/g: extended attribute "user.more" was added`, func(r string) error { return unix.Setxattr(r+"/g", "user.more", []byte("x"), 0) }},
		{"/g: is missing", func(r string) error { return os.Remove(r + "/g") }},
		{"/new: was added", func(r string) error { return os.WriteFile(r+"/new", nil, 0o600) }},
		{`/l: target is "/etc" instead of "g"`, func(r string) error { os.Remove(r + "/l"); return os.Symlink("/etc", r+"/l") }},
		{"/d: type is symlink instead of directory", func(r string) error { os.RemoveAll(r + "/d"); return os.Symlink("/etc", r+"/d") }},
		{"/g: type is fifo instead of file", func(r string) error { os.Remove(r + "/g"); return unix.Mkfifo(r+"/g", 0o600) }},
		{": the record of the root is damaged", func(r string) error { return os.Truncate(r+"/../record", 9) }},
		{": no root of this version", func(r string) error { return os.Remove(r + "/../meta.json") }},
		{": no root of this version", func(r string) error { return os.Rename(r, r+".gone") }},
	} {
		s := &Store{Dir: tempDir(t)}
		img := imageOf(t, plainLayers(all)...)
		root := used(t, s, img)
		if err := test.harm(root); err != nil {
			t.Fatal(err)
		}
		damage, err := s.Verify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range damage {
			if d.Key != s.key(img) {
				t.Errorf("key %s", d.Key)
			}
			got = append(got, d.Path+": "+d.What)
		}
		ok := slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(g, test.want) })
		if ok != (test.want != "") {
			t.Errorf("got %q, want %s", got, test.want)
		}
	}
}

func chtimesTo(path string) error { return os.Chtimes(path, time.Time{}, testTime) }

func TestTemporary(t *testing.T) {
	s := &Store{Dir: tempDir(t), Temporary: true}
	img := imageOf(t, plainLayers(archive(t, folder("closed", 0), file("closed/f", "1")))...)
	a, err := s.Rootfs(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Rootfs(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	used(t, &Store{Dir: s.Dir}, img) // sweeps
	for _, root := range []*Rootfs{a, b} {
		if got := names(t, root.Dirs[0]); !slices.Equal(got, []string{"closed"}) {
			t.Errorf("has %v", got)
		}
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := append(names(t, s.Dir, "tmp"), names(t, s.Dir, "locks")...); len(got) != 1 {
		t.Errorf("left %v", got)
	}
	bad := imageOf(t, stored{ociLayer, archive(t, file("x", "1")), []byte("other")})
	if _, err := s.Rootfs(t.Context(), bad); err == nil {
		t.Error("wrong diff_id was taken")
	}
	if got := append(names(t, s.Dir, "tmp"), names(t, s.Dir, "locks")...); len(got) != 1 {
		t.Errorf("left %v", got)
	}
}
