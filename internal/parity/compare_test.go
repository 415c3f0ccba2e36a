package parity

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/oci2bwrap/oci2bwrap/internal/probe"
)

// world is a made-up side: facts as a small container has them, and files.
type world struct {
	facts probe.Facts
	files []probe.Entry
}

func small() world {
	facts := probe.Facts{
		"environment":  {"PATH": "/bin", "HOME": "/root"},
		"capabilities": {"effective": "chown kill", "bounding": "chown kill"},
		"process":      {"umask": "0022", "no_new_privs": "1", "cwd": "/"},
		"namespaces":   {"pid": "pid:[2]", "net": "net:[1]"},
		"system calls": {"mount": "EPERM"},
	}
	w := world{facts: facts, files: []probe.Entry{
		{Path: "/", Type: "d", Mode: "0755", Owner: "0:0"},
		{Path: "/bin", Type: "d", Mode: "0755", Owner: "0:0"},
		{Path: "/bin/a", Type: "f", Mode: "0755", Owner: "0:0", Size: 4, Hash: strings.Repeat("a", 64)},
		{Path: "/bin/link", Type: "l", Owner: "0:0", Target: "a"},
		{Path: "/bin.d", Type: "d", Mode: "0755", Owner: "0:0"},
		{Path: "/proc", Type: "m"},
	}}
	w.mount("/", "ext4", "relatime,ro")
	w.mount("/proc", "proc", "nodev,noexec,nosuid,rw")
	return w
}

func (w world) mount(path, kind, options string) {
	if w.facts[mountGroup] == nil {
		w.facts[mountGroup] = map[string]string{}
	}
	for aspect, value := range map[string]string{"type": kind, "options": options, "file system": "rw", "propagation": "private"} {
		w.facts[mountGroup][path+" "+aspect] = value
	}
}

