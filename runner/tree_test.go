package runner

import (
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// TestTreesWord holds that trees come into the user namespace as they were, by
// the numbers of the descriptors that are passed.
func TestTreesWord(t *testing.T) {
	var ends [2]int
	if err := unix.Pipe(ends[:]); err != nil {
		t.Fatal(err)
	}
	id := &bwrap.IDMap{UIDs: []bwrap.IDMapping{{Inside: 1, Outside: 4294967294, Size: 1}}, GIDs: []bwrap.IDMapping{{Size: 2}}, Recursive: true}
	trees := []*Tree{
		{Bind: bwrap.Bind{Src: "/a\xff", IDMap: id, Attr: bwrap.Single}, fd: ends[0]},
		{Bind: bwrap.Bind{Src: "/b", IDMap: &bwrap.IDMap{Path: "/ns"}}, Err: errors.New("why"), fd: -1},
		{Bind: bwrap.Bind{Src: "/c", IDMap: id}, fd: ends[1]},
	}
	word, err := treesWord(trees, ends[0]) // as if they got these numbers
	if err != nil {
		t.Fatal(err)
	}
	if files := treeFiles(trees); !slices.Equal(files, []uintptr{uintptr(ends[0]), uintptr(ends[1])}) {
		t.Errorf("descriptors %v", files)
	}
	back, err := readTrees(word)
	if err != nil || len(back) != len(trees) {
		t.Fatal(back, err)
	}
	for i, tree := range back {
		if want := trees[i]; !tree.Is(want.Bind) || !reflect.DeepEqual(tree.Err, want.Err) || (tree.fd < 0) != (want.fd < 0) || tree.Is(trees[(i+1)%3].Bind) {
			t.Errorf("%+v, want %+v", tree, want)
		}
	}
	if back[0].fd != ends[0] || back[2].fd != ends[0]+1 {
		t.Errorf("numbers %d and %d", back[0].fd, back[2].fd)
	}
	if flags, err := unix.FcntlInt(uintptr(ends[0]), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("the sandbox would have it: %d, %v", flags, err)
	}
	closeTrees(trees)
	if trees[0].Path() != "" {
		t.Error("closed, and still there")
	}
	if _, err := readTrees("x"); err == nil {
		t.Error("no trees were read as some")
	}
}

// TestTreeOnce holds that a stage gives a tree to the bind that it was made for,
// and to one alone, and that no mount is made without.
func TestTreeOnce(t *testing.T) {
	id := &bwrap.IDMap{Path: "/ns"}
	m := stageMounter{trees: []*Tree{{Bind: bwrap.Bind{Src: "/a", IDMap: id}, fd: 77}}}
	bind := bwrap.Bind{Src: "/a", Dst: "/d", ReadOnly: true, Attr: bwrap.NoExec, IDMap: &bwrap.IDMap{Path: "/ns"}}
	single, other := bind, bind
	single.Attr |= bwrap.Single
	other.IDMap = &bwrap.IDMap{Path: "/ns", Recursive: true}
	for i, want := range []int{-1, -1, 77, -1} {
		fd, err := m.tree([]bwrap.Bind{single, other, bind, bind}[i], 0)
		if fd != want || (err == nil) != (want > 0) {
			t.Errorf("%d: %d, %v", i, fd, err)
		}
	}
	if _, err := wireOps([]bwrap.Op{bind}); err == nil {
		t.Error("a stage that has no trees took the bind")
	}
}

// TestOpenTree makes trees where the kernel lets this user, and otherwise has
// its reason.
func TestOpenTree(t *testing.T) {
	dir := t.TempDir()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	if fs.Type == unix.OVERLAYFS_SUPER_MAGIC { // which can't be mapped
		var err error
		if dir, err = os.MkdirTemp("/dev/shm", "oci2bwrap-"); err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
	}
	all, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	real := os.Getuid() == 0 && slices.Equal(strings.Fields(string(all)), []string{"0", "0", "4294967295"})
	id := &bwrap.IDMap{UIDs: []bwrap.IDMapping{{Inside: uint32(os.Getuid()), Outside: 5000, Size: 1}}, GIDs: []bwrap.IDMapping{{Size: 1}}}
	tree := OpenTree(bwrap.Bind{Src: dir, IDMap: id})
	if !real {
		if tree.Err == nil || tree.Path() != "" {
			t.Errorf("%+v", tree)
		}
		return
	}
	if tree.Err != nil {
		t.Fatal(tree.Err)
	}
	var st unix.Stat_t
	if err := unix.Stat(tree.Path(), &st); err != nil || st.Uid != 5000 {
		t.Errorf("uid %d, %v", st.Uid, err)
	}
	tree.Close()
	for _, bad := range []bwrap.Bind{
		{Src: dir + "/none", IDMap: id},
		{Src: "/proc", IDMap: id, Attr: bwrap.Single},
		{Src: dir, IDMap: &bwrap.IDMap{Path: dir}},
		{Src: dir, IDMap: &bwrap.IDMap{Path: "/proc/self/ns/user"}},
		{Src: dir, IDMap: &bwrap.IDMap{UIDs: []bwrap.IDMapping{{Size: 2}, {Size: 2}}, GIDs: id.GIDs}},
	} {
		tree := OpenTree(bad)
		if tree.Err == nil || tree.Path() != "" {
			t.Errorf("%+v: %+v", bad, tree)
		}
		t.Log(tree.Err)
	}
}
