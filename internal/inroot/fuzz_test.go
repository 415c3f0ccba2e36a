package inroot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// FuzzResolve compares with the kernel. script is a tree, one entry a line:
// "d PATH", "f PATH" or "l PATH TARGET".
func FuzzResolve(f *testing.F) {
	for _, seed := range [][2]string{
		{"d a/b\nf a/f\nl abs /a/b\nl rel a/../a/./b\nl up ../../../a", "abs/../../up/b"},
		{"f a/f\nl l /a/f/\nl m l", "m/"},
		{"f a/f\nl l a/f", "l/.."},
		{"d d\nl l d\nl m l/", "m//"},
		{"l self self", "self"},
		{"l self self/x", "self"},
		{"l dang nowhere/x", "dang/y/"},
		{"l dang nowhere/../x\nd x", "dang"},
		{"d x", "../x/../../x/."},
		{"d x", "/"},
		{"d x", ""},
		{"d a\nl a/l ..\nl k a/l/a/l/a", "k/l/k"},
		{chain(40), "l0"},
		{chain(41), "l0"},
		{chain(41), "l0/"},
		{"d a", "a/" + strings.Repeat("n", 256)},
		{"f a", "a/" + strings.Repeat("n", 256)},
		{"d a", "nil/" + strings.Repeat("n", 256)},
		{"d a", strings.Repeat("a/../", 819)},
		{"d a", strings.Repeat("a/../", 818) + "aaaaa"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(check)
}

// FuzzResolveSmall is FuzzResolve over three names only, where links and
// directories meet more often than in random text.
func FuzzResolveSmall(f *testing.F) {
	f.Add([]byte("\x00\x05\x12\x09\x33\x0a\x41\x07\x81\x15\x22\x10"), []byte("\x05\x09\x33"))
	f.Add([]byte("\x02\x05\x05\x02\x02\x21\x16\x08\x01\x0d"), []byte("\x25\x08\x0d\x09"))
	f.Fuzz(func(t *testing.T, tree, name []byte) {
		var b strings.Builder
		for ; len(tree) >= 5; tree = tree[5:] {
			fmt.Fprintf(&b, "%c %s %s\n", "dfll"[tree[0]%4], spell(tree[1:3]), spell(tree[3:5]))
		}
		if len(name) <= 64 {
			check(t, b.String(), spell(name))
		}
	})
}

// spell makes a path with a component and its slashes of every byte.
func spell(code []byte) string {
	var b strings.Builder
	for _, c := range code {
		b.WriteString([]string{"", "/", "//"}[(c>>3)%3])
		b.WriteString([]string{"a", "b", "c", "..", ".", "a/b", "a/..", ""}[c%8])
		b.WriteString([]string{"/", "/", "", "//"}[c>>6])
	}
	return b.String()
}

func check(t *testing.T, script, name string) {
	dir := t.TempDir()
	plant(t, dir, script)
	rootfd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(rootfd)
	fsys := os.DirFS(dir).(fs.ReadLinkFS)
	for _, c := range []struct {
		flags uint64
		call  func(fs.ReadLinkFS, string) (Path, error)
	}{{0, Resolve}, {unix.O_NOFOLLOW, ResolveParent}} {
		got, err := c.call(fsys, name)
		if errors.Is(err, fs.ErrInvalid) && !(utf8.ValidString(script) && utf8.ValidString(name)) {
			continue // no name for an os.DirFS
		}
		if msg := compare(dir, rootfd, name, c.flags, got, err); msg != "" {
			t.Errorf("tree:\n%s\nname %q, flags %#x: %s", script, name, c.flags, msg)
		}
	}
}

// chain is n links to a directory, l0 first.
func chain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "l l%d l%d\n", i, i+1)
	}
	fmt.Fprintf(&b, "d l%d\n", n)
	return b.String()
}

// plant makes the tree, what can't be made of it left out. Parents are made
// through an os.Root, so that no link of the script leads out of dir.
func plant(t *testing.T, dir, script string) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for i, line := range strings.Split(script, "\n") {
		kind, rest, _ := strings.Cut(line, " ")
		path, target, _ := strings.Cut(rest, " ")
		if path = filepath.Clean("/" + path)[1:]; path == "" || i > 100 {
			continue
		}
		root.MkdirAll(filepath.Dir(path), 0o755)
		switch kind {
		case "d":
			root.MkdirAll(path, 0o755)
		case "f":
			root.WriteFile(path, nil, 0o644)
		case "l":
			root.Symlink(target, path)
		}
	}
}

func compare(dir string, rootfd int, name string, flags uint64, got Path, err error) string {
	st, kerr := kernel(rootfd, name, flags)
	switch {
	case kerr == nil:
		if err != nil || got.Missing != "" {
			return fmt.Sprintf("kernel finds inode %d, we say %+v, %v", st.Ino, got, err)
		}
		var ours unix.Stat_t
		if e := unix.Lstat(dir+got.Name, &ours); e != nil || ours.Ino != st.Ino || ours.Dev != st.Dev {
			return fmt.Sprintf("kernel finds inode %d, we %d at %q, %v", st.Ino, ours.Ino, got.Name, e)
		}
	case errors.Is(kerr, unix.ENOENT):
		if err == nil && got.Missing != "" {
			return wantMissing(dir, got)
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrNameTooLong) {
			return fmt.Sprintf("kernel says %v, we %+v, %v", kerr, got, err)
		}
	default:
		want := map[error]error{unix.ELOOP: ErrLoop, unix.ENOTDIR: ErrNotDir, unix.ENAMETOOLONG: ErrNameTooLong, unix.EINVAL: fs.ErrInvalid}[kerr]
		if want == nil || !errors.Is(err, want) {
			return fmt.Sprintf("kernel says %v, we %+v, %v", kerr, got, err)
		}
	}
	return ""
}

// wantMissing checks the promise of Path for something that is missing.
func wantMissing(dir string, got Path) string {
	var st unix.Stat_t
	switch {
	case got.Name != filepath.Clean(got.Name) || !strings.HasPrefix(got.Name+"/", got.Missing+"/"):
		return fmt.Sprintf("no clean path below what is missing: %+v", got)
	case unix.Lstat(dir+got.Missing, &st) == nil:
		return fmt.Sprintf("%q exists", got.Missing)
	case unix.Lstat(dir+filepath.Dir(got.Missing), &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return fmt.Sprintf("nothing can be made at %q", got.Missing)
	}
	return ""
}

func kernel(rootfd int, name string, flags uint64) (st unix.Stat_t, err error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC | flags, Resolve: unix.RESOLVE_IN_ROOT}
	for {
		fd, err := unix.Openat2(rootfd, name, &how)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue // a rename anywhere on the machine while it climbed
		}
		if err != nil {
			return st, err
		}
		defer unix.Close(fd)
		return st, unix.Fstat(fd, &st)
	}
}
