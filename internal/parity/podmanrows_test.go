package parity

import "testing"

// TestPodmanNetwork: what podman adds in a network of the container's own is
// explained, and nothing that looks like it.
func TestPodmanNetwork(t *testing.T) {
	const hosts = `127.0.0.1\tlocalhost\n127.0.0.1\tweb`
	for _, test := range []struct {
		engine, group, name, ours, theirs string
		row                               string // "" for unexplained
	}{
		{"podman", "files", "/etc/hosts", hosts + `\n`, hosts + ` ctr-1\n`, "container's name in /etc/hosts"},
		{"podman", "files", "/etc/hosts", hosts + `\n`, hosts + ` ctr-1\n127.0.0.1\tmore\n`, ""},
		{"podman", "files", "/etc/hosts", hosts + ` ctr-1\n`, hosts + `\n`, ""},
		{"runc", "files", "/etc/hosts", hosts + `\n`, hosts + ` ctr-1\n`, ""},
		{"podman", "system calls", "socket ping", "EACCES", "ok", "ping sockets"},
		{"podman", "system calls", "socket ping", "ok", "EACCES", ""},
	} {
		ours, theirs := small(), small()
		for w, value := range map[*world]string{&ours: test.ours, &theirs: test.theirs} {
			if w.facts[test.group] == nil {
				w.facts[test.group] = map[string]string{}
			}
			w.facts[test.group][test.name] = value
		}
		res, err := Compare(ours.report(t, "oci2bwrap", "this"), theirs.report(t, test.engine, "this"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(res.Differences) != 1 || res.Same() != (test.row != "") || test.row != "" && res.Rows[test.row] != 1 {
			t.Errorf("%s of %s: %q for %q: %+v", test.name, test.engine, test.ours, test.theirs, res.Differences)
		}
	}
}
