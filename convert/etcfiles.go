package convert

import (
	"bytes"
	"path"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// etcFiles binds /etc/resolv.conf, /etc/hosts and /etc/hostname, with what
// podman would write into them. Where the container is to see just what the
// host has, read-only, the host's file is the source; else a copy in
// Result.Files is, which a container with a writable root may write.
func (c *conversion) etcFiles(l *mountList) {
	c.checkNone()
	var resolvConf []byte
	if !c.noResolver() {
		resolvConf = c.resolvConf()
		c.etcFile(l, "/etc/resolv.conf", resolvConf)
	}
	if !c.o.NoHosts {
		c.etcFile(l, "/etc/hosts", c.hosts())
	}
	if !c.o.NoHostname {
		c.etcFile(l, "/etc/hostname", []byte(c.res.Spec.Hostname+"\n"))
	}
	if c.o.Network == NetworkPasta {
		c.res.Pasta = c.pastaArgs(resolvConf)
	} else if len(c.o.Publish) > 0 {
		c.fault("-p", "ports are forwarded by --network pasta only")
	}
}

// etcFile binds the content to a file of /etc.
func (c *conversion) etcFile(l *mountList, name string, content []byte) {
	access, source := "ro", name
	if c.o.Writable {
		access = "rw"
	}
	host, ok := c.host.Files[name]
	if c.o.Network != NetworkHost || c.o.Writable || !ok || !bytes.Equal(host, content) {
		source = "files/" + path.Base(name)
		c.res.Files[source] = content
	}
	l.put(specs.Mount{Destination: name, Type: "bind", Source: source, Options: []string{"rbind", "rprivate", access, "nosuid", "noexec", "nodev"}}, "default")
}
