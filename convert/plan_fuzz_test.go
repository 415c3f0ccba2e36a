package convert

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"path"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// draw takes decisions from the fuzzer's bytes.
type draw struct{ data []byte }

func (d *draw) n(max int) int {
	if len(d.data) == 0 {
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return int(b) % max
}

// path is absolute or relative, of few names, so that paths meet.
func (d *draw) path() string {
	names := [...]string{"a", "b", "c", "etc", "hosts", "run", "var", "tmp", "proc", "dev", "sys", "oldroot", "fd", "pts", "..", "."}
	p := [...]string{"/", "/", "/", "", "../"}[d.n(5)]
	for range 1 + d.n(4) {
		p = path.Join(p, names[d.n(len(names))])
	}
	return p
}

func (d *draw) tree() fstest.MapFS {
	tree := fstest.MapFS{".": {Mode: fs.ModeDir | 0o755}}
	for range d.n(16) {
		name := strings.TrimLeft(path.Clean("/"+d.path()), "/")
		kind := d.n(4)
		if name == "" || tree[name] != nil || !directories(tree, path.Dir(name)) {
			continue
		}
		switch kind {
		case 0, 1:
			tree[name] = &fstest.MapFile{Mode: fs.ModeDir | 0o750}
		case 2:
			tree[name] = &fstest.MapFile{Mode: 0o644}
		case 3:
			tree[name] = &fstest.MapFile{Mode: fs.ModeSymlink | 0o777, Data: []byte(d.path())}
		}
	}
	return tree
}

// directories makes dir and what is above it, unless something else is there.
func directories(tree fstest.MapFS, dir string) bool {
	if dir == "." {
		return true
	}
	if !directories(tree, path.Dir(dir)) {
		return false
	}
	if tree[dir] == nil {
		tree[dir] = &fstest.MapFile{Mode: fs.ModeDir | 0o755}
	}
	return tree[dir].Mode.IsDir()
}

func (d *draw) mount() (specs.Mount, string) {
	m := specs.Mount{Destination: d.path()}
	switch d.n(6) {
	case 0:
		m.Type, m.Options = "tmpfs", []string{"tmpcopyup"}
	case 1:
		m.Type, m.Options = "tmpfs", []string{"mode=700", "ro"}
	case 2:
		m.Type, m.Options = "tmpfs", []string{"tmpcopyup", "size=1m", "ro"}
	case 3:
		m.Type, m.Source = "bind", path.Join("/h", path.Clean("/"+d.path()))
	case 4:
		m.Type, m.Source = "bind", "files/x"
	case 5:
		m.Type, m.Source, m.Options = "bind", "/h", []string{"ro"}
	}
	return m, [...]string{"", "default", "config.Volumes", "-v"}[d.n(4)]
}

// FuzzPlan makes a Spec over a tree from the fuzzer's bytes. A plan of it, if
// there is one, is the same twice, has clean destinations, and its steps can be
// carried out one by one where they say, with no link on the way.
func FuzzPlan(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("0123456789abcdefghijklmnopqrstuvwxyz"))
	f.Add([]byte("\x80123456789abcdefghijklmnopqrstuvwxyz"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := &draw{data}
		flags := d.n(256)
		image, below := d.tree(), d.tree()
		host := fstest.MapFS{"sys/firmware": {Mode: fs.ModeDir | 0o755}, "proc/sys": {Mode: fs.ModeDir | 0o755}, "proc/kcore": {Mode: 0o400}, "dev/null": {Mode: 0o666}}
		for name, file := range below {
			host[path.Join("h", name)] = file
		}
		spec := &specs.Spec{
			Process: &specs.Process{Args: []string{"x"}, Cwd: path.Join("/", d.path())},
			Root:    &specs.Root{Readonly: flags&1 == 0},
			Linux:   &specs.Linux{MaskedPaths: []string{"/proc/kcore", "/sys/firmware", "/a/b", "/c"}, ReadonlyPaths: []string{"/proc/sys", "/tmp", "/proc/self/fd"}},
		}
		if flags&2 == 0 {
			spec.Mounts = kernelMounts(flags&4 == 0, flags&4 != 0)
		}
		o := PlanOptions{
			Features:  bwrap.Features{Stage: flags&8 == 0, StageOverlay: flags&24 == 0},
			KeepOrder: flags&32 != 0, Files: map[string][]byte{"files/x": []byte("x")}, Origin: map[string]string{},
		}
		for range d.n(10) {
			m, origin := d.mount()
			if flags&128 != 0 && m.Type == "bind" {
				m.Options = append(m.Options, "ridmap=uids=0-1-2;gids=0-1-2")
			}
			spec.Mounts = append(spec.Mounts, m)
			o.Origin[m.Destination] = origin
		}
		plan := func() (*Planned, error) {
			h := Host{Paths: map[string]fs.FileMode{}, Dir: func(dir string) (fs.ReadLinkFS, error) {
				sub, err := fs.Sub(host, dir[1:])
				if err != nil {
					return nil, err
				}
				return sub.(fs.ReadLinkFS), nil
			}, IDMapped: func(bwrap.Bind) error { return nil }}
			for name, f := range host { // whoever asks for a bind has followed the links of its source
				if f.Mode&fs.ModeSymlink == 0 {
					h.Paths["/"+name] = f.Mode
				}
			}
			h.Paths["/sys"] = fs.ModeDir | 0o755
			root := Rootfs{Dirs: []string{"/cache/root"}, FS: image, Owned: true}
			if flags&64 != 0 {
				root.Dirs = []string{"/cache/root", "/cache/root"}
			}
			return Plan(spec, root, h, o)
		}
		p, err := plan()
		again, err2 := plan()
		if (err == nil) != (err2 == nil) || err != nil && err.Error() != err2.Error() {
			t.Fatalf("%v, then %v", err, err2)
		}
		if err != nil {
			return
		}
		checkPlan(t, spec, o, p, again, &model{image: image, host: host})
	})
}

func checkPlan(t *testing.T, spec *specs.Spec, o PlanOptions, p, again *Planned, m *model) {
	text, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if text2, _ := json.MarshalIndent(again, "", " "); !bytes.Equal(text, text2) || !reflect.DeepEqual(p, again) {
		t.Fatalf("%s\nthen %s", text, text2)
	}
	if err := p.Plan.Check(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	steps := p.Plan.Steps
	if err := m.run(steps, o.KeepOrder); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	cwd := p.Plan.Process.Cwd
	masked := false
	for _, s := range steps {
		masked = masked || s.Why == "linux.maskedPaths" && within(cwd, s.Op.Dest())
	}
	if err := m.walk(cwd); err != nil && !masked {
		t.Fatalf("cwd: %v\n%s", err, text)
	}
	if m.ground(cwd) != kernel && !m.nodes[cwd].IsDir() && !masked {
		t.Fatalf("cwd %s is no directory\n%s", cwd, text)
	}
	_, plain := steps[0].Op.(bwrap.Bind)
	remount, ok := steps[len(steps)-1].Op.(bwrap.RemountRO)
	if last := ok && remount.Dst == "/"; last != (spec.Root.Readonly && !plain) {
		t.Fatalf("the root is remounted: %v\n%s", last, text)
	}
	for _, target := range []bwrap.Target{{Features: o.Features, Reading: true}, {Features: o.Features, StageDir: "/stage"}} {
		if _, err := bwrap.Lower(p.Plan, target); err != nil && !strings.Contains(err.Error(), "can't map the ids") { // over a mount of bubblewrap's
			t.Fatalf("%v\n%s", err, text)
		}
	}
}
