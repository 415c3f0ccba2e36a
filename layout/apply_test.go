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

var layerRules = []struct {
	name   string
	layers []entries
	want   string // snapshot, names and content; modes of files 0644, of directories 0755 are left out
}{
	{"empty layer", []entries{{}}, ""},
	{"names are below the root", []entries{{file("/abs", "1"), file("./dot", "2"), file("a/../b", "3"), folder("./", 0o755)}},
		"abs: file 1\nb: file 3\ndot: file 2\n"},
	{"implied parents", []entries{{file("a/b/c", "1")}}, "a: dir\na/b: dir\na/b/c: file 1\n"},
	{"last of duplicates wins", []entries{{file("f", "1"), file("f", "2"), folder("d", 0o755), file("d", "x"), symlink("s", "f"), file("s", "y")}},
		"d: file x\nf: file 2\ns: file y\n"},
	{"link and file of one name", []entries{{file("f", "1"), hard("g", "f"), file("g", "2")}}, "f: file 1\ng: file 2\n"},
	{"write over a link doesn't go through it", []entries{{file("f", "1"), symlink("s", "f")}, {file("s", "2")}}, "f: file 1\ns: file 2\n"},
	{"type changes", []entries{
		{folder("d", 0o755), file("d/x", "x"), file("f", "f"), symlink("l", "d"), symlink("m", "f")},
		{file("d", "1"), folder("f", 0o755), file("f/y", "y"), folder("l", 0o755), folder("m", 0o755)},
	}, "d: file 1\nf: dir\nf/y: file y\nl: dir\nm: dir\n"},
	{"directory over directory merges", []entries{{folder("d", 0o700), file("d/x", "x")}, {folder("d", 0o755), file("d/y", "y")}},
		"d: dir\nd/x: file x\nd/y: file y\n"},
	{"directory over a link of the same layer", []entries{{folder("t", 0o755), symlink("l", "t"), folder("l", 0o755), file("l/f", "1")}},
		"l: dir\nl/f: file 1\nt: dir\n"},
	{"link of a lower layer is followed", []entries{{folder("run", 0o755), folder("var", 0o755), symlink("var/run", "/run")}, {file("var/run/f", "1")}},
		"run: dir\nrun/f: file 1\nvar: dir\nvar/run: link /run\n"},
	{"links out of the root end in it", []entries{{symlink("l", "../../../canary"), symlink("m", "/canary"), file("l/f", "1"), file("m/g", "2")}},
		"canary: dir\ncanary/f: file 1\ncanary/g: file 2\nl: link ../../../canary\nm: link /canary\n"},
	{"link to a missing directory", []entries{{symlink("l", "a/b"), file("l/f", "1")}}, "a: dir\na/b: dir\na/b/f: file 1\nl: link a/b\n"},
	{"link chain", []entries{{folder("d/e", 0o755), symlink("a", "b/.."), symlink("b", "d/e"), file("a/f", "1")}},
		"a: link b/..\nb: link d/e\nd: dir\nd/e: dir\nd/f: file 1\n"},
	{"a path is resolved anew after a link changed", []entries{{folder("x", 0o755), folder("y", 0o755), symlink("l", "x"), file("l/1", "1"), symlink("l", "y"), file("l/2", "2")}},
		"l: link y\nx: dir\nx/1: file 1\ny: dir\ny/2: file 2\n"},
	{"file of a lower layer as parent", []entries{{file("a", "1")}, {file("a/b", "2")}}, "a: dir\na/b: file 2\n"},
	{"hard links", []entries{{file("f", "1"), hard("g", "/f"), symlink("s", "f"), hard("t", "s")}, {hard("d/h", "f"), hard("f", "f")}},
		"d: dir\nd/h: file 1\nf: file 1\ng: file 1\ns: link f\nt: link f\n"},
	{"hard link over a directory", []entries{{file("f", "1"), file("d/x", "x"), hard("d", "f")}}, "d: file 1\nf: file 1\n"},
	{"hard link through a link", []entries{{file("d/f", "1"), symlink("l", "/d"), hard("g", "l/f")}}, "d: dir\nd/f: file 1\ng: file 1\nl: link /d\n"},
	{"whiteouts", []entries{
		{file("d/x", "x"), file("d/y", "y"), file("f", "f"), symlink("l", "d"), folder("e/sub", 0o755), file("e/sub/z", "z")},
		{white("d/.wh.x"), white(".wh.f"), white(".wh.l"), white(".wh.e"), white(".wh.none"), white("none/.wh.x")},
	}, "d: dir\nd/y: file y\n"},
	{"whiteout of any type", []entries{{file("f", "1"), file("g", "1")}, {folder(".wh.f", 0o755), symlink(".wh.g", "x")}}, ""},
	{"whiteout of a link spares its target", []entries{{file("d/x", "x"), symlink("l", "d")}, {white(".wh.l")}}, "d: dir\nd/x: file x\n"},
	{"whiteout through a link", []entries{{file("d/x", "x"), symlink("l", "/d")}, {white("l/.wh.x")}}, "d: dir\nl: link /d\n"},
	{"whiteout through a link that leaves the root", []entries{{symlink("l", "../canary")}, {white("l/.wh.keep"), white("l/.wh..wh..opq")}}, "l: link ../canary\n"},
	{"opaque first", []entries{{file("d/x", "x"), file("d/s/y", "y")}, {white("d/.wh..wh..opq"), file("d/n", "n")}}, "d: dir\nd/n: file n\n"},
	{"opaque last", []entries{{file("d/x", "x"), file("d/s/y", "y")}, {file("d/n", "n"), file("d/s/m", "m"), white("d/.wh..wh..opq")}},
		"d: dir\nd/n: file n\nd/s: dir\nd/s/m: file m\n"},
	{"opaque root", []entries{{file("x", "x"), file("s/y", "y")}, {file("n", "n"), white(".wh..wh..opq")}}, "n: file n\n"},
	{"own content survives a whiteout", []entries{{file("d/x", "x"), file("f", "1")}, {file("d/s/n", "n"), file("f", "2"), white(".wh.d"), white(".wh.f")}},
		"d: dir\nd/s: dir\nd/s/n: file n\nf: file 2\n"},
	{"own link to a lower file survives", []entries{{file("f", "1")}, {hard("g", "f"), white(".wh.g"), white(".wh.f")}}, "g: file 1\n"},
	{"own directory survives without the lower one's content", []entries{{folder("d", 0o700), file("d/x", "x")}, {folder("d", 0o755), white(".wh.d")}}, "d: dir\n"},
	{"implied parent takes nothing from what is whited out", []entries{{folder("d", 0o700), file("d/x", "x")}, {file("d/n", "n"), white(".wh.d")}}, "d: dir\nd/n: file n\n"},
	{"whiteouts in the lowest layer", []entries{{file("f", "1"), white(".wh.f"), file("d/x", "x"), white("d/.wh..wh..opq")}}, "d: dir\nd/x: file x\nf: file 1\n"},
	{"aufs's own files", []entries{{folder(".wh..wh.plnk", 0o755), file(".wh..wh.plnk/1.2", "x"), file(".wh..wh.aufs", ""), file("f", "1")}}, "f: file 1\n"},
	{"names that are no whiteouts", []entries{{file(".whx", "1"), file("x.wh.y", "2")}}, ".whx: file 1\nx.wh.y: file 2\n"},
	{"device replaces", []entries{{file("null", "1")}, {device("null", 1, 3), hard("zero", "null")}}, ""},
	{"device that becomes a file", []entries{{device("null", 1, 3), file("null", "1"), hard("n", "null")}}, "n: file 1\nnull: file 1\n"},
	{"long names", []entries{{file(strings.Repeat("d/", 100)+strings.Repeat("n", 250), "1"), white(".wh.x")}, {white(".wh.d")}}, ""},
}

