package layout

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

type entries = []ent

// unpackLayers applies layers as the caller and returns the root.
func unpackLayers(t *testing.T, o UnpackOptions, layers ...entries) (string, error) {
	t.Helper()
	var tars [][]byte
	for _, l := range layers {
		tars = append(tars, archive(t, l...))
	}
	img := imageOf(t, plainLayers(tars...)...)
	parent := tempDir(t)
	defer canary(t, parent)()
	root := filepath.Join(parent, "root")
	err := Unpack(t.Context(), img, root, o)
	if err != nil {
		if _, serr := os.Lstat(root); serr == nil {
			t.Errorf("after %v: the root is still there", err)
		}
	}
	return root, err
}

// TestAnyOrder applies an upper layer with its entries in every order: what a
// whiteout hides is what lower layers have, wherever it stands.
func TestAnyOrder(t *testing.T) {
	lower := entries{folder("d", 0o700), file("d/old", "1"), file("d/s/old", "1"), file("e", "1")}
	for _, upper := range []entries{
		{file("d/s/new", "n"), white("d/.wh..wh..opq"), white(".wh.e"), file("e", "2")},
		{file("d/s/new", "n"), white(".wh.d"), file("d/new", "m"), white("d/s/.wh.old")},
		{file("d/s/new", "n"), white("d/.wh..wh..opq"), white("d/s/.wh..wh..opq"), white("d/./.wh..wh..opq"), white(".wh.d")},
	} {
		want := ""
		permute(upper, func(order entries) {
			root, err := unpackLayers(t, UnpackOptions{}, lower, order)
			if err != nil {
				t.Fatal(err)
			}
			got := render(snapshot(t, root))
			if want == "" {
				want = got
			}
			if got != want || strings.Contains(got, "old") {
				t.Errorf("got:\n%swant:\n%s", got, want)
			}
		})
	}
}

// TestOpaqueTwice looks at a directory's entries once, however many markers a
// layer has for it.
func TestOpaqueTwice(t *testing.T) {
	root := tempDir(t)
	fd, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	a := newApplier(t.Context(), fd, UnpackOptions{})
	defer a.close()
	d, err := a.mkdir(a.root, "d")
	if err != nil {
		t.Fatal(err)
	}
	for layer := 1; layer < 3; layer++ {
		a.layer = layer
		old := filepath.Join(root, "d/old")
		if err := os.WriteFile(old, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		var looks [2]uint64 // handles asked for
		for i := range looks {
			before := a.clock
			if err := a.whiteout("d", opaqueName); err != nil {
				t.Fatal(err)
			}
			looks[i] = a.clock - before
		}
		if _, err := os.Lstat(old); err == nil || looks[0] == 0 || looks[1] != 0 {
			t.Errorf("layer %d: old is still there (%v), or looked %v times", layer, err, looks)
		}
		if got := names(t, filepath.Join(root, d.path())); len(got) > 0 {
			t.Errorf("layer %d: left %v", layer, got)
		}
	}
}

func permute(e entries, visit func(entries)) {
	var rec func(int)
	rec = func(n int) {
		if n == len(e) {
			visit(e)
			return
		}
		for i := n; i < len(e); i++ {
			e[n], e[i] = e[i], e[n]
			rec(n + 1)
			e[n], e[i] = e[i], e[n]
		}
	}
	rec(0)
}

func TestModesWhateverTheUmask(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o777} {
		img := imageOf(t, plainLayers(archive(t,
			entry('0', "suid", 0o4755), entry('0', "sgid", 0o2711), entry('0', "all", 0o666), entry('0', "none", 0),
			folder("sticky", 0o1777), folder("closed", 0), file("closed/f", "1"), folder("closed/ro", 0o555), file("closed/ro/f", "2"),
			entry('6', "pipe", 0o622), folder(".", 0o750), file("i/f", "3"),
		), archive(t,
			file("closed/g", "1"), file("closed/ro/f", "3"), white("closed/.wh.f"),
		))...)
		root := filepath.Join(tempDir(t), "root")
		old := syscall.Umask(umask)
		err := Unpack(t.Context(), img, root, UnpackOptions{})
		syscall.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Stat(root, &st); err != nil || st.Mode&0o7777 != 0o750 {
			t.Errorf("root: mode %o, %v", st.Mode, err)
		}
		if err := unix.Stat(filepath.Join(root, "pipe"), &st); err != nil || st.Mode&0o7777 != 0o622 {
			t.Errorf("pipe: mode %o, %v", st.Mode, err)
		}
		want := `all: file 0666 
closed: dir 0000
closed/g: file 0644 1
closed/ro: dir 0555
closed/ro/f: file 0644 3
i: dir 0755
i/f: file 0644 3
none: file 0000 
pipe: p---------
sgid: file 2711 
sticky: dir 1777
suid: file 4755 
`
		if got := render(snapshot(t, root)); got != want {
			t.Errorf("umask %o:\n%swant:\n%s", umask, got, want)
		}
	}
}

func TestTimesOwnersXattrs(t *testing.T) {
	f := file("d/f", "1")
	f.PAXRecords = map[string]string{
		"SCHILY.xattr.user.a": "1\x00\xff", "SCHILY.xattr.user.overlay.opaque": "y",
		"SCHILY.xattr.trusted.overlay.opaque": "y", "SCHILY.xattr.security.capability": "bad", "SCHILY.xattr.trusted.x": "y",
	}
	r := file("r", "1")
	r.Mode, r.PAXRecords = 0o444, map[string]string{"SCHILY.xattr.user.a": "1"}
	d := folder("d", 0o555)
	d.PAXRecords = map[string]string{"SCHILY.xattr.user.d": "1"}
	again := folder("d", 0o555)
	again.PAXRecords = map[string]string{"SCHILY.xattr.user.e": "2"}
	var skipped []Skipped
	root, err := unpackLayers(t, UnpackOptions{OnSkip: func(s Skipped) { skipped = append(skipped, s) }},
		entries{d, f, r, hard("h", "d/f"), symlink("s", "nowhere")}, entries{again})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"d", "d/f", "h", "r", "s"} {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(root, name), &st); err != nil {
			t.Fatal(err)
		}
		if st.Mtim.Sec != testTime.Unix() || st.Mtim.Nsec != 0 {
			t.Errorf("%s: time is %d", name, st.Mtim.Sec)
		}
		if int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid() {
			t.Errorf("%s: owner is %d:%d", name, st.Uid, st.Gid)
		}
	}
	if len(skipped) != 1 || skipped[0].Path != "d/f" || skipped[0].What != "file capability" {
		t.Errorf("skipped %v", skipped)
	}
	for path, want := range map[string]string{"d": "user.e\x00", "d/f": "user.a\x00", "r": "user.a\x00"} {
		buf := make([]byte, 100)
		n, err := unix.Llistxattr(filepath.Join(root, path), buf)
		if err == unix.EOPNOTSUPP {
			t.Skip("no extended attributes here")
		}
		if got := string(buf[:max(n, 0)]); err != nil || got != want {
			t.Errorf("%s has attributes %q, %v", path, got, err)
		}
	}
}

// TestSymlinkToNothing: the kernel calls a symlink without a target a file that
// is missing.
func TestSymlinkToNothing(t *testing.T) {
	_, err := unpackLayers(t, UnpackOptions{}, entries{symlink("d/s", "")})
	wantError(t, err, `entry "d/s": a symlink without a target`)
}
