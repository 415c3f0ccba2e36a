package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/runner"
)

// singleNote tells what an image that starts as root misses where a single id
// is mapped though it names other owners, and what can be done.
func (s *session) singleNote() {
	owner := s.root.Owner
	if s.standing.root || owner == nil || s.result.Spec.Process.User.UID != 0 {
		return
	}
	s.result.Notes = append(s.result.Notes, convert.Note{Field: "--userns", Text: fmt.Sprintf(
		"a single id is mapped: changing owners and becoming another user fail, and all files are root's (the image gives %q to %d:%d); %s",
		owner.Path, owner.UID, owner.GID, remedySingle())})
}

// rootNote says why a root has a user namespace that it has not asked for.
func (s *session) rootNote() {
	ids, err := runner.ParseIDMap(s.standing.uidMap)
	if s.standing.entered == nil || s.flags.userns != "" || s.leftOut() || err != nil || len(ids) == 0 || ids[0].ContainerID != 0 || ids[0].HostID != 0 {
		return // 0 is a user's own id
	}
	s.result.Notes = append(s.result.Notes, convert.Note{Field: "--userns",
		Text: "root lacks CAP_SYS_ADMIN here, as in a container: the sandbox has a user namespace of its own, with the same ids"})
}

// remedySingle is what gives the caller more ids.
func remedySingle() string {
	if os.Geteuid() == 0 {
		return "leave out --userns single, or run it where root has more ids"
	}
	_, err := subordinate(false)
	if err == nil {
		return "--userns range maps the caller's subordinate ids"
	}
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return fmt.Sprintf("%s: %s", err, hinted.Hint())
	}
	return err.Error()
}

// remedySubordinate gives the line that is missing in /etc/subuid and
// /etc/subgid, with ids that are nobody's there.
func remedySubordinate(name string) string {
	const count = 65536
	first := 100000
	for _, file := range []string{"/etc/subuid", "/etc/subgid"} {
		data, _ := os.ReadFile(file)
		for line := range strings.Lines(string(data)) {
			if f := strings.Split(strings.TrimSpace(line), ":"); len(f) == 3 {
				start, err := strconv.Atoi(f[1])
				size, err2 := strconv.Atoi(f[2])
				if err == nil && err2 == nil {
					first = max(first, start+size)
				}
			}
		}
	}
	return fmt.Sprintf("as root, install uidmap and echo %s:%d:%d | tee -a /etc/subuid /etc/subgid", name, first, count)
}
