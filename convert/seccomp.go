package convert

import (
	"fmt"
	"runtime"
	"slices"

	"github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	compiler "github.com/oci2bwrap/oci2bwrap/internal/seccomp"
)

// Seccomp chooses the system calls that the command may make. The zero value
// is docker's default profile, with podman's answer to those who ask for the
// kernel's audit and may not write to it.
type Seccomp struct {
	Unconfined bool   // any
	Name       string // where Profile comes from, for messages
	Profile    []byte // docker's or podman's JSON form of a profile; nil is the default
}

// seccomp sets linux.seccomp: the rules of the profile that hold for the
// capabilities of the command, this machine and its kernel. The capabilities
// are to be set.
func (c *conversion) seccomp() {
	if c.o.Seccomp.Unconfined {
		c.res.Origin["linux.seccomp"] = "--security-opt"
		return
	}
	from, p := "default", defaultSeccomp
	if c.o.Seccomp.Profile != nil {
		from = "--security-opt seccomp=" + c.o.Seccomp.Name
		p = func() (*seccompProfile, error) { return parseSeccomp(c.o.Seccomp.Profile) }
	}
	profile, err := p()
	if err == nil {
		c.res.Spec.Linux.Seccomp, err = profile.resolve(c.res.Spec.Process.Capabilities.Bounding, c.host.Kernel)
	}
	if err != nil {
		c.fault(from, "%w", err)
	}
	c.res.Origin["linux.seccomp"] = from
}

// defaultSeccomp is docker's, with auditRules for its rule of netlink.
func defaultSeccomp() (*seccompProfile, error) {
	d := seccomp.DefaultProfile()
	p := &seccompProfile{LinuxSeccomp: d.LinuxSeccomp, ArchMap: d.ArchMap}
	for _, s := range d.Syscalls {
		if slices.Equal(s.Names, []string{"socket"}) && slices.Equal(s.Args, netlink) {
			p.Syscalls = append(p.Syscalls, auditRules(*s)...)
			continue
		}
		p.Syscalls = append(p.Syscalls, seccompRule{Syscall: *s})
	}
	return p, nil
}

// netlink is the condition of docker's rule, AF_NETLINK.
var netlink = []specs.LinuxSeccompArg{{Index: 0, Value: 16, Op: specs.OpEqualTo}}

// auditRules are the rules for netlink sockets, made of docker's, which allows
// them all. docker gives CAP_AUDIT_WRITE and podman does not; without it a
// message to NETLINK_AUDIT fails with EPERM, and sshd, login and sudo, run by
// real root, take that for an error that ends the session. EINVAL is what a
// kernel without audit gives, and is podman's answer. No two of the rules hold at once:
// libseccomp has an order of its own.
func auditRules(allow seccomp.Syscall) []seccompRule {
	may := &seccomp.Filter{Caps: []string{"CAP_AUDIT_WRITE"}}
	const netlinkAudit = 9
	all, other, audit := allow, allow, allow
	all.Includes, other.Excludes, audit.Excludes = may, may, may
	other.Args = append(slices.Clone(netlink), specs.LinuxSeccompArg{Index: 2, Value: netlinkAudit, Op: specs.OpNotEqual})
	audit.Args = append(slices.Clone(netlink), specs.LinuxSeccompArg{Index: 2, Value: netlinkAudit, Op: specs.OpEqualTo})
	errno := uint(22) // EINVAL
	audit.Action, audit.ErrnoRet = specs.ActErrno, &errno
	return []seccompRule{{Syscall: all}, {Syscall: other}, {Syscall: audit}}
}

// resolve leaves the rules whose conditions are met.
func (p *seccompProfile) resolve(caps []string, kernel string) (*specs.LinuxSeccomp, error) {
	out := p.LinuxSeccomp
	out.Architectures = slices.Clone(out.Architectures)
	arch := archNames[runtime.GOARCH]
	for _, a := range p.ArchMap {
		if a.Arch == arch.oci {
			out.Architectures = append(append(out.Architectures, a.Arch), a.SubArches...)
		}
	}
	out.Syscalls = nil
	for i, rule := range p.Syscalls {
		includes, err := met(rule.Includes, arch.docker, caps, kernel, true)
		if err != nil {
			return nil, fmt.Errorf("syscalls[%d].includes: %w", i, err)
		}
		excludes, err := met(rule.Excludes, arch.docker, caps, kernel, false)
		if err != nil {
			return nil, fmt.Errorf("syscalls[%d].excludes: %w", i, err)
		}
		if includes && !excludes {
			out.Syscalls = append(out.Syscalls, rule.LinuxSyscall)
		}
	}
	return &out, nil
}

// archNames are a GOARCH's names in docker's profiles and in runtime-spec.
var archNames = map[string]struct {
	docker string
	oci    specs.Arch
}{
	"amd64": {"amd64", specs.ArchX86_64}, "arm64": {"arm64", specs.ArchAARCH64},
	"386": {"x86", specs.ArchX86}, "arm": {"arm", specs.ArchARM},
}

// met says whether a filter holds: for an include all that it names, for an
// exclude any.
func met(f *seccomp.Filter, arch string, caps []string, kernel string, all bool) (bool, error) {
	if f == nil {
		return all, nil
	}
	var hits []bool
	if len(f.Arches) > 0 {
		hits = append(hits, slices.Contains(f.Arches, arch))
	}
	for _, name := range f.Caps {
		hits = append(hits, slices.Contains(caps, name))
	}
	if f.MinKernel != nil {
		newer, err := atLeast(kernel, f.MinKernel)
		if err != nil {
			return false, err
		}
		hits = append(hits, newer)
	}
	if all {
		return !slices.Contains(hits, false), nil
	}
	return slices.Contains(hits, true), nil
}

// atLeast compares a kernel release with a version. One that is not known
// counts as new: bubblewrap and the runner need more than any profile asks.
func atLeast(release string, v *seccomp.KernelVersion) (bool, error) {
	if release == "" {
		return true, nil
	}
	var kernel, major uint64
	if _, err := fmt.Sscanf(release, "%d.%d", &kernel, &major); err != nil {
		return false, fmt.Errorf("minKernel: kernel release %q begins with no version", release)
	}
	return kernel > v.Kernel || kernel == v.Kernel && major >= v.Major, nil
}

// filter gives the process its filter.
func (p *planner) filter(proc *bwrap.Process) {
	var err error
	if proc.Seccomp, err = filter(p.spec.Linux.Seccomp); err != nil {
		p.fail(err)
	}
}

// filter compiles linux.seccomp for this machine.
func filter(s *specs.LinuxSeccomp) (*bwrap.Seccomp, error) {
	if s == nil {
		return nil, nil
	}
	bpf, flags, err := compiler.Compile(s, compiler.Native(runtime.GOARCH))
	if err != nil {
		return nil, err
	}
	return &bwrap.Seccomp{BPF: bpf, Flags: flags}, nil
}
