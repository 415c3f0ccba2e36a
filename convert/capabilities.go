package convert

import (
	"fmt"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// defaultCapabilities are podman's since version 4: docker's without MKNOD,
// NET_RAW and AUDIT_WRITE.
func defaultCapabilities() []string {
	return []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE",
		"CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
	}
}

// capabilities sets process.capabilities as podman does: the bounding set is
// what root would have; a user other than root has what was added by name, as
// ambient capabilities, so that it lives on through an exec.
func (c *conversion) capabilities(u user) {
	add, all := c.capabilityNames("--cap-add", c.o.CapAdd)
	drop, none := c.capabilityNames("--cap-drop", c.o.CapDrop)
	if all && none {
		c.fault("--cap-add", "ALL is also dropped by --cap-drop")
	}
	for _, name := range add {
		if slices.Contains(drop, name) && !all && !none {
			c.fault("--cap-add", "%s is also dropped by --cap-drop", name)
		}
	}
	set := defaultCapabilities()
	if none {
		set, drop = nil, nil
	}
	set = sorted(append(set, add...))
	if all {
		add = slices.DeleteFunc(add, func(name string) bool { return slices.Contains(drop, name) })
	}
	set = slices.DeleteFunc(set, func(name string) bool { return slices.Contains(drop, name) })
	caps := &specs.LinuxCapabilities{Bounding: set}
	if u.uid == 0 {
		caps.Effective, caps.Permitted = slices.Clone(set), slices.Clone(set)
	} else if len(add) > 0 {
		add = sorted(add)
		caps.Effective, caps.Permitted = slices.Clone(add), slices.Clone(add)
		caps.Inheritable, caps.Ambient = slices.Clone(add), slices.Clone(add)
	}
	c.res.Spec.Process.Capabilities = caps
	c.res.Origin["process.capabilities"] = "default"
	if len(c.o.CapAdd)+len(c.o.CapDrop) > 0 {
		c.res.Origin["process.capabilities"] = "--cap-add, --cap-drop"
	}
	if c.ordinary() && !all {
		for _, name := range add {
			if slices.Contains(beyondNamespaces[:], name) {
				c.note("--cap-add", "%s has no effect: the kernel asks for it outside of every user namespace", name)
			}
		}
	}
}

// sorted sorts names that may come twice.
func sorted(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// capabilityNames gives the capabilities' full names. ALL is those that the
// caller can give.
func (c *conversion) capabilityNames(flag string, words []string) (names []string, all bool) {
	known := bwrap.CapNames()
	for _, word := range words {
		name := strings.ToUpper(word)
		if name == "ALL" {
			all = true
			continue
		}
		if !strings.HasPrefix(name, "CAP_") {
			name = "CAP_" + name
		}
		if !slices.Contains(known, name) {
			c.faults = append(c.faults, misspelt(fmt.Errorf("%s: unknown capability %q", flag, word), name, known, "capabilities(7) lists them: CHOWN, NET_ADMIN, SYS_PTRACE, …; ALL is all"))
			continue
		}
		names = append(names, name)
	}
	if all {
		names = known
		if !c.ordinary() && c.host.Capabilities != nil {
			names = slices.Clone(c.host.Capabilities)
		}
	}
	return names, all
}

// beyondNamespaces are capabilities that the kernel looks for in the first
// user namespace alone.
var beyondNamespaces = [...]string{
	"CAP_AUDIT_CONTROL", "CAP_AUDIT_READ", "CAP_AUDIT_WRITE", "CAP_BLOCK_SUSPEND", "CAP_LINUX_IMMUTABLE", "CAP_MAC_ADMIN",
	"CAP_MAC_OVERRIDE", "CAP_MKNOD", "CAP_PERFMON", "CAP_SYSLOG", "CAP_SYS_MODULE", "CAP_SYS_PACCT", "CAP_SYS_RAWIO",
	"CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_WAKE_ALARM",
}