// brief leaves the usual modes out of a snapshot.
func brief(snap map[string]string) string {
	return strings.NewReplacer("file 0644 ", "file ", "dir 0755", "dir").Replace(render(snap))
}

func TestLayerRules(t *testing.T) {
	for _, test := range layerRules {
		t.Run(test.name, func(t *testing.T) {
			root, err := unpackLayers(t, UnpackOptions{}, test.layers...)
			if err != nil {
				t.Fatal(err)
			}
			if got := brief(snapshot(t, root)); got != test.want {
				t.Errorf("got:\n%swant:\n%s", got, test.want)
			}
		})
	}
}

func TestRefusedEntries(t *testing.T) {
	for _, test := range []struct {
		name   string
		layers []entries
		want   string
	}{
		{"above the root", []entries{{file("../x", "")}}, `entry "../x": climbs above the root`},
		{"above the root in the middle", []entries{{file("a/../../x", "")}}, "climbs above the root"},
		{"absolute above the root", []entries{{file("/../x", "")}}, "climbs above the root"},
		{"root as a file", []entries{{file(".", "")}}, "the root can only be a directory"},
		{"root as a link", []entries{{symlink("/", "/canary")}}, "the root can only be a directory"},
		{"root as a hard link", []entries{{file("f", ""), hard(".", "f")}}, "the root can only be a directory"},
		{"hard link above the root", []entries{{hard("x", "../canary/keep")}}, "climbs above the root"},
		{"hard link through a link out of the root", []entries{{symlink("l", "../canary"), hard("x", "l/keep")}}, "no such file"},
		{"hard link before its target", []entries{{hard("x", "f"), file("f", "")}}, `hard link to "f": no such file`},
		{"hard link to a directory", []entries{{folder("d", 0o755), hard("x", "d")}}, "directory can't be linked"},
		{"hard link to the root", []entries{{hard("x", "/")}}, "directory can't be linked"},
		{"hard link to what it replaces", []entries{{file("d/f", ""), hard("d", "d/f")}}, "hard link to"},
		{"whiteout of nothing", []entries{{}, {white("d/.wh.")}}, "no name"},
		{"whiteout of dot", []entries{{}, {white(".wh..")}}, "no name"},
		{"whiteout of dotdot", []entries{{}, {white("d/.wh...")}}, "no name"},
		{"below a whiteout", []entries{{file(".wh.d/x", "")}}, "below a whiteout"},
		{"below a link to a whiteout", []entries{{symlink("l", ".wh.d"), file("l/x", "")}}, "whiteout"},
		{"below a file", []entries{{file("a", ""), file("a/b", "")}}, `"a" is not a directory`},
		{"below a file of the same upper layer", []entries{{file("a", "")}, {file("a", "2"), file("a/b", "")}}, `"a" is not a directory`},
		{"link loop", []entries{{symlink("a", "b"), symlink("b", "a"), file("a/f", "")}}, "too many levels of symbolic links"},
		{"link to nothing", []entries{{symlink("a", "")}}, `entry "a"`},
		{"unknown type", []entries{{entry('Z', "x", 0o644)}}, `unsupported type 'Z'`},
		{"device number", []entries{{device("d", 1<<12, 0)}}, "device number 4096:0 is out of range"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := unpackLayers(t, UnpackOptions{}, test.layers...)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, test.want)
			}
		})
	}
}

// TestAnyOrder applies an upper layer with its entries in every order: what a
// whiteout hides is what lower layers have, wherever it stands.
func TestAnyOrder(t *testing.T) {
	lower := entries{folder("d", 0o700), file("d/old", "1"), file("d/s/old", "1"), file("e", "1")}
	for _, upper := range []entries{
		{file("d/s/new", "n"), white("d/.wh..wh..opq"), white(".wh.e"), file("e", "2")},
		{file("d/s/new", "n"), white(".wh.d"), file("d/new", "m"), white("d/s/.wh.old")},
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
	d := folder("d", 0o555)
	d.PAXRecords = map[string]string{"SCHILY.xattr.user.d": "1"}
	again := folder("d", 0o555)
	again.PAXRecords = map[string]string{"SCHILY.xattr.user.e": "2"}
	var skipped []Skipped
	root, err := unpackLayers(t, UnpackOptions{OnSkip: func(s Skipped) { skipped = append(skipped, s) }},
		entries{d, f, hard("h", "d/f"), symlink("s", "nowhere")}, entries{again})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"d", "d/f", "h", "s"} {
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
	for path, want := range map[string]string{"d": "user.e\x00", "d/f": "user.a\x00"} {
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
