package convert

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// maxID is the largest user or group id: the kernel's are 32 bits wide, but
// tools take them for signed.
const maxID = 1<<31 - 1

// user is Config.User resolved.
type user struct {
	uid, gid uint32
	groups   []uint32
	home     string
	homeFrom string // the file it is from, "" for the default
}

// user resolves Config.User, or the flag's, and sets process.user:
//
//	user  uid  user:group  uid:gid  uid:group  user:gid
//
// All digits are a number and never a name. Names are looked up in the
// image's /etc/passwd and /etc/group. A numeric user without a group has the
// group that passwd gives it, else 0. Additional groups are those that list
// the user, where no group is given: also one given by number whom passwd
// gives a name, as config.md and podman have it. conversion.md would leave
// that one without.
func (c *conversion) user() user {
	text, field := c.img.Config.User, "config.User"
	if c.o.User != "" {
		text, field = c.o.User, "--user"
	}
	origin := field
	if text == "" {
		origin = "default"
	}
	u, ok := c.resolveUser(field, text)
	if !ok {
		u = user{home: "/"}
	} else if home := c.addAccounts(text, u); home != "" {
		u.home, u.homeFrom = home, "/etc/passwd"
	}
	for _, group := range c.o.Groups {
		if gid := c.extraGroup(group); !slices.Contains(u.groups, gid) {
			u.groups = append(u.groups, gid)
		}
	}
	umask := uint32(0o022)
	if c.o.Umask != nil {
		umask = *c.o.Umask
	}
	p := &c.res.Spec.Process.User
	p.UID, p.GID, p.Umask, p.AdditionalGids = u.uid, u.gid, &umask, u.groups
	c.res.Origin["process.user"] = origin
	return u
}

// extraGroup is a group of --group-add.
func (c *conversion) extraGroup(group string) uint32 {
	const field = "--group-add"
	switch {
	case c.hasNUL(field, group):
		return 0
	case group == "":
		c.fault(field, "a group is needed, by name or number")
		return 0
	case digits(group):
		return c.lookGroup(field, group, nil)
	}
	return c.lookGroup(field, group, c.accounts("/etc/group"))
}

func (c *conversion) resolveUser(field, text string) (user, bool) {
	name, group, hasGroup := strings.Cut(text, ":")
	switch {
	case c.hasNUL(field, text):
		return user{}, false
	case text != "" && name == "", hasGroup && group == "":
		c.fault(field, "%q has an empty part; the forms are user, uid, user:group, uid:gid, uid:group and user:gid", text)
		return user{}, false
	case strings.Contains(group, ":"):
		c.fault(field, "%q has more than one colon", text)
		return user{}, false
	}
	before := len(c.faults)
	passwd := c.accounts("/etc/passwd")
	u := c.lookUser(field, name, passwd)
	var groups *accounts
	if !hasGroup || !digits(group) {
		groups = c.accounts("/etc/group")
	}
	switch {
	case hasGroup:
		u.gid = c.lookGroup(field, group, groups)
	case text == "":
		// The groups of the default user are a choice of ours, not the
		// image's: no reason to report that a single id map has no place
		// for them.
		if !c.single() {
			u.groups = c.memberships(field, passwd.nameOf(0), groups)
		}
	case digits(name):
		u.groups = c.memberships(field, passwd.nameOf(u.uid), groups)
	default:
		u.groups = c.memberships(field, name, groups)
	}
	return u, len(c.faults) == before
}

// lookUser finds the user's id, group and home. The empty name is root.
func (c *conversion) lookUser(field, name string, passwd *accounts) user {
	u := user{home: "/"}
	var line []string
	switch {
	case name == "":
		line = passwd.byID(0)
	case digits(name):
		id, ok := parseID(name)
		if !ok {
			c.fault(field, "uid %q is not in 0..%d", name, maxID)
			return u
		}
		u.uid = id
		line = passwd.byID(id)
	default:
		if line = passwd.byName(name); line == nil {
			c.unknown(field, "user", name, passwd)
			return u
		}
	}
	if line == nil {
		c.unreadable(field, passwd)
		return u
	}
	var uidOK, gidOK bool
	u.uid, uidOK = parseID(line[2])
	u.gid, gidOK = parseID(line[3])
	if !uidOK || !gidOK {
		c.fault(field, "%s gives user %q the ids %q:%q; each has to be in 0..%d", passwd, line[0], line[2], line[3], maxID)
	}
	if len(line) > 5 && strings.HasPrefix(line[5], "/") && !strings.Contains(line[5], "\x00") {
		u.home, u.homeFrom = line[5], passwd.file
	}
	return u
}

func (c *conversion) lookGroup(field, group string, groups *accounts) uint32 {
	if digits(group) {
		id, ok := parseID(group)
		if !ok {
			c.fault(field, "gid %q is not in 0..%d", group, maxID)
		}
		return id
	}
	line := groups.byName(group)
	if line == nil {
		c.unknown(field, "group", group, groups)
		return 0
	}
	id, ok := parseID(line[2])
	if !ok {
		c.fault(field, "%s gives group %q the id %q, which is not in 0..%d", groups, group, line[2], maxID)
	}
	return id
}

// memberships gives the ids of the groups that list name, in their order.
func (c *conversion) memberships(field, name string, groups *accounts) []uint32 {
	var ids []uint32
	if name == "" {
		return nil
	}
	c.unreadable(field, groups)
	for _, line := range groups.lines {
		if len(line) < 4 || !slices.Contains(strings.Split(line[3], ","), name) {
			continue
		}
		id, ok := parseID(line[2])
		if !ok {
			c.fault(field, "%s gives group %q the id %q, which is not in 0..%d", groups, line[0], line[2], maxID)
		} else if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (c *conversion) unknown(field, what, name string, a *accounts) {
	if a.err != nil {
		c.fault(field, "no %s %q: %w", what, name, a.err)
		return
	}
	err := fmt.Errorf("no %s %q in %s", what, name, a)
	if field == "config.User" {
		c.fault(field, "%w", &hinted{err, "--user UID[:GID] runs it as another one"})
		return
	}
	c.fault(field, "%w", &hinted{err, "a number needs no line there"})
}

// unreadable reports a file that is there and can't be used, when nothing
// depends on it but a default.
func (c *conversion) unreadable(field string, a *accounts) {
	if a.err != nil && !a.missing {
		c.note(field, "%v", a.err)
	}
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// parseID takes decimal digits only, leading zeros included.
func parseID(s string) (uint32, bool) {
	if !digits(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > maxID {
		return 0, false
	}
	return uint32(n), true
}

// ResolveUser gives the ids that a user's text has in the file system, in the
// syntax of Config.User, and the home directory.
func ResolveUser(fsys fs.ReadLinkFS, text string) (u specs.User, home string, err error) {
	c := &conversion{root: Rootfs{FS: fsys}, res: &Result{Origin: map[string]string{}}}
	found, ok := c.resolveUser("--user", text)
	if !ok {
		return u, "", errors.Join(c.faults...)
	}
	return specs.User{UID: found.uid, GID: found.gid, AdditionalGids: found.groups}, found.home, nil
}
