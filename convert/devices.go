package convert

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	"github.com/oci2bwrap/oci2bwrap/internal/inroot"
)

// devices applies --device. As with podman, real root makes nodes of its own;
// who can't make any binds those of the host.
func (c *conversion) devices(l *mountList) {
	const flag = "--device"
	for _, d := range c.o.Devices {
		dst, ok := c.destination(flag, d.Path)
		switch {
		case !ok || c.hasNUL(flag, d.Source):
			continue
		case !strings.HasPrefix(dst, "/dev/"):
			c.fault(flag, "%w", &hinted{fmt.Errorf("%q is not below /dev", d.Path), "-v SRC:DST shows a device at any place"})
			continue
		}
		if c.ordinary() {
			if restricted(d.Access) {
				c.allowDevice(d) // for its gap
			}
			l.put(specs.Mount{Destination: dst, Type: "bind", Source: d.Source, Options: []string{"rbind", "rprivate", "nosuid", "noexec", "rw"}}, flag)
			continue
		}
		linux := c.res.Spec.Linux
		mode, uid, gid := d.Mode.Perm(), d.UID, d.GID
		linux.Devices = append(linux.Devices, specs.LinuxDevice{Path: dst, Type: d.Type, Major: d.Major, Minor: d.Minor, FileMode: &mode, UID: &uid, GID: &gid})
		c.allowDevice(d)
		c.res.Origin["linux.devices"] = flag
	}
}

// allowDevice adds the rule of a device cgroup.
func (c *conversion) allowDevice(d Device) {
	linux := c.res.Spec.Linux
	if linux.Resources == nil {
		linux.Resources = &specs.LinuxResources{}
	}
	major, minor := d.Major, d.Minor
	linux.Resources.Devices = append(linux.Resources.Devices, specs.LinuxDeviceCgroup{Allow: true, Type: d.Type, Major: &major, Minor: &minor, Access: d.Access})
}

// restricted says of a rule's access that only a device cgroup could hold a
// process to it, which may do anything that the node's mode lets it.
func restricted(access string) bool {
	return !strings.Contains(access, "r") || !strings.Contains(access, "w")
}

// restrictedDevice is the gap of a rule for a device that is there.
func restrictedDevice(rule int, access string) Gap {
	return Gap{
		Field: fmt.Sprintf("linux.resources.devices[%d].access", rule), Effect: Weakens,
		Reason: fmt.Sprintf("%q can't be held to: there is no device cgroup, and the node's mode decides", access),
		Remedy: "ask for rw",
	}
}

// ruleFor says that a rule of a device cgroup, which names a kind of devices
// with a number, is for the device.
func ruleFor(r specs.LinuxDeviceCgroup, n Node) bool {
	return r.Major != nil && *r.Major == n.Major && (r.Minor == nil || *r.Minor < 0 || *r.Minor == n.Minor) &&
		(r.Type == "" || r.Type == "a" || r.Type == n.Type)
}

// asNode says that a rule is for one of linux.devices.
func asNode(r specs.LinuxDeviceCgroup, l *specs.Linux) bool {
	return slices.ContainsFunc(l.Devices, func(d specs.LinuxDevice) bool {
		return ruleFor(r, Node{strings.Replace(d.Type, "u", "c", 1), d.Major, d.Minor})
	})
}

// boundDevices finds the gaps of devices that are there by a bind alone.
func (p *planner) boundDevices() {
	r := p.spec.Linux.Resources
	if r == nil {
		return
	}
	for i, rule := range r.Devices {
		if !rule.Allow || !restricted(rule.Access) || asNode(rule, p.spec.Linux) {
			continue
		}
		if slices.ContainsFunc(p.spec.Mounts, func(m specs.Mount) bool {
			node, ok := p.host.Devices[m.Source]
			return ok && ruleFor(rule, node)
		}) {
			p.gaps = append(p.gaps, restrictedDevice(i, rule.Access))
		}
	}
}

// usualDevices are in every sandbox's /dev.
var usualDevices = map[string]Node{
	"/dev/null": {"c", 1, 3}, "/dev/zero": {"c", 1, 5}, "/dev/full": {"c", 1, 7}, "/dev/random": {"c", 1, 8}, "/dev/urandom": {"c", 1, 9},
	"/dev/tty": {"c", 5, 0},
}

// devices plans linux.devices, in the /dev that the plan has made.
func (p *planner) devices() {
	for i, d := range p.spec.Linux.Devices {
		field := fmt.Sprintf("linux.devices[%d]", i)
		usual, ok := usualDevices[d.Path]
		if ok && (usual == Node{d.Type, d.Major, d.Minor} || usual.Major == d.Major && usual.Minor == d.Minor && d.Type == "u") {
			continue
		}
		if err := p.device(d, field); err != nil {
			p.fail(fmt.Errorf("%s: %q: %w", p.origin("linux.devices", field), d.Path, err))
		}
	}
}

func (p *planner) device(d specs.LinuxDevice, field string) error {
	if !path.IsAbs(d.Path) || path.Clean(d.Path) != d.Path {
		return errors.New("is not absolute and clean")
	}
	if !slices.Contains([]string{"c", "b", "u", "p"}, d.Type) {
		return fmt.Errorf("type %q is none of c, b, u, p", d.Type)
	}
	at, err := inroot.Resolve(p.view, d.Path)
	switch {
	case err != nil:
		return err
	case at.Missing == "":
		return errors.New("is there already")
	}
	r := p.view.region(at.Name)
	if r.step < 0 || !isDevOp(p.steps[r.step].Op) || r.kind != regionMemory {
		return errors.New("is not in a /dev of the sandbox's own")
	}
	node := Node{strings.Replace(d.Type, "u", "c", 1), d.Major, d.Minor}
	op := bwrap.Node{Dst: at.Name, Kind: node.Type[0], Major: uint32(d.Major), Minor: uint32(d.Minor), Mode: 0o666}
	if d.FileMode != nil {
		op.Mode = d.FileMode.Perm()
	}
	if d.UID != nil {
		op.UID = int(*d.UID)
	}
	if d.GID != nil {
		op.GID = int(*d.GID)
	}
	switch {
	case p.Features.Stage && (!p.userNamespace() || d.Type == "p"):
		p.add(op, p.origin("linux.devices", "linux.devices"))
	case d.Type != "p" && p.host.Devices[d.Path] == node:
		p.add(bwrap.Bind{Src: d.Path, Dst: at.Name, Devices: true}, p.origin("linux.devices", "linux.devices"))
	default:
		p.gaps = append(p.gaps, Gap{
			Field: field, Effect: Lacks, Reason: fmt.Sprintf("%q: without root no device node can be made, and the host has another one there or none", d.Path),
			Remedy: "bind the host's node",
		})
		return nil
	}
	p.view.make(at.Name, 0o666)
	return nil
}

func isDevOp(op bwrap.Op) bool {
	_, ok := op.(bwrap.Dev)
	return ok
}
