package convert

import (
	"slices"
	"strings"
	"testing"

	ispec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestParseUlimit(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want specs.POSIXRlimit
		err  string
	}{
		{in: "nofile=1024:2048", want: specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Soft: 1024, Hard: 2048}},
		{in: "nproc=7", want: specs.POSIXRlimit{Type: "RLIMIT_NPROC", Soft: 7, Hard: 7}},
		{in: "core=0:-1", want: specs.POSIXRlimit{Type: "RLIMIT_CORE", Hard: Unlimited}},
		{in: "core=-1", want: specs.POSIXRlimit{Type: "RLIMIT_CORE", Soft: Unlimited, Hard: Unlimited}},
		{in: "core=-1:5", err: "above the hard"},
		{in: "core=2:1", err: "above the hard"},
		{in: "core=-2", err: "neither a number"},
		{in: "core=", err: "neither a number"},
		{in: "core=1:", err: "neither a number"},
		{in: "core=1:2:3", err: "neither a number"},
		{in: "CORE=1", err: "no resource"},
		{in: "core", err: "NAME=SOFT"},
		{in: "", err: "NAME=SOFT"},
	} {
		got, err := ParseUlimit(tt.in)
		if tt.err == "" && (err != nil || got != tt.want) || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%q: %+v, %v; want %+v, %q", tt.in, got, err, tt.want, tt.err)
		}
	}
}

// TestLimits holds what a caller may set, and what it is told otherwise.
func TestLimits(t *testing.T) {
	nofile := func(soft, hard uint64) specs.POSIXRlimit {
		return specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Soft: soft, Hard: hard}
	}
	score := func(n int) *int { return &n }
	for _, tt := range []struct {
		limits   []specs.POSIXRlimit
		score    *int
		resource bool
		raises   bool
		err      string
	}{
		{limits: []specs.POSIXRlimit{nofile(1, 100)}},
		{limits: []specs.POSIXRlimit{nofile(100, 101)}, err: "process.rlimits[0]: RLIMIT_NOFILE: 101 is above the caller's hard limit 100, which needs CAP_SYS_RESOURCE"},
		{limits: []specs.POSIXRlimit{nofile(0, Unlimited)}, err: "unlimited is above"},
		{limits: []specs.POSIXRlimit{nofile(100, 101)}, resource: true, raises: true},
		{limits: []specs.POSIXRlimit{nofile(2, 1)}, err: "the soft limit 2 is above the hard one 1"},
		{limits: []specs.POSIXRlimit{nofile(1, 1), nofile(1, 1)}, err: "named twice"},
		{limits: []specs.POSIXRlimit{{Type: "RLIMIT_X"}}, err: `process.rlimits[0]: unknown resource "RLIMIT_X"`},
		{score: score(10)},
		{score: score(9), err: "process.oomScoreAdj: 9 is below the caller's 10, which needs CAP_SYS_RESOURCE"},
		{score: score(9), resource: true, raises: true},
		{score: score(1001), err: "not between"},
		{score: score(-1001), resource: true, err: "not between"},
	} {
		spec := bundle()
		spec.Process.Rlimits, spec.Process.OOMScoreAdj = tt.limits, tt.score
		p := &planner{spec: spec, host: Host{Rlimits: map[string]Rlimit{"RLIMIT_NOFILE": {Soft: 10, Hard: 100}}, OOMScoreAdj: 10, Resource: tt.resource}}
		out := process(spec, "/")
		p.limits(&out)
		var text []string
		for _, err := range p.errs {
			text = append(text, err.Error())
		}
		if got := strings.Join(text, "; "); tt.err == "" && got != "" || !strings.Contains(got, tt.err) {
			t.Errorf("%v: error %q, want %q", tt.limits, got, tt.err)
		}
		if tt.err == "" && (out.Raises != tt.raises || len(out.Rlimits) != len(tt.limits)) {
			t.Errorf("%v: %+v", tt.limits, out)
		}
	}
}

func TestSpecLimits(t *testing.T) {
	umask, score := uint32(0o77), 5
	limits := []specs.POSIXRlimit{{Type: "RLIMIT_CORE", Soft: 1, Hard: 2}}
	img := ispec.Image{Config: ispec.ImageConfig{Cmd: []string{"x"}}}
	res, err := Spec(img, Rootfs{}, Host{}, Options{Umask: &umask, OOMScoreAdj: &score, Rlimits: limits})
	if err != nil {
		t.Fatal(err)
	}
	if p := res.Spec.Process; *p.User.Umask != 0o77 || *p.OOMScoreAdj != 5 || !slices.Equal(p.Rlimits, limits) {
		t.Errorf("%+v", p)
	}
}
