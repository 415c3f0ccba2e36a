package layout

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// tree makes directories, files and links below dir: "d/", "f=body",
// "l->target", and for root "c!" for an overlayfs whiteout.
func makeTree(t testing.TB, dir string, paths ...string) string {
	t.Helper()
	for _, p := range paths {
		name, body, isFile := strings.Cut(p, "=")
		link, target, isLink := strings.Cut(p, "->")
		full := filepath.Join(dir, strings.TrimSuffix(name, "!"))
		if isLink {
			full = filepath.Join(dir, link)
		}
		err := os.MkdirAll(filepath.Dir(full), 0o755)
		switch {
		case err != nil:
		case isLink:
			err = os.Symlink(target, full)
		case isFile:
			err = os.WriteFile(full, []byte(body), 0o644)
		case strings.HasSuffix(name, "!"):
			err = unix.Mknod(full, unix.S_IFCHR, 0)
		default:
			err = os.MkdirAll(full, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const wholeConfig = `{"os":"linux","architecture":"amd64","config":{"Cmd":["/run"]}}`

func TestUnpackedImage(t *testing.T) {
	elsewhere := makeTree(t, t.TempDir(), "real/top=1")
	for name, test := range map[string]struct {
		paths []string
		dirs  []string // relative to the image, or absolute
		err   string
	}{
		"whole config":     {paths: []string{"config.json=" + wholeConfig, "rootfs/"}, dirs: []string{"rootfs"}},
		"config object":    {paths: []string{`config.json={"Cmd":["/run"]}`, "rootfs/"}, dirs: []string{"rootfs"}},
		"lower case":       {paths: []string{`config.json={"cmd":["/run"],"workingdir":"/"}`, "rootfs/"}, dirs: []string{"rootfs"}},
		"lower case whole": {paths: []string{`config.json={"CONFIG":{"cmd":["/run"]}}`, "rootfs/"}, dirs: []string{"rootfs"}},
		"layers": {
			paths: []string{"config.json=" + wholeConfig, "layers/10/", "layers/2/", "layers/1/", "layers/02b/"},
			dirs:  []string{"layers/1", "layers/2", "layers/02b", "layers/10"},
		},
		"links": {
			paths: []string{"config.json=" + wholeConfig, "layers/0->" + elsewhere + "/real", "layers/1->../../other", "../other/"},
			dirs:  []string{elsewhere + "/real", "../other"},
		},
		"rootfs is a link": {paths: []string{"config.json=" + wholeConfig, "rootfs->" + elsewhere}, dirs: []string{elsewhere}},

		"a file as layer":   {paths: []string{"config.json=" + wholeConfig, "layers/0=x"}, err: "layers/0: neither a directory nor a link to one"},
		"dangling":          {paths: []string{"config.json=" + wholeConfig, "layers/0->nowhere"}, err: `layers/0: a link to "nowhere": no such file`},
		"dangling far":      {paths: []string{"config.json=" + wholeConfig, "layers/0->/proc/none"}, err: `layers/0: a link to "/proc/none": no such file`},
		"link to itself":    {paths: []string{"config.json=" + wholeConfig, "rootfs->rootfs"}, err: `rootfs: a link to "rootfs": too many levels`},
		"no layers":         {paths: []string{"config.json=" + wholeConfig, "layers/"}, err: "layers: empty"},
		"both":              {paths: []string{"config.json=" + wholeConfig, "layers/0/", "rootfs/"}, err: "both rootfs and layers"},
		"empty config":      {paths: []string{"config.json=", "rootfs/"}, err: "config.json: empty"},
		"config cut short":  {paths: []string{`config.json={"Cmd":[`, "rootfs/"}, err: "config.json: unexpected end"},
		"config is a list":  {paths: []string{`config.json=[]`, "rootfs/"}, err: "config.json: JSON array, want object"},
		"config is null":    {paths: []string{`config.json=null`, "rootfs/"}, err: "config.json: not a JSON object"},
		"config is both":    {paths: []string{`config.json={"os":"linux","Cmd":[]}`, "rootfs/"}, err: `config.json: has "os" of an image config beside "Cmd"`},
		"config is neither": {paths: []string{`config.json={"x":1}`, "rootfs/"}, err: `config.json: neither an image config nor its config object: "x"`},
		"other platform":    {paths: []string{`config.json={"os":"linux","architecture":"s390x"}`, "rootfs/"}, err: "no image for platform linux/amd64 (has: linux/s390x)"},
		"windows":           {paths: []string{`config.json={"os":"windows","architecture":"amd64"}`, "rootfs/"}, err: "windows"},
		"only config":       {paths: []string{"config.json=" + wholeConfig}, err: "none of oci-layout, manifest.json with version, config.json with an ociVersion, config.json with rootfs, config.json with layers"},
		"empty directory":   {paths: nil, err: "the directory is empty"},
		"two forms":         {paths: []string{"config.json=" + wholeConfig, "rootfs/", "oci-layout={}"}, err: "of 2 forms at once: oci, layers"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := makeTree(t, filepath.Join(t.TempDir(), "image"), append([]string{"."}, test.paths...)...)
			img, err := openAMD64(t, dir, "")
			if test.err != "" {
				wantError(t, err, test.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, d := range test.dirs {
				if !filepath.IsAbs(d) {
					d = filepath.Join(dir, d)
				}
				want = append(want, d)
			}
			if !slices.Equal(img.Dirs, want) || img.Form != "layers" {
				t.Errorf("form %s, got %q, want %q", img.Form, img.Dirs, want)
			}
			if !slices.Equal(img.Config.Config.Cmd, []string{"/run"}) {
				t.Errorf("cmd %q", img.Config.Config.Cmd)
			}
			if !strings.Contains(strings.ToLower(string(img.RawConfig)), `"config"`) {
				t.Errorf("raw config %s", img.RawConfig)
			}
			root, err := (&Store{}).Rootfs(t.Context(), img)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(root.Dirs, want) || root.Owned || root.Whiteouts != nil {
				t.Errorf("got %+v", root)
			}
			if err := root.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	_, err := openAMD64(t, makeTree(t, t.TempDir(), "config.json="+wholeConfig, "rootfs/"), "v1")
	wantError(t, err, `no tag "v1"`)
	pipe := makeTree(t, t.TempDir(), "rootfs/")
	if err := unix.Mkfifo(filepath.Join(pipe, "config.json"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = openAMD64(t, pipe, "")
	wantError(t, err, "config.json: not a regular file")
}

func TestNaturalOrder(t *testing.T) {
	want := []string{"", "0", "01", "1", "2", "9a", "10", "10a", "10b", "a", "a2", "a10", "b"}
	for i, a := range want {
		for j, b := range want {
			if got, w := natural(a, b), cmpInt(i, j); got != w {
				t.Errorf("%q, %q: got %d, want %d", a, b, got, w)
			}
		}
	}
}

func cmpInt(a, b int) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// TestWhiteoutsOfDirectories has layers as directories, with the whiteouts of
// the image-spec and of overlayfs, used as they lie and copied.
func TestWhiteoutsOfDirectories(t *testing.T) {
	dir := makeTree(t, filepath.Join(tempDir(t), "image"), "config.json="+wholeConfig,
		"layers/1/etc/a=1", "layers/1/etc/b=1", "layers/1/opt/x=1", "layers/1/srv/x=1", "layers/1/.wh.stray=",
		"layers/2/etc/.wh.a=", "layers/2/opt/.wh..wh..opq=", "layers/2/opt/y=2", "layers/2/.wh..wh.plnk/z=", "layers/2/srv/y=2")
	if err := os.Link(filepath.Join(dir, "layers/2/opt/y"), filepath.Join(dir, "layers/2/opt/z")); err != nil {
		t.Fatal(err)
	}
	want := []DirWhiteouts{
		{Dir: 0, Markers: []string{".wh.stray"}, Hidden: []string{"stray"}},
		{Dir: 1, Markers: []string{".wh..wh.plnk", "etc/.wh.a", "opt/.wh..wh..opq"}, Hidden: []string{"etc/a"}, Opaque: []string{"opt"}},
	}
	merged := "etc: dir 0755\netc/b: file 0644 1\nopt: dir 0755\nopt/y: file 0644 2\nopt/z: file 0644 2\nsrv: dir 0755\nsrv/x: file 0644 1\nsrv/y: file 0644 2\n"
	if os.Geteuid() == 0 {
		makeTree(t, dir, "layers/2/etc/b!")
		want[1].Markers = []string{".wh..wh.plnk", "etc/.wh.a", "etc/b", "opt/.wh..wh..opq"}
		want[1].Hidden = []string{"etc/a", "etc/b"}
		merged = strings.Replace(merged, "etc/b: file 0644 1\n", "", 1)
	}
	if unix.Setxattr(filepath.Join(dir, "layers/2/srv"), "user.overlay.opaque", []byte("y"), 0) == nil {
		want[1].Opaque = []string{"opt", "srv"}
		merged = strings.Replace(merged, "srv/x: file 0644 1\n", "", 1)
	}
	img, err := openAMD64(t, dir, "")
	if err != nil {
		t.Fatal(err)
	}
	root, err := (&Store{}).Rootfs(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%+v", root.Whiteouts); got != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %s\nwant %+v", got, want)
	}
	dest := filepath.Join(tempDir(t), "root")
	if err := Unpack(t.Context(), img, dest, UnpackOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := render(snapshot(t, dest)); got != merged {
		t.Errorf("got\n%swant\n%s", got, merged)
	}
	_, err = (&Store{Limits: Limits{Entries: 3}}).Rootfs(t.Context(), img)
	wantError(t, err, "too many entries")
}

func TestRootfsTransport(t *testing.T) {
	dir := makeTree(t, t.TempDir(), "a/f=1", "b/g=2", "file=x", "config="+wholeConfig, "link->b")
	at := func(name string) string { return filepath.Join(dir, name) }
	o := OpenOptions{Platform: "linux/amd64", Config: at("config"), Rootfs: []string{at("link")}}
	img, err := Open(Ref{Transport: "rootfs", Path: at("a")}, o)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(img.Dirs, []string{at("a"), at("b")}) || img.Form != "rootfs" || img.Config.Config.Cmd[0] != "/run" {
		t.Errorf("got %+v", img)
	}
	if img, err = Open(Ref{Transport: "rootfs", Path: at("a")}, OpenOptions{}); err != nil || string(img.RawConfig) != `{"config":{}}` {
		t.Errorf("without config: %v", err)
	}
	for _, test := range []struct {
		ref Ref
		o   OpenOptions
		err string
	}{
		{Ref{"rootfs", at("file"), ""}, o, "reads a directory"},
		{Ref{"rootfs", at("none"), ""}, o, "no such file"},
		{Ref{"rootfs", at("a"), "v1"}, o, "no tag"},
		{Ref{"", at("a"), ""}, OpenOptions{}, "not an image"},
		{Ref{"oci", at("a"), ""}, o, "can't be added to this form"},
		{Ref{"rootfs", at("a"), ""}, OpenOptions{Config: at("none")}, "config: open"},
		{Ref{"rootfs", at("a"), ""}, OpenOptions{Config: at("file")}, "config: "},
		{Ref{"rootfs", at("a"), ""}, OpenOptions{Rootfs: []string{at("file")}}, "neither a directory"},
	} {
		_, err := Open(test.ref, test.o)
		wantError(t, err, test.err)
	}
}
