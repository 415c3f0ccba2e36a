package convert

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	ispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const testPasswd = `# comment
root:x:0:0:root:/root:/bin/sh
+nis::::::
app:x:33:44::/srv/app:/bin/sh
app:x:99:99::/second:/bin/sh
homeless:x:34:45:::
relative:x:35:46::home:
big:x:4294967295:1::/:
123:x:50:50::/digits:
short:x:60
`

const testGroup = `root:x:0:root
app:x:44:
extra:x:55:other,app
again:x:55:app
staff:x:70:app,root
prefix:x:71:application
huge:x:99999999999:
`

func accountsRoot(passwd, group string) Rootfs {
	return Rootfs{FS: fstest.MapFS{
		"etc/passwd": {Mode: 0o644, Data: []byte(passwd)},
		"etc/group":  {Mode: 0o644, Data: []byte(group)},
	}}
}

func specFor(root Rootfs, host Host, text string) (*Result, error) {
	return Spec(ispec.Image{Config: ispec.ImageConfig{User: text, Cmd: []string{"x"}}}, root, host, Options{})
}

func TestUser(t *testing.T) {
	for _, tt := range []struct{ user, want, err string }{
		{"", "0:0 [0 70] /root", ""},
		{"root", "0:0 [0 70] /root", ""},
		{"0", "0:0 [0 70] /root", ""},
		{"app", "33:44 [55 70] /srv/app", ""},
		{"33", "33:44 [55 70] /srv/app", ""},
		{"0033", "33:44 [55 70] /srv/app", ""},
		{"33:44", "33:44 [] /srv/app", ""},
		{"99", "99:99 [55 70] /second", ""}, // passwd's name for it
		{"33:0", "33:0 [] /srv/app", ""},
		{"app:staff", "33:70 [] /srv/app", ""},
		{"app:7", "33:7 [] /srv/app", ""},
		{"7:staff", "7:70 [] /", ""},
		{"7:8", "7:8 [] /", ""},
		{"7", "7:0 [] /", ""},
		{"2147483647:2147483647", "2147483647:2147483647 [] /", ""},
		{"homeless", "34:45 [] /", ""},
		{"relative", "35:46 [] /", ""},
		{"123", "123:0 [] /", ""},
		{"2147483648", "", `config.User: uid "2147483648" is not in 0..2147483647`},
		{"0:2147483648", "", `config.User: gid "2147483648" is not in 0..2147483647`},
		{"99999999999999999999", "", `config.User: uid "99999999999999999999" is not in 0..2147483647`},
		{"nobody", "", `config.User: no user "nobody" in the image's /etc/passwd`},
		{"-1", "", `config.User: no user "-1" in the image's /etc/passwd`},
		{" app", "", `config.User: no user " app" in the image's /etc/passwd`},
		{"short", "", `config.User: no user "short" in the image's /etc/passwd`},
		{"+nis", "", `config.User: no user "+nis" in the image's /etc/passwd`},
		{"app:none", "", `config.User: no group "none" in the image's /etc/group`},
		{"big", "", `config.User: the image's /etc/passwd gives user "big" the ids "4294967295":"1"; each has to be in 0..2147483647`},
		{"app:huge", "", `config.User: the image's /etc/group gives group "huge" the id "99999999999", which is not in 0..2147483647`},
		{":", "", `config.User: ":" has an empty part; the forms are user, uid, user:group, uid:gid, uid:group and user:gid`},
		{"app:", "", `config.User: "app:" has an empty part; the forms are user, uid, user:group, uid:gid, uid:group and user:gid`},
		{":7", "", `config.User: ":7" has an empty part; the forms are user, uid, user:group, uid:gid, uid:group and user:gid`},
		{"1:2:3", "", `config.User: "1:2:3" has more than one colon`},
		{"app\x00", "", `config.User: NUL byte in "app\x00"`},
	} {
		res, err := specFor(accountsRoot(testPasswd, testGroup), Host{}, tt.user)
		got, gotErr := "", ""
		if err != nil {
			gotErr = err.Error()
		} else {
			u := res.Spec.Process.User
			home := ""
			for _, e := range res.Spec.Process.Env {
				if h, ok := strings.CutPrefix(e, "HOME="); ok {
					home = h
				}
			}
			got = fmt.Sprintf("%d:%d %v %s", u.UID, u.GID, u.AdditionalGids, home)
		}
		if got != tt.want || gotErr != tt.err {
			t.Errorf("User %q: %q, %q\nwant %q, %q", tt.user, got, gotErr, tt.want, tt.err)
		}
	}
}

