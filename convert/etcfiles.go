package convert

import (
	"bytes"
	"path"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// etcFiles binds /etc/resolv.conf, /etc/hosts and /etc/hostname. Where the
// container is to see just what the host has, read-only, the host's file is
// the source; else a copy in Result.Files is, which a container with a
// writable root may write.
func (c *conversion) etcFiles(l *mountList) {
	for _, f := range []struct {
		path    string
		content []byte
	}{
		{"/etc/resolv.conf", c.resolvConf()},
		{"/etc/hosts", c.hosts()},
		{"/etc/hostname", []byte(c.res.Spec.Hostname + "\n")},
	} {
		access, source := "ro", f.path
		if c.o.Writable {
			access = "rw"
		}
		host, ok := c.host.Files[f.path]
		if c.o.Network != NetworkHost || c.o.Writable || !ok || !bytes.Equal(host, f.content) {
			source = "files/" + path.Base(f.path)
			c.res.Files[source] = f.content
		}
		l.put(specs.Mount{Destination: f.path, Type: "bind", Source: source, Options: []string{"rbind", "rprivate", access, "nosuid", "noexec", "nodev"}}, "default")
	}
}

// resolvConf is the host's, and empty where no network leads to its servers.
func (c *conversion) resolvConf() []byte {
	if c.o.Network != NetworkHost {
		return []byte{}
	}
	return append([]byte{}, c.host.Files["/etc/resolv.conf"]...)
}

// hosts is the host's in its network, and knows the sandbox's name as well if
// that is another.
func (c *conversion) hosts() []byte {
	content := []byte("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
	name := c.res.Spec.Hostname
	if host, ok := c.host.Files["/etc/hosts"]; ok && c.o.Network == NetworkHost {
		if name == c.host.Hostname {
			return host
		}
		content = append([]byte{}, host...)
		if len(content) > 0 && content[len(content)-1] != '\n' {
			content = append(content, '\n')
		}
	}
	return append(content, "127.0.1.1\t"+name+"\n"...)
}
