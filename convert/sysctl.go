package convert

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// ipcSysctl are the settings of an ipc namespace, with those of POSIX message
// queues by their prefix.
var ipcSysctl = [...]string{
	"kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem", "kernel/shmall", "kernel/shmmax", "kernel/shmmni",
	"kernel/shm_rmid_forced", "kernel/auto_msgmni",
}

// pingGroups are the groups that may ping without capabilities: of none in a
// new network namespace.
const pingGroups = "net.ipv4.ping_group_range"

// pingOrigin is where Origin says that they are podman's.
const pingOrigin = "linux.sysctl[" + pingGroups + "]"

// sysctl applies --sysctl; what may be set is the planner's to judge. In a
// network of its own root's group may ping, as podman has it, where the user
// namespace has that group.
func (c *conversion) sysctl() {
	if c.o.Network != NetworkHost && (!c.single() || c.res.Spec.Process.User.GID == 0) {
		c.res.Spec.Linux.Sysctl = map[string]string{pingGroups: "0 0"}
		c.res.Origin["linux.sysctl"], c.res.Origin[pingOrigin] = "default", "default"
	}
	for _, s := range c.o.Sysctl {
		if c.res.Spec.Linux.Sysctl == nil {
			c.res.Spec.Linux.Sysctl = map[string]string{}
		}
		c.res.Origin["linux.sysctl"] = "--sysctl"
		if strings.ReplaceAll(s.Name, "/", ".") == pingGroups {
			delete(c.res.Spec.Linux.Sysctl, pingGroups)
			delete(c.res.Origin, pingOrigin)
		}
		if !c.hasNUL("--sysctl", s.Name) && !c.hasNUL("--sysctl", s.Value) {
			c.res.Spec.Linux.Sysctl[s.Name] = s.Value
		}
	}
}

// kernel plans what the init sets for the sandbox's namespaces: the domain
// name and linux.sysctl. A setting of the whole host is an error, as with
// runc, and so is one of a namespace that the sandbox shares with the host.
func (p *planner) kernel(plan *bwrap.Plan) {
	if d := p.spec.Domainname; d != "" {
		switch {
		case !plan.Namespaces.UTS:
			p.fail(fmt.Errorf("domainname: %q needs a uts namespace", d))
		case len(d) > maxHostname || strings.ContainsRune(d, 0):
			p.fail(fmt.Errorf("domainname: %q is longer than %d bytes or holds a NUL", d, maxHostname))
		default:
			plan.Namespaces.Domainname = d
		}
	}
	settings := maps.Clone(p.spec.Linux.Sysctl)
	if !p.Features.Stage && isDefault(p.Origin[pingOrigin]) {
		delete(settings, pingGroups) // nobody has asked for it
	}
	if len(settings) > 0 && !p.Features.Stage {
		// bubblewrap has made /proc/sys read-only when the init comes.
		p.gaps = append(p.gaps, Gap{Field: "linux.sysctl", Effect: Lacks, Reason: "can't be set without a mount namespace: " + p.Features.Reason})
		return
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		// Both spellings of sysctl(8) come out as a path without "..".
		path := strings.ReplaceAll(name, ".", "/")
		if err := p.sysctl(path); err != nil {
			p.fail(fmt.Errorf("%s: %q: %w", p.origin("linux.sysctl", "linux.sysctl"), name, err))
			continue
		}
		plan.Sysctl = append(plan.Sysctl, bwrap.Sysctl{Path: path, Value: settings[name], Optional: name == pingGroups && isDefault(p.Origin[pingOrigin])})
	}
}

func (p *planner) sysctl(path string) error {
	if path == "" || strings.Contains("/"+path+"/", "//") || strings.ContainsRune(path, 0) {
		return fmt.Errorf("no name of a setting")
	}
	var kind specs.LinuxNamespaceType
	hint := ""
	switch {
	case strings.HasPrefix(path, "net/"):
		kind, hint = specs.NetworkNamespace, "--network none or pasta gives it one"
	case slices.Contains(ipcSysctl[:], path), strings.HasPrefix(path, "fs/mqueue/"):
		kind = specs.IPCNamespace
	case path == "kernel/domainname":
		kind = specs.UTSNamespace
	default:
		return &hinted{fmt.Errorf("is a setting of the whole host, not of a sandbox"), "net.*, fs.mqueue.*, kernel.msg*, kernel.sem and kernel.shm* can be set"}
	}
	if !p.owns(kind) {
		return &hinted{fmt.Errorf("is the host's, since the sandbox has no %s namespace of its own", kind), hint}
	}
	return nil
}
