package runner

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// Every operation that Lower can give to a stage comes through the pipe as it
// was, whatever bytes its names have.
func TestStageSpecIsExact(t *testing.T) {
	const odd = "/a\xff,:\\\n%"
	want := &bwrap.Stage{Dir: odd, FuseOverlay: odd, Ops: []bwrap.Op{
		bwrap.Overlay{Lower: []string{odd, "/b"}, Dst: "/", Mode: 0o755, Points: []bwrap.Point{{Path: odd, File: true}},
			Whiteouts: []bwrap.Whiteouts{{Lower: 1, Markers: []string{odd}, Hidden: []string{odd}, Opaque: []string{"."}}}},
		bwrap.Overlay{Lower: []string{}, Dst: odd, Merged: true, Upper: odd, Size: 1 << 20, Attr: bwrap.NoAtime},
		bwrap.Bind{Src: odd, Dst: odd, ReadOnly: true, Devices: true, Attr: bwrap.NoExec | bwrap.Single},
		bwrap.Tmpfs{Dst: odd, Mode: 0o1777, Size: 5, UID: 1, GID: 2, Attr: bwrap.NoAtime, Data: []string{"nr_inodes=5"}},
		bwrap.File{Dst: odd, Mode: 0o644, Data: []byte("\x00\xff"), ReadOnly: true, Attr: bwrap.NoExec},
		bwrap.Dir{Dst: odd, Mode: 0o700, UID: 3, GID: 4},
		bwrap.Symlink{Target: odd, Dst: odd},
		bwrap.Dev{Dst: odd, Mode: 0o700, Size: 4096, Attr: bwrap.NoExec, Pts: bwrap.Pts{Mode: 0o600, PtmxMode: 0o660, GID: 5, Attr: bwrap.NoAtime}},
		bwrap.Mqueue{Dst: odd, Attr: bwrap.NoExec},
		bwrap.Sysfs{Dst: odd, ReadOnly: true, Attr: bwrap.NoExec},
		bwrap.Cgroup{Dst: odd, ReadOnly: true, Attr: bwrap.NoExec},
		bwrap.Node{Dst: odd, Kind: 'c', Major: 1, Minor: 3, Mode: 0o660, UID: 4, GID: 5},
		bwrap.RemountRO{Dst: "/"},
	}}
	spec, err := newStageSpec(want)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	var back stageSpec
	if err := json.Unmarshal(doc, &back); err != nil {
		t.Fatal(err)
	}
	got, err := back.stage()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %#v\nwant %#v", got, want)
	}
	if _, err := newStageSpec(&bwrap.Stage{Ops: []bwrap.Op{bwrap.Proc{Dst: "/proc"}}}); err == nil {
		t.Error("a procfs was accepted for the stage")
	}
}

func TestEscapeOverlay(t *testing.T) {
	if got := escapeOverlay(`/a:b,c\d`); got != `/a\:b\,c\\d` {
		t.Errorf("got %s", got)
	}
}

func TestRemedy(t *testing.T) {
	for text, want := range map[string]string{
		"bwrap: No permissions to create new namespace, likely because": "user namespaces",
		"bwrap: execvp /proc/self/fd/5: No such file or directory":      "CGO_ENABLED=0",
		"bwrap: Can't mkdir /x": "",
	} {
		if got := remedy(text); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q", text, got)
		}
	}
}