func (w world) report(t *testing.T, engine, host string) *Report {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.Encode(probe.Head{Version: probe.Version, Facts: w.facts})
	for _, f := range w.files {
		enc.Encode(f)
	}
	enc.Encode(probe.Tail{End: true, Files: len(w.files)})
	side := Side{Name: engine, Engine: engine, Host: Host{ID: host, Root: true, Namespaces: map[string]string{"pid": "pid:[1]", "net": "net:[1]"}}}
	r, err := ReadReport(side, &b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func compared(t *testing.T, theirs world, engine string, o Options) *Result {
	t.Helper()
	res, err := Compare(small().report(t, "oci2bwrap", "this"), theirs.report(t, engine, "this"), o)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestSameWorlds(t *testing.T) {
	res := compared(t, small(), "runc", Options{})
	if !res.Same() || len(res.Differences) != 0 || res.Files != 6 || res.Facts == 0 {
		t.Errorf("%+v", res)
	}
}

// TestPlanted puts one difference of each kind into a world that is the same
// otherwise: it must be found, named, and not explained away, whatever engine
// the reference is.
func TestPlanted(t *testing.T) {
	tests := []struct {
		kind, group, name string
		plant             func(w *world)
	}{
		{"a variable", "environment", "PATH", func(w *world) { w.facts["environment"]["PATH"] = "/usr/bin" }},
		{"a variable too many", "environment", "LANG", func(w *world) { w.facts["environment"]["LANG"] = "C" }},
		{"a mount", mountGroup, "/opt", func(w *world) { w.mount("/opt", "tmpfs", "rw") }},
		{"a writable root", mountGroup, "/ options", func(w *world) { w.mount("/", "ext4", "relatime,rw") }},
		{"a mount's flag", mountGroup, "/proc options", func(w *world) { w.mount("/proc", "proc", "nodev,noexec,rw") }},
		{"a mode bit", "tree", "/bin/a mode", func(w *world) { w.files[2].Mode = "04755" }},
		{"an owner", "tree", "/bin/a owner", func(w *world) { w.files[2].Owner = "0:7" }},
		{"a changed file", "tree", "/bin/a content", func(w *world) { w.files[2].Hash = strings.Repeat("b", 64) }},
		{"a link's target", "tree", "/bin/link target", func(w *world) { w.files[3].Target = "/bin/a" }},
		{"a file more", "tree", "/bin/b", func(w *world) {
			w.files = slices.Insert(w.files, 3, probe.Entry{Path: "/bin/b", Type: "f", Mode: "0644", Owner: "0:0"})
		}},
		{"a file less", "tree", "/bin.d", func(w *world) { w.files = slices.Delete(w.files, 4, 5) }},
		{"another type", "tree", "/bin.d", func(w *world) { w.files[4].Type = "f" }},
		{"an attribute", "tree", "/bin/a user.x", func(w *world) { w.files[2].Xattrs = map[string]string{"user.x": "00"} }},
		{"a capability", "capabilities", "effective", func(w *world) { w.facts["capabilities"]["effective"] = "chown kill sys_admin" }},
		{"the umask", "process", "umask", func(w *world) { w.facts["process"]["umask"] = "0077" }},
		{"a shared namespace", "namespaces", "pid", func(w *world) { w.facts["namespaces"]["pid"] = "pid:[1]" }},
	}
	for _, test := range tests {
		for _, engine := range []string{"runc", "crun", "podman"} {
			t.Run(test.kind+" "+engine, func(t *testing.T) {
				w := small()
				test.plant(&w)
				res := compared(t, w, engine, Options{})
				if len(res.Differences) != 1 || res.Differences[0].Class != Unexplained ||
					res.Differences[0].Group != test.group || res.Differences[0].Name != test.name {
					t.Errorf("differences %+v, want the unexplained %s of %s", res.Differences, test.name, test.group)
				}
			})
		}
	}
}

func TestExplainedHostAndIgnored(t *testing.T) {
	w := small()
	w.facts["process"]["no_new_privs"] = "0"
	w.files[2].Hash = strings.Repeat("b", 64)
	res := compared(t, w, "podman", Options{Ignore: []string{"/bin"}})
	if !res.Same() || res.Counts[Explained] != 1 || res.Counts[Ignored] != 1 || res.Rows["new privileges"] != 1 {
		t.Errorf("podman: %+v", res)
	}
	if res := compared(t, w, "runc", Options{Ignore: []string{"/b*/a"}}); res.Counts[Unexplained] != 1 {
		t.Errorf("no_new_privs against runc: %+v", res)
	}

	ours, theirs := small(), small()
	ours.facts["names"] = map[string]string{"kernel": "6.1"}
	theirs.facts["names"] = map[string]string{"kernel": "6.2"}
	for host, class := range map[string]Class{"other": OfHost, "this": Unexplained} {
		res, err := Compare(ours.report(t, "oci2bwrap", "this"), theirs.report(t, "runc", host), Options{})
		if err != nil || len(res.Differences) != 1 || res.Differences[0].Class != class {
			t.Errorf("the kernel's release on %s host: %+v, %v", host, res, err)
		}
	}
}

// TestOtherHost gives the reference what another host would: that is the host's
// and of the same host unexplained. What the Spec sets is unexplained on any.
func TestOtherHost(t *testing.T) {
	tests := []struct {
		group, name, ours, theirs string
		class                     Class // on another host
	}{
		{"files", "/etc/resolv.conf", "nameserver 10.0.0.1", "nameserver 10.0.0.2", OfHost},
		{"files", "/etc/hosts", "127.0.0.1 localhost", "127.0.0.1 localhost x", OfHost},
		{"files", "/etc/hostname", "a", "b", Unexplained},
		{"limits", "nofile", "1024 4096", "1024 8192", OfHost},
		{"limits", "nproc", "10 10", "20 20", Unexplained}, // set
		{"process", "oom_score_adj", "0", "200", OfHost},
		{"process", "Cpus_allowed_list", "0-1", "0-7", OfHost},
		{"process", "umask", "0022", "0077", Unexplained},
		{"process", "cwd", "/", "/app", Unexplained},
		{"environment", "PATH", "/bin", "/usr/bin", Unexplained},
		{"names", "kernel", "6.1", "6.9", OfHost},
		{"names", "hostname", "a", "b", Unexplained},
		{"network", "interface eth0", "up", Absent, OfHost},
		{"seccomp", "Speculation_Store_Bypass", "vulnerable", "thread force mitigated", OfHost},
		{"seccomp", "mode", "2", "0", Unexplained},
		{"namespaces", "time", "the caller's", "ENOENT", OfHost},
		{"kernel paths", "/proc/pressure", "d 0555 0:0", Absent, OfHost},
		{"kernel paths", "/proc/timer_list", "f 0400 0:0, read ok, write EACCES", "f 0444 0:0, read ok, write EACCES", OfHost},
		{"kernel paths", "/proc/kcore", "c 0666 0:0 1,3, read ok, write ok", "f 0400 0:0, read ok, write EACCES", Unexplained},
		{"kernel paths", "/sys/firmware", "d 0555 0:0, empty", "d 0755 0:0", Unexplained},
		{"system calls", "clone3", "ENOSYS", "EINVAL", Unexplained},
		{"system calls", "ptrace", "EPERM", "ok", Unexplained},
		{mountGroup, "/opt type", "tmpfs", "ext4", Unexplained},
	}
	for _, test := range tests {
		for host, class := range map[string]Class{"other": test.class, "this": Unexplained} {
			ours, theirs := small(), small()
			for i, w := range []world{ours, theirs} {
				w.facts["namespaces"]["net"] = "net:[1]" // the caller's
				if value := []string{test.ours, test.theirs}[i]; value != Absent {
					if w.facts[test.group] == nil {
						w.facts[test.group] = map[string]string{}
					}
					w.facts[test.group][test.name] = value
				}
			}
			res, err := Compare(ours.report(t, "oci2bwrap", "this"), theirs.report(t, "runc", host), Options{Set: []string{"nproc"}})
			if err != nil {
				t.Fatal(err)
			}
			if res.Counts[class] == 0 || len(res.Counts) != 1 {
				t.Errorf("%s %s on %s host: %+v, want %s", test.group, test.name, host, res.Differences, class)
			}
		}
	}
}

// TestOtherKernel has calls and masks that only one of two kernels knows.
func TestOtherKernel(t *testing.T) {
	ours, theirs := small(), small()
	for i, w := range []world{ours, theirs} {
		w.facts["names"] = map[string]string{"kernel": []string{"6.9", "5.4"}[i]}
		w.facts["kernel paths"] = map[string]string{"/proc/acpi": []string{"d 0555 0:0, empty", "ENOENT"}[i]}
		w.facts["system calls"]["openat2"] = []string{"EINVAL", "ENOSYS"}[i]
		w.facts["system calls"]["socket alg"] = []string{"ok", "EAFNOSUPPORT"}[i]
	}
	ours.mount("/proc/acpi", "tmpfs", "relatime,ro")
	for host, class := range map[string]Class{"other": OfHost, "this": Unexplained} {
		res, err := Compare(ours.report(t, "oci2bwrap", "this"), theirs.report(t, "runc", host), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if res.Counts[class] != 5 || len(res.Counts) != 1 {
			t.Errorf("on %s host: %+v", host, res.Differences)
		}
	}
}

func TestLinesOfOutput(t *testing.T) {
	ours, theirs := small(), small()
	ours.facts[probe.CommandGroup] = map[string]string{"exit status": "0", "stdout": `took 1 s\na\nb\n`}
	theirs.facts[probe.CommandGroup] = map[string]string{"exit status": "0", "stdout": `took 22 s\na\nc\n`}
	res, err := Compare(ours.report(t, "oci2bwrap", "x"), theirs.report(t, "runc", "x"), Options{Lines: []*regexp.Regexp{regexp.MustCompile("^took ")}})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Differences) != 1 || res.Differences[0].Ours != "b" || res.Differences[0].Theirs != "c" {
		t.Errorf("%+v", res.Differences)
	}
}

func TestCutOff(t *testing.T) {
	whole := small().report(t, "runc", "x")
	var b bytes.Buffer
	json.NewEncoder(&b).Encode(probe.Head{Version: probe.Version, Facts: small().facts})
	cut, err := ReadReport(Side{Name: "sandbox"}, &b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Compare(cut, whole, Options{}); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("error %v", err)
	}
}

func TestRecord(t *testing.T) {
	var report, record bytes.Buffer
	enc := json.NewEncoder(&report)
	enc.Encode(probe.Head{Version: probe.Version, Facts: small().facts})
	for _, f := range small().files {
		enc.Encode(f)
	}
	enc.Encode(probe.Tail{End: true})
	side := Side{Name: "runc 1", Engine: "runc", Adapted: "a way", Host: Host{ID: "there", Namespaces: map[string]string{"pid": "pid:[1]", "net": "net:[1]"}}}
	if err := WriteRecord(&record, side, &report); err != nil {
		t.Fatal(err)
	}
	rep, err := ReadRecord(&record)
	if err != nil {
		t.Fatal(err)
	}
	res, err := Compare(small().report(t, "oci2bwrap", "here"), rep, Options{})
	if err != nil || !res.Same() || res.Theirs.Adapted != "a way" {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := ReadRecord(strings.NewReader("{}\n")); err == nil {
		t.Error("{} is taken for a record")
	}
}

// TestMemory compares 200,000 files that come out of nowhere, with a few that
// differ, in memory that does not grow with them.
func TestMemory(t *testing.T) {
	const files = 200_000
	side := func(odd string) *Report {
		r, w := io.Pipe()
		go func() {
			enc := json.NewEncoder(w)
			enc.Encode(probe.Head{Version: probe.Version, Facts: probe.Facts{}})
			for i := range files {
				e := probe.Entry{Path: fmt.Sprintf("/dir/%07d", i), Type: "f", Mode: "0644", Owner: "0:0", Hash: strings.Repeat("a", 64)}
				if i%10 == 0 {
					e.Hash = strings.Repeat(odd, 64)
				}
				enc.Encode(e)
			}
			enc.Encode(probe.Tail{End: true, Files: files})
			w.Close()
		}()
		rep, err := ReadReport(Side{Name: odd, Engine: odd}, r)
		if err != nil {
			t.Fatal(err)
		}
		return rep
	}
	res, err := Compare(side("b"), side("c"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if res.Files != files || res.Counts[Unexplained] != files/10 || len(res.Differences) != 1000 {
		t.Errorf("%d files, %v, %d listed", res.Files, res.Counts, len(res.Differences))
	}
	if m.HeapSys > 96<<20 {
		t.Errorf("the heap grew to %d MiB", m.HeapSys>>20)
	}
}

// TestRows holds the table to the manual: every row belongs to a field that
// docs/conformance.md has, no two have one name.
func TestRows(t *testing.T) {
	doc, err := os.ReadFile("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range Rows() {
		if seen[r.Name] || r.Why == "" || r.match == nil {
			t.Errorf("row %q is not whole, or there twice", r.Name)
		}
		seen[r.Name] = true
		if !bytes.Contains(doc, []byte("| `"+r.Field+"` |")) {
			t.Errorf("row %q: docs/conformance.md has no field %s", r.Name, r.Field)
		}
	}
}

func TestForms(t *testing.T) {
	w := small()
	w.facts["environment"]["PATH"] = "<b>&\x01"
	w.facts["process"]["no_new_privs"] = "0"
	res := compared(t, w, "podman", Options{})
	for name, write := range map[string]func(io.Writer, *Result) error{
		"text": func(w io.Writer, r *Result) error { return WriteText(w, r, true) }, "junit": WriteJUnit, "html": WriteHTML,
	} {
		var b bytes.Buffer
		if err := write(&b, res); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"PATH", "new privileges", "podman"} {
			if !strings.Contains(b.String(), want) && !(name == "html" && want == "new privileges") {
				t.Errorf("%s: no %q in\n%s", name, want, b.String())
			}
		}
		if name != "text" && strings.Contains(b.String(), "<b>&") {
			t.Errorf("%s: markup of the world's own", name)
		}
	}
	if got := slices.Sorted(maps.Keys(res.Rows)); len(got) != 1 {
		t.Errorf("rows %q", got)
	}
}
