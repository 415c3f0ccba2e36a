package convert

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// Unlimited is RLIM_INFINITY, the limit that is none.
const Unlimited uint64 = math.MaxUint64

// Rlimit is a soft and a hard limit as setrlimit(2) has them.
type Rlimit struct {
	Soft, Hard uint64
}

// resources are those of getrlimit(2) by podman's names.
var resources = [...]string{
	"as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc",
	"rss", "rtprio", "rttime", "sigpending", "stack",
}

// ParseUlimit reads podman's NAME=SOFT[:HARD]: -1 is no limit, and without
// HARD it is SOFT.
func ParseUlimit(s string) (specs.POSIXRlimit, error) {
	name, value, ok := strings.Cut(s, "=")
	if !ok {
		return specs.POSIXRlimit{}, fmt.Errorf("%q is not NAME=SOFT[:HARD]", s)
	}
	known := false
	for _, r := range resources {
		known = known || r == name
	}
	if !known {
		return specs.POSIXRlimit{}, fmt.Errorf("%q: no resource %q (has: %s)", s, name, strings.Join(resources[:], ", "))
	}
	soft, hard, two := strings.Cut(value, ":")
	if !two {
		hard = soft
	}
	l := specs.POSIXRlimit{Type: "RLIMIT_" + strings.ToUpper(name)}
	var err error
	if l.Soft, err = parseLimit(soft); err == nil {
		l.Hard, err = parseLimit(hard)
	}
	switch {
	case err != nil:
		return l, fmt.Errorf("%q: %w", s, err)
	case l.Soft > l.Hard:
		return l, fmt.Errorf("%q: the soft limit is above the hard one", s)
	}
	return l, nil
}

func parseLimit(s string) (uint64, error) {
	if s == "-1" {
		return Unlimited, nil
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("limit %q is neither a number nor -1 for none", s)
	}
	return n, nil
}

// limits gives the plan the Spec's resource limits and OOM score. What the
// caller may not set is a fault: found by the init it would come after
// everything is mounted.
func (p *planner) limits(out *bwrap.Process) {
	seen := map[string]bool{}
	for i, l := range p.spec.Process.Rlimits {
		field := fmt.Sprintf("process.rlimits[%d]", i)
		own, known := p.host.Rlimits[l.Type]
		switch {
		case seen[l.Type]:
			p.fail(fmt.Errorf("%s: %s is named twice", field, l.Type))
		case p.host.Rlimits != nil && !known:
			p.fail(fmt.Errorf("%s: unknown resource %q", field, l.Type))
		case l.Soft > l.Hard:
			p.fail(fmt.Errorf("%s: %s: the soft limit %d is above the hard one %d", field, l.Type, l.Soft, l.Hard))
		case known && l.Hard > own.Hard:
			out.Raises = true
			if !p.host.Resource {
				p.fail(&limitError{fmt.Sprintf("%s: %s: %s is above the caller's hard limit %s, which needs CAP_SYS_RESOURCE", field, l.Type, limitText(l.Hard), limitText(own.Hard)), "limits.conf, LimitNOFILE= and the like of a unit"})
			}
		}
		seen[l.Type] = true
		out.Rlimits = append(out.Rlimits, bwrap.Rlimit{Type: l.Type, Soft: l.Soft, Hard: l.Hard})
	}
	score := p.spec.Process.OOMScoreAdj
	out.OOMScoreAdj = score
	if score == nil {
		return
	}
	if *score < -1000 || *score > 1000 {
		p.fail(fmt.Errorf("process.oomScoreAdj: %d is not between -1000 and 1000", *score))
	}
	if *score < p.host.OOMScoreAdj {
		out.Raises = true
		if !p.host.Resource {
			p.fail(&limitError{fmt.Sprintf("process.oomScoreAdj: %d is below the caller's %d, which needs CAP_SYS_RESOURCE", *score, p.host.OOMScoreAdj), "OOMScoreAdjust= of a unit"})
		}
	}
}

func limitText(n uint64) string {
	if n == Unlimited {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

// limitError is a limit that the caller may not set, with the places where
// the caller's own is set.
type limitError struct{ text, places string }

func (e *limitError) Error() string { return e.text }
func (e *limitError) Hint() string {
	return "change the caller's own (" + e.places + "), or ask for less"
}
