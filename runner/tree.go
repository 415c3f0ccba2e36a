package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// Tree is what a bind with an IDMap shows: a mount that is nowhere yet. It is
// made ahead of the sandbox, by who may, and goes with it into a user namespace
// in which nobody could make it.
type Tree struct {
	Bind bwrap.Bind // its Src and IDMap, and of Attr whether it is Single
	Err  error      // why there is none

	fd int // -1 where there is none, or it is mounted
}

// OpenTree makes the tree of a bind. Of the sandbox's mounts nobody has seen
// any by then: the kernel maps no ids of a mount that has been in use.
func OpenTree(b bwrap.Bind) *Tree {
	t := &Tree{Bind: b, fd: -1}
	t.fd, t.Err = openTree(b)
	return t
}

// Path is one by which the tree can be read, with the owners as it shows them,
// also where its source can't be reached; "" where there is no tree.
func (t *Tree) Path() string {
	if t.fd < 0 {
		return ""
	}
	return "/proc/self/fd/" + strconv.Itoa(t.fd)
}

// Close lets go of a tree that no sandbox has taken. The others are theirs.
func (t *Tree) Close() {
	if t.fd >= 0 {
		unix.Close(t.fd)
		t.fd = -1
	}
}

// Is says that the tree is that of a bind, by what is set in its own.
func (t *Tree) Is(b bwrap.Bind) bool {
	return t.Bind.Src == b.Src && t.Bind.Attr&bwrap.Single == b.Attr&bwrap.Single && reflect.DeepEqual(t.Bind.IDMap, b.IDMap)
}

func openTree(b bwrap.Bind) (int, error) {
	namespace, err := idMapNamespace(b.IDMap)
	if err != nil {
		return -1, err
	}
	defer namespace.Close()
	recursive := uint(unix.AT_RECURSIVE)
	if b.Attr&bwrap.Single != 0 {
		recursive = 0
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, b.Src, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|recursive)
	if err != nil {
		return -1, fmt.Errorf("bind %s: %w", b.Src, err)
	}
	// As with what the stage sees, nothing that is mounted in it comes out.
	err = unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|recursive, &unix.MountAttr{Propagation: unix.MS_SLAVE})
	if !b.IDMap.Recursive {
		recursive = 0
	}
	if err == nil {
		err = unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|recursive, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(namespace.Fd())})
	}
	if err == nil {
		return fd, nil
	}
	unix.Close(fd)
	switch {
	case err == unix.EPERM:
		return -1, fmt.Errorf("map the ids of %s, which is mapped already or not this root's to map: %w", b.Src, err)
	case err == unix.EINVAL && recursive != 0:
		return -1, fmt.Errorf("the file system of %s, or of what is mounted below it, can't be id-mapped: %w", b.Src, err)
	case err == unix.EINVAL:
		return -1, fmt.Errorf("the file system of %s can't be id-mapped: %w", b.Src, err)
	}
	return -1, fmt.Errorf("map the ids of %s: %w", b.Src, err)
}

// idMapNamespace is a user namespace with the map.
func idMapNamespace(m *bwrap.IDMap) (*os.File, error) {
	if m.Path != "" {
		return openKind(m.Path, "user")
	}
	// A warden of nothing ends at once. To stop it before would take ptrace(2),
	// which no process can use that is traced itself, and which a host can forbid.
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"oci2bwrap", wardenWord}, &syscall.ProcAttr{
		Env: childEnv, Sys: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: kernelMap(m.UIDs), GidMappings: kernelMap(m.GIDs)},
	})
	if err == unix.EINVAL {
		return nil, fmt.Errorf("the kernel takes no ranges of ids that are empty, overlap, end beyond 4294967294 or are more than 340: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("user namespace with the map: %w", err)
	}
	// A process has its namespaces until its end has been waited for.
	f, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", pid))
	unix.Kill(pid, unix.SIGKILL)
	for {
		if _, e := unix.Wait4(pid, nil, 0, nil); e != unix.EINTR {
			return f, err
		}
	}
}

// tree is what a bind shows.
func (m *stageMounter) tree(o bwrap.Bind, recursive uint) (int, error) {
	if o.IDMap == nil {
		return unix.OpenTree(unix.AT_FDCWD, o.Src, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|recursive)
	}
	for _, t := range m.trees {
		if t.fd >= 0 && t.Is(o) {
			fd := t.fd
			t.fd = -1
			return fd, nil
		}
	}
	return -1, errors.New("no mount with its ids mapped was made for it")
}

// wireTree is a Tree on its way into a user namespace.
type wireTree struct {
	Src    exact
	Single bool
	IDMap  *bwrap.IDMap
	Err    string
	FD     int // the number there; -1 for none
}

func treesWord(trees []*Tree, first int) (string, error) {
	var wired []wireTree
	for _, t := range trees {
		w := wireTree{Src: exact(t.Bind.Src), Single: t.Bind.Attr&bwrap.Single != 0, IDMap: t.Bind.IDMap, FD: -1}
		if t.Err != nil {
			w.Err = t.Err.Error()
		}
		if t.fd >= 0 {
			w.FD = first
			first++
		}
		wired = append(wired, w)
	}
	doc, err := json.Marshal(wired)
	return string(doc), err
}

func treeFiles(trees []*Tree) []uintptr {
	var files []uintptr
	for _, t := range trees {
		if t.fd >= 0 {
			files = append(files, uintptr(t.fd))
		}
	}
	return files
}

func closeTrees(trees []*Tree) {
	for _, t := range trees {
		t.Close()
	}
}

func readTrees(word string) ([]*Tree, error) {
	var wired []wireTree
	if err := json.Unmarshal([]byte(word), &wired); err != nil {
		return nil, err
	}
	var trees []*Tree
	for _, w := range wired {
		t := &Tree{Bind: bwrap.Bind{Src: string(w.Src), IDMap: w.IDMap}, fd: w.FD}
		if w.Single {
			t.Bind.Attr = bwrap.Single
		}
		if w.Err != "" {
			t.Err = errors.New(w.Err)
		}
		if t.fd >= 0 {
			unix.CloseOnExec(t.fd)
		}
		trees = append(trees, t)
	}
	return trees, nil
}
