package layout

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// scenario decodes the fuzzer's bytes into layers: two bytes an entry choose
// type and name, the next two what it points to.
func scenario(data []byte) []entries {
	parts := []string{"a", "b", "c", "..", "/", ".", ".wh.a", ".wh.b", ".wh..wh..opq", ".wh.", "canary", "../..", "/canary", "keep", "a/b", "b/a"}
	name := func(b byte) string { return parts[b>>4] + "/" + parts[b&15] }
	layers := []entries{{}}
	for len(data) >= 3 && len(layers) < 6 {
		kind, n, target := data[0], data[1], data[2]
		data = data[3:]
		last := &layers[len(layers)-1]
		path := name(n)
		if kind&0x80 != 0 {
			path = parts[n&15]
		}
		mode := int64(kind&0x70) * 9 // with some that lock out their owner
		switch kind & 7 {
		case 0:
			layers = append(layers, entries{})
		case 1, 2:
			*last = append(*last, folder(path, mode))
		case 3:
			*last = append(*last, symlink(path, name(target)))
		case 4:
			*last = append(*last, hard(path, name(target)))
		case 5:
			*last = append(*last, symlink(path, parts[target&15]))
		default:
			f := file(strings.TrimSuffix(path, "/"), fmt.Sprint(n))
			f.Mode = mode
			*last = append(*last, f)
		}
	}
	return layers
}

// FuzzLayers applies arbitrary layers: nothing outside the root changes,
// nothing inside is called .wh.*, a second run gives the same, and a failure
// leaves nothing.
func FuzzLayers(f *testing.F) {
	f.Add([]byte{1, 0x00, 0, 3, 0x80, 0xaa, 6, 0x8d, 0})
	f.Add([]byte{0x85, 0x00, 0x0c, 0x86, 0x0e, 0, 0, 0, 0, 0x86, 0x06, 0, 6, 0x18, 0})
	f.Add([]byte{0x83, 0x01, 0x3a, 6, 0x1d, 0, 0x84, 0x02, 0x1d, 0, 0, 0, 0x81, 0x01, 0, 6, 0x18, 0, 6, 0x1a, 0})
	f.Add([]byte{0x81, 0, 0, 6, 1, 0, 6, 2, 0, 0, 0, 0, 6, 1, 0, 0x86, 6, 0})
	for _, rule := range []string{"\x06\x0e\x00\x03\x01\x00\x06\x1e\x00", "\x85\x01\x0b\x86\x1a\x00"} {
		f.Add([]byte(rule))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var tars [][]byte
		for _, l := range scenario(data) {
			for i := range l {
				l[i].Name = strings.TrimRight(l[i].Name, "/")
				if l[i].Name == "" {
					l[i].Name = "."
				}
			}
			tars = append(tars, archive(t, l...))
		}
		img := imageOf(t, plainLayers(tars...)...)
		parent := tempDir(t)
		check := canary(t, parent)
		root := filepath.Join(parent, "root")
		var runs [2]string
		for i := range runs {
			err := Unpack(context.Background(), img, root, UnpackOptions{})
			check()
			if err != nil {
				if _, serr := os.Lstat(root); serr == nil {
					t.Fatalf("after %v: the root is still there", err)
				}
				runs[i] = err.Error()
				continue
			}
			snap := snapshot(t, root)
			for name := range snap {
				if strings.HasPrefix(filepath.Base(name), whiteoutPrefix) {
					t.Errorf("the root has %s", name)
				}
			}
			runs[i] = render(snap)
			if err := removePath(root); err != nil {
				t.Fatal(err)
			}
		}
		if runs[0] != runs[1] {
			t.Errorf("two runs differ:\n%s\n%s", runs[0], runs[1])
		}
	})
}

// TestWalkAsTheKernel holds the resolution of parents to
// openat2(RESOLVE_IN_ROOT).
func TestWalkAsTheKernel(t *testing.T) {
	root, err := unpackLayers(t, UnpackOptions{}, entries{
		folder("a/b/c", 0o755), folder("d", 0o755), file("f", ""), symlink("up", ".."), symlink("a/up", "../.."), symlink("a/out", "../../../d"),
		symlink("abs", "/a/b"), symlink("a/b/abs", "/d/"), symlink("loop", "loop"), symlink("dangling", "a/none"), symlink("tofile", "f"),
		symlink("chain", "abs/../up/./abs"), symlink("slash", "/"), symlink("a/b/dots", "..//../a/./b"),
	})
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	tree := newTree(fd)
	defer tree.close()
	adopt(t, tree, tree.root, root)
	parts := []string{"a", "b", "c", "d", "f", "up", "out", "abs", "loop", "dangling", "tofile", "chain", "slash", "dots", "none"}
	for _, x := range parts {
		for _, y := range parts {
			for _, z := range append(parts, "") {
				path := strings.TrimSuffix(x+"/"+y+"/"+z, "/")
				d, err := tree.walk(path, false)
				got := "none"
				if err == nil && d != nil {
					got = filepath.Join(root, d.path())
				}
				if want := kernelPath(fd, path); got != want {
					t.Errorf("%s: got %s, want %s (%v)", path, got, want, err)
				}
			}
		}
	}
}

// adopt makes the directories on disk known to a tree.
func adopt(t *testing.T, tr *tree, d *dir, path string) {
	for _, name := range names(t, path) {
		if info, err := os.Lstat(filepath.Join(path, name)); err == nil && info.IsDir() {
			child := newTree(-1).newDir(d, name)
			if d.children == nil {
				d.children = map[string]*dir{}
			}
			d.children[name] = child
			adopt(t, tr, child, filepath.Join(path, name))
		}
	}
}

func kernelPath(root int, path string) string {
	fd, err := openat2(root, path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return "none"
	}
	defer unix.Close(fd)
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return err.Error()
	}
	return name
}
