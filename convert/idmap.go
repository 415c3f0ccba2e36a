package convert

import (
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// IDMapped are the binds of a Spec that map the ids of their files, of which
// only what the kernel's mount is made of is set: Src, IDMap, and of Attr whether
// it is Single. A map that is wrong has none; the plan has the error.
func IDMapped(spec *specs.Spec) []bwrap.Bind {
	var binds []bwrap.Bind
	for _, m := range spec.Mounts {
		w := parseWords(m.Options)
		if id, err := idMap(spec, m, w); err == nil && id != nil && isBindMount(m) {
			binds = append(binds, idMapped(m, w, id))
		}
	}
	return binds
}

func idMapped(m specs.Mount, w mountWords, id *bwrap.IDMap) bwrap.Bind {
	return bwrap.Bind{Src: path.Clean(m.Source), IDMap: id, Attr: w.attr & bwrap.Single}
}

func isBindMount(m specs.Mount) bool { return m.Type == "bind" || m.Type == "none" || m.Type == "" }

// wantsIDMap says that the Spec names a map for a mount, or asks for the
// container's.
func wantsIDMap(m specs.Mount, w mountWords) bool {
	return w.idmap != "" || len(m.UIDMappings)+len(m.GIDMappings) > 0
}

// idMap is the map of a mount, nil for none: as the runtime-spec has it its own,
// else that of the container's user namespace. Without the word ridmap it is not
// for what is mounted below.
func idMap(spec *specs.Spec, m specs.Mount, w mountWords) (*bwrap.IDMap, error) {
	if !wantsIDMap(m, w) {
		return nil, nil
	}
	uids, gids := m.UIDMappings, m.GIDMappings
	id := &bwrap.IDMap{Recursive: w.idmap == "ridmap"}
	switch user := slices.IndexFunc(spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.UserNamespace }); {
	case len(uids)+len(gids) > 0:
	case w.ids != "":
		var err error
		if uids, gids, err = parseIDs(w.ids, spec.Linux); err != nil {
			return nil, fmt.Errorf("%s: %w", w.idmap, err)
		}
	case user < 0:
		return nil, &hinted{fmt.Errorf("%s: without a user namespace there is no map to take", w.idmap), "name the ids of the files and whose they are to be: idmap=uids=1000-0-1;gids=1000-0-1"}
	case spec.Linux.Namespaces[user].Path != "":
		id.Path = spec.Linux.Namespaces[user].Path
		return id, nil
	default:
		uids, gids = spec.Linux.UIDMappings, spec.Linux.GIDMappings
	}
	if len(uids) == 0 || len(gids) == 0 {
		return nil, errors.New("an id-mapped mount needs mappings of uids and of gids")
	}
	id.UIDs, id.GIDs = bwrapMappings(uids), bwrapMappings(gids)
	return id, nil
}

func bwrapMappings(in []specs.LinuxIDMapping) []bwrap.IDMapping {
	out := make([]bwrap.IDMapping, len(in))
	for i, m := range in {
		out[i] = bwrap.IDMapping{Inside: m.ContainerID, Outside: m.HostID, Size: m.Size}
	}
	return out
}

// parseIDs reads crun's "uids=0-1-10#10-11-10;gids=0-100-10": ids of the file
// system, whose they are to be, and how many. Behind an @ the second is an id of
// the container, by the mapping that has the first.
func parseIDs(s string, l *specs.Linux) (uids, gids []specs.LinuxIDMapping, err error) {
	for part := range strings.SplitSeq(s, ";") {
		kind, list, _ := strings.Cut(part, "=")
		to, of := &uids, l.UIDMappings
		if kind == "gids" {
			to, of = &gids, l.GIDMappings
		}
		if kind != "uids" && kind != "gids" || *to != nil {
			return nil, nil, fmt.Errorf("%q is not uids=FIRST-AS-COUNT[#...];gids=FIRST-AS-COUNT[#...]", s)
		}
		for word := range strings.SplitSeq(list, "#") {
			m, err := parseIDRange(word, of)
			if err != nil {
				return nil, nil, err
			}
			*to = append(*to, m)
		}
	}
	return uids, gids, nil
}

func parseIDRange(word string, container []specs.LinuxIDMapping) (m specs.LinuxIDMapping, err error) {
	plain, relative := strings.CutPrefix(word, "@")
	parts := strings.Split(plain, "-")
	if len(parts) != 3 {
		return m, fmt.Errorf("%q is not FIRST-AS-COUNT", word)
	}
	for i, to := range []*uint32{&m.ContainerID, &m.HostID, &m.Size} {
		n, err := strconv.ParseUint(parts[i], 10, 32)
		if err != nil {
			return m, fmt.Errorf("%q is not FIRST-AS-COUNT, three numbers", word)
		}
		*to = uint32(n)
	}
	if !relative {
		return m, nil
	}
	i := slices.IndexFunc(container, func(c specs.LinuxIDMapping) bool {
		return m.ContainerID >= c.ContainerID && m.ContainerID-c.ContainerID < c.Size
	})
	if i < 0 {
		return m, fmt.Errorf("%q: %d is in no mapping of the container's", word, m.ContainerID)
	}
	as := int64(m.HostID) + int64(container[i].HostID) - int64(container[i].ContainerID)
	if as < 0 || as > math.MaxUint32 {
		return m, fmt.Errorf("%q: the container has no such id", word)
	}
	m.HostID = uint32(as)
	return m, nil
}

// idMaps writes the maps of flags as the runtime-spec has them.
func (c *conversion) idMaps() {
	s := c.res.Spec
	for i := range s.Mounts {
		m := &s.Mounts[i]
		w := parseWords(m.Options)
		if w.idmap == "" {
			continue
		}
		if _, err := idMap(s, *m, w); err != nil {
			c.fault(c.res.Origin[m.Destination], "%q: %w", m.Destination, err)
			continue
		}
		if w.ids != "" {
			m.UIDMappings, m.GIDMappings, _ = parseIDs(w.ids, s.Linux)
		}
		for i, o := range m.Options {
			if strings.HasPrefix(o, w.idmap+"=") {
				m.Options[i] = w.idmap
			}
		}
	}
}

// idMapped gives a bind the map that the Spec names for it. Where it can't have
// it, the process would have other rights to the files than the map gives it.
func (p *planner) idMapped(m specs.Mount, w mountWords, b *bwrap.Bind) error {
	id, err := idMap(p.spec, m, w)
	if err != nil || id == nil {
		return err
	}
	reason := ""
	switch {
	case !p.Features.Stage:
		reason = p.Features.Reason
	case p.host.IDMapped == nil:
		reason = "only real root, outside of any user namespace, can map the ids of a mount"
	default:
		if err := p.host.IDMapped(idMapped(m, w, id)); err != nil {
			reason = err.Error()
		}
	}
	if reason == "" {
		b.IDMap = id
		return nil
	}
	p.noIDMap(m, reason)
	return nil
}

func (p *planner) noIDMap(m specs.Mount, reason string) {
	p.gaps = append(p.gaps, Gap{
		Field: "mounts[" + m.Destination + "].uidMappings", Effect: Weakens,
		Reason: "the owners of the files can't be mapped, and the process would have other rights to them than the map gives it: " + reason,
		Remedy: "run it as root, on a file system that allows it, or give the files the owners that they are to have",
	})
}
