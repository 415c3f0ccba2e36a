package convert

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	ispec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// fuzzHost is a machine that has what the conversion may ask for.
func fuzzHost(uid int) Host {
	return Host{
		UID: uid, GID: uid, Hostname: "h",
		Files: map[string][]byte{"/etc/hosts": []byte("127.0.0.1 localhost\n"), "/etc/resolv.conf": []byte("nameserver 1.1.1.1\n"), "/etc/hostname": []byte("h\n")},
		Paths: map[string]fs.FileMode{"/sys": fs.ModeDir, "/proc/kcore": 0o400, "/dev/null": fs.ModeDevice},
		Dir:   func(string) (fs.ReadLinkFS, error) { return fstest.MapFS{}, nil },

		IDMapped: func(bwrap.Bind) error { return nil },
	}
}

// fuzzRoot has links that lead to places a mount must not follow them to.
func fuzzRoot() Rootfs {
	link := func(target string) *fstest.MapFile {
		return &fstest.MapFile{Mode: fs.ModeSymlink | 0o777, Data: []byte(target)}
	}
	return Rootfs{Dirs: []string{"/cache/root"}, Owned: true, FS: fstest.MapFS{
		"etc/passwd": {Mode: 0o644, Data: []byte(testPasswd)}, "etc/group": {Mode: 0o644, Data: []byte(testGroup)},
		"d/e": {Mode: fs.ModeDir | 0o755}, "f": {Mode: 0o644}, "l": link("/oldroot/x"), "up": link("../../d"), "loop": link("loop"), "p": link("/proc/self/fd/3"),
	}}
}

// FuzzConfig makes a Spec and a plan of any image config. They are the same
// twice; what reaches bubblewrap is clean, and a fault is one line.
func FuzzConfig(f *testing.F) {
	for _, text := range []string{
		`{"User":"root","Env":["A=b","PATH=/bin"],"Cmd":["x"],"WorkingDir":"/d/e","Volumes":{"/d":{},"/l/x":{}},"StopSignal":"SIGTERM"}`,
		`{"Cmd":["a\u0000b"],"Env":["A\u0000=b","=","B"],"Volumes":{"/../x":{},"":{},"/proc":{}}}`,
		`{"Entrypoint":["-x"],"WorkingDir":"/p","User":"7:8","Volumes":{"/up/x":{},"/loop":{},"/f/x":{}},"ExposedPorts":{"80/tcp":{},"x":{}}}`,
		`{"Cmd":[""],"WorkingDir":"../d","User":"4294967296","Labels":{"\n":"\u001b"},"StopSignal":"99"}`,
	} {
		f.Add([]byte(text), 0, false)
		f.Add([]byte(text), 1000, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, uid int, writable bool) {
		var img ispec.Image
		if json.Unmarshal(data, &img.Config) != nil {
			return
		}
		o := Options{Writable: writable}
		res, err := Spec(img, fuzzRoot(), fuzzHost(uid&0xffff), o)
		again, err2 := Spec(img, fuzzRoot(), fuzzHost(uid&0xffff), o)
		if sameFaults(t, err, err2) {
			return
		}
		if a, b := marshalled(t, res.Spec), marshalled(t, again.Spec); !bytes.Equal(a, b) {
			t.Fatalf("%s\nthen %s", a, b)
		}
		planTwice(t, res.Spec, fuzzHost(uid&0xffff), PlanOptions{Files: res.Files, Origin: res.Origin, StopSignal: res.StopSignal})
	})
}

// FuzzBundle makes a plan of any runtime config.json, as FuzzConfig does.
func FuzzBundle(f *testing.F) {
	for _, text := range []string{
		`{"process":{"args":["x"],"cwd":"/d"},"root":{"path":"rootfs","readonly":true},"mounts":[{"destination":"/proc","type":"proc"},{"destination":"/l/x","type":"tmpfs","options":["mode=700"]}],"linux":{"maskedPaths":["/proc/kcore"],"readonlyPaths":["/d"]}}`,
		`{"process":{"args":["x"],"cwd":"../..","env":["A"],"user":{"uid":4294967295},"capabilities":{"bounding":["CAP_X"]},"rlimits":[{"type":"X"}]},"root":{},"mounts":[{"destination":"","type":"bind","source":"/x","options":["rbind","ro"]}],"linux":{}}`,
		`{"process":{},"root":{},"linux":{"namespaces":[{"type":"pid"},{"type":"user"}],"uidMappings":[{"size":1}],"seccomp":{"defaultAction":"SCMP_ACT_ERRNO"},"rootfsPropagation":"shared"},"hooks":{"prestart":[{"path":"/x"}]}}`,
		`{"process":{"args":["x"],"cwd":"/"},"root":{},"mounts":[{"destination":"/d","type":"bind","source":"/sys","options":["rbind","idmap=uids=0-1-10#@10-11-10;gids=0-100-10"]},{"destination":"/f","type":"bind","source":"/proc/kcore","options":["ridmap"],"uidMappings":[{"size":1}],"gidMappings":[{"size":1}]}],"linux":{"namespaces":[{"type":"pid"},{"type":"user"}],"uidMappings":[{"size":100}]}}`,
	} {
		f.Add([]byte(text), uint8(0))
		f.Add([]byte(text), uint8(255))
	}
	f.Fuzz(func(t *testing.T, data []byte, bits uint8) {
		s := new(specs.Spec)
		if json.Unmarshal(data, s) != nil || s.Process == nil || s.Root == nil || s.Linux == nil {
			return
		}
		o := PlanOptions{KeepOrder: true, Origin: map[string]string{}, Features: bwrap.Features{Stage: bits&1 != 0, StageOverlay: bits&2 != 0}}
		planTwice(t, s, fuzzHost(int(bits>>2)), o)
	})
}

// planTwice plans a Spec and holds the plan to what bubblewrap relies on.
func planTwice(t *testing.T, s *specs.Spec, host Host, o PlanOptions) {
	t.Helper()
	p, err := Plan(s, fuzzRoot(), host, o)
	again, err2 := Plan(s, fuzzRoot(), host, o)
	if sameFaults(t, err, err2) {
		return
	}
	if a, b := marshalled(t, p), marshalled(t, again); !bytes.Equal(a, b) {
		t.Fatalf("%s\nthen %s", a, b)
	}
	if err := p.Plan.Check(); err != nil {
		t.Fatalf("the plan has %v: %s", err, marshalled(t, p))
	}
	for _, g := range p.Gaps {
		if g.Field == "" || g.Reason == "" {
			t.Errorf("a gap without a name or reason: %+v", g)
		}
	}
}

func sameFaults(t *testing.T, a, b error) bool {
	t.Helper()
	if (a == nil) != (b == nil) || a != nil && a.Error() != b.Error() {
		t.Fatalf("%v, then %v", a, b)
	}
	if a == nil {
		return false
	}
	for _, fault := range apart(a) {
		if strings.ContainsAny(fault, "\n\x1b\x00") {
			t.Errorf("%q is not one line", fault)
		}
	}
	return true
}

// apart gives the faults that were joined, as who prints them does.
func apart(err error) []string {
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []string{err.Error()}
	}
	var all []string
	for _, e := range many.Unwrap() {
		all = append(all, apart(e)...)
	}
	if strings.Join(all, "\n") != err.Error() { // a wrapper's own words
		return []string{err.Error()}
	}
	return all
}

func marshalled(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
