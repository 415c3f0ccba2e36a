package bwrap

import (
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		change func(*Plan)
		want   string // in the error; "" is none
	}{
		{func(p *Plan) {}, ""},
		{func(p *Plan) { p.Process.Args = nil }, "process.args: empty"},
		{func(p *Plan) { p.Process.Args = []string{"a", "b\x00c"} }, `NUL byte in "b\x00c"`},
		{func(p *Plan) { p.Process.Env = []string{"A=\x00"} }, "NUL byte"},
		{func(p *Plan) { p.Namespaces.Hostname = "h\x00" }, "NUL byte"},
		{func(p *Plan) { p.Process.Env = []string{"A=", "A=b=c", "=x"} }, `process.env: "=x" is not NAME=VALUE`},
		{func(p *Plan) { p.Process.Env = []string{"A"} }, `process.env: "A"`},
		{func(p *Plan) { p.Process.Cwd = "" }, `process.cwd: ""`},
		{func(p *Plan) { p.Process.Cwd = "/a/../b" }, "process.cwd"},
		{func(p *Plan) { p.Process.Cwd = "/a\x00" }, "process.cwd"},
		{func(p *Plan) { p.Process.Capabilities.Bounding = []string{"CAP_CHOWN", "CAP_NONE"} }, `unknown capability "CAP_NONE"`},
		{func(p *Plan) { p.Steps = steps(Proc{"proc"}) }, `mounts[0]: destination "proc" is not absolute and clean`},
		{func(p *Plan) { p.Steps = steps(Proc{"/proc"}, Dir{Dst: "/a/"}) }, "mounts[1]"},
		{func(p *Plan) { p.Steps = steps(Dir{Dst: "/a\x00b"}) }, "mounts[0]"},
		{func(p *Plan) { p.Steps = steps(Bind{Src: "--args", Dst: "/a"}) }, `source "--args"`},
		{func(p *Plan) { p.Steps = steps(Bind{Src: "/a\x00", Dst: "/a"}) }, "source"},
		{func(p *Plan) { p.Steps = steps(Overlay{Lower: []string{"/a", "b"}, Dst: "/"}) }, `source "b"`},
		{func(p *Plan) { p.Steps = steps(Overlay{Dst: "/", Points: []Point{{Path: "/x"}}}) }, ""},
		{func(p *Plan) { p.Steps = steps(Overlay{Dst: "/", Points: []Point{{Path: "/"}}}) }, `mount point "/"`},
		{func(p *Plan) { p.Steps = steps(Overlay{Dst: "/a", Points: []Point{{Path: "/a/b"}, {Path: "/ab"}}}) }, `mount point "/ab" is not clean and below "/a"`},
		{func(p *Plan) { p.Steps = steps(Overlay{Dst: "/a", Points: []Point{{Path: "/a/../b"}}}) }, "mount point"},
		{func(p *Plan) { p.Steps = steps(Symlink{Target: "", Dst: "/a"}) }, "target"},
		{func(p *Plan) { p.Steps = steps(Symlink{Target: "x\x00", Dst: "/a"}) }, "target"},
	} {
		p := plan()
		tt.change(p)
		err := p.Check()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
		if _, lowered := Lower(p, Target{}); err != nil && lowered == nil {
			t.Errorf("lowered in spite of %v", err)
		}
	}
	p := plan(Proc{"x"}, Proc{"y"})
	p.Process.Args, p.Process.Cwd = nil, ""
	if err := p.Check(); strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("not all faults at once: %v", err)
	}
}