// TestUserFiles: the files of foreign images are read with care.
func TestUserFiles(t *testing.T) {
	link := func(to string) *fstest.MapFile {
		return &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte(to)}
	}
	for name, tt := range map[string]struct {
		root fstest.MapFS
		err  string
	}{
		"absolute link": {fstest.MapFS{"etc": link("/usr/etc"), "usr/etc/passwd": {Data: []byte(testPasswd)}}, ""},
		"none":          {fstest.MapFS{}, `the image's /etc/passwd: file does not exist`},
		"loop":          {fstest.MapFS{"etc/passwd": link("passwd")}, `too many levels of symbolic links`},
		"device":        {fstest.MapFS{"etc/passwd": {Mode: fs.ModeDevice}}, `not a regular file`},
		"fifo":          {fstest.MapFS{"etc/passwd": {Mode: fs.ModeNamedPipe}}, `not a regular file`},
		"large":         {fstest.MapFS{"etc/passwd": {Data: make([]byte, maxAccounts+1)}}, `larger than 4194304 bytes`},
		"lines":         {fstest.MapFS{"etc/passwd": {Data: []byte(strings.Repeat("a:x:1:1\n", maxAccountLines+1))}}, `more than 100000 lines`},
	} {
		_, err := specFor(Rootfs{FS: tt.root}, Host{}, "app")
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s: %v, want %q", name, err, tt.err)
		}
		// Without a name to look up only a note is due.
		res, err := specFor(Rootfs{FS: tt.root}, Host{}, "7:8")
		if err != nil || len(res.Notes) > 1 {
			t.Errorf("%s: %v, %v", name, res, err)
		}
	}
}

// FuzzUser holds the resolution to what is true of every answer.
func FuzzUser(f *testing.F) {
	for _, u := range []string{"", "root", "app", "33", "0033", "app:staff", "7:8", "big", ":", "123"} {
		f.Add(u, testPasswd, testGroup)
	}
	f.Fuzz(func(t *testing.T, text, passwd, group string) {
		res, err := specFor(accountsRoot(passwd, group), Host{}, text)
		if err != nil {
			for _, fault := range err.(interface{ Unwrap() []error }).Unwrap() {
				if strings.ContainsAny(fault.Error(), "\n\r\x1b") {
					t.Errorf("%q: %q is not one line", text, fault)
				}
			}
			return
		}
		u := res.Spec.Process.User
		name, g, hasGroup := strings.Cut(text, ":")
		if u.UID > maxID || u.GID > maxID {
			t.Errorf("%q: %+v is out of range", text, u)
		}
		if digits(name) && strings.TrimLeft(name, "0") != strings.TrimLeft(fmt.Sprint(u.UID), "0") {
			t.Errorf("%q became uid %d", text, u.UID)
		}
		if digits(g) && strings.TrimLeft(g, "0") != strings.TrimLeft(fmt.Sprint(u.GID), "0") {
			t.Errorf("%q became gid %d", text, u.GID)
		}
		if (hasGroup || digits(name) && !strings.Contains(passwd, ":")) && len(u.AdditionalGids) > 0 {
			t.Errorf("%q has groups %v", text, u.AdditionalGids)
		}
		if name != "" && !digits(name) && !strings.Contains(passwd, name+":") {
			t.Errorf("%q is not in %q", name, passwd)
		}
		if g != "" && !digits(g) && !strings.Contains(group, g+":") {
			t.Errorf("%q is not in %q", g, group)
		}
	})
}

// FuzzAccounts compares the parser with a second one that goes byte by byte.
func FuzzAccounts(f *testing.F) {
	f.Add([]byte(testPasswd))
	f.Add([]byte("a:b:c:d\r\n\n \t#x\n::::\nlast:x:1:1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parseAccounts(data, 4)
		if err != nil {
			return
		}
		var want [][]string
		for _, text := range strings.Split(string(data), "\n") {
			text = strings.TrimSpace(text)
			line := []string{""}
			for i := range len(text) {
				if text[i] == ':' {
					line = append(line, "")
				} else {
					line[len(line)-1] += text[i : i+1]
				}
			}
			if len(line) > 3 && line[0] != "" && line[0][0] != '#' && line[0][0] != '+' && line[0][0] != '-' {
				want = append(want, line)
			}
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("%q\ngot  %q\nwant %q", data, got, want)
		}
	})
}

func TestExtraGroups(t *testing.T) {
	root := Rootfs{FS: fstest.MapFS{
		"etc/passwd": {Data: []byte("app:x:33:33::/:/\n")},
		"etc/group":  {Data: []byte("a:x:5:app\nb:x:6:\n")},
	}}
	img := ispec.Image{Config: ispec.ImageConfig{User: "app", Cmd: []string{"sh"}}}
	res, err := Spec(img, root, Host{}, Options{Groups: []string{"b", "7", "a", "7"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := res.Spec.Process.User.AdditionalGids; !slices.Equal(got, []uint32{5, 6, 7}) {
		t.Errorf("%v", got)
	}
	for _, group := range []string{"c", "", "a\x00", "99999999999"} {
		if _, err := Spec(img, root, Host{}, Options{Groups: []string{group}}); err == nil || !strings.Contains(err.Error(), "--group-add") {
			t.Errorf("%q: %v", group, err)
		}
	}
}
