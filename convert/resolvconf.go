package convert

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
)

// resolver is the content of a resolv.conf.
type resolver struct {
	servers, search, options []string
}

// dnsForward is the address at which pasta answers for the host's own name
// server; podman's choice of a link-local address that nobody else has.
const dnsForward = "169.254.1.1"

// stubs are where the servers behind a name server on the host's loopback are
// written down.
var stubs = map[string]string{
	"127.0.0.53": "/run/systemd/resolve/resolv.conf",
	"127.0.0.1":  "/run/NetworkManager/no-stub-resolv.conf",
}

// ResolverFiles are the files beside /etc/resolv.conf that may tell the name
// servers, for Host.Files.
func ResolverFiles() []string {
	return []string{stubs["127.0.0.53"], stubs["127.0.0.1"]}
}

// resolvConf is the host's, but for what flags say. A network of the sandbox's
// own has no way to a server on the host's loopback, so that the servers
// behind it are named, or pasta, which asks it.
func (c *conversion) resolvConf() []byte {
	c.checkDNS()
	given := c.host.Files["/etc/resolv.conf"]
	r := parseResolver(given)
	if c.o.Network != NetworkHost {
		if len(r.servers) == 1 && stubs[r.servers[0]] != "" {
			if behind, ok := c.host.Files[stubs[r.servers[0]]]; ok {
				r = parseResolver(behind)
			}
		}
		n := len(r.servers)
		r.servers = slices.DeleteFunc(r.servers, isLoopback)
		if len(r.servers) == 0 && n > 0 {
			r.servers = []string{dnsForward}
		}
	} else if len(c.o.DNS)+len(c.o.DNSSearch)+len(c.o.DNSOptions) == 0 {
		return append([]byte{}, given...)
	}
	if len(c.o.DNS) > 0 {
		r.servers = c.o.DNS
	}
	if len(c.o.DNSSearch) > 0 {
		r.search = c.o.DNSSearch
	}
	if len(c.o.DNSOptions) > 0 {
		r.options = c.o.DNSOptions
	}
	return r.write()
}

// noResolver says that the image keeps its own resolv.conf, as under podman:
// no name server could be reached, or none is wanted.
func (c *conversion) noResolver() bool {
	return c.o.Network == NetworkNone || slices.Equal(c.o.DNS, []string{"none"})
}

func (c *conversion) checkDNS() {
	for _, s := range c.o.DNS {
		if _, err := netip.ParseAddr(s); err != nil {
			c.fault("--dns", "%q is no IP address", s)
		}
	}
	for _, list := range []struct {
		flag   string
		values []string
	}{{"--dns-search", c.o.DNSSearch}, {"--dns-option", c.o.DNSOptions}} {
		for _, v := range list.values {
			if v == "" || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
				c.fault(list.flag, "%q is empty or holds a space", v)
			}
		}
	}
}

// checkNone refuses what asks for names where there are none.
func (c *conversion) checkNone() {
	if c.o.Network == NetworkNone && len(c.o.DNS)+len(c.o.DNSSearch)+len(c.o.DNSOptions) > 0 {
		c.fault("--dns", "%w", &hinted{errors.New("with --network none there is no way to a name server"), "leave it out, or --network pasta, which has a way out"})
	}
	if c.o.NoHosts && len(c.o.AddHosts) > 0 {
		c.fault("--add-host", "--no-hosts leaves no file to add to")
	}
}

func isLoopback(server string) bool {
	a, err := netip.ParseAddr(server)
	return err == nil && a.IsLoopback()
}

func parseResolver(file []byte) resolver {
	var r resolver
	for line := range strings.Lines(string(file)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			r.servers = append(r.servers, f[1])
		case "search", "domain": // the last one counts
			r.search = f[1:]
		case "options":
			r.options = append(r.options, f[1:]...)
		}
	}
	return r
}

// write puts the parts in podman's order. A search of "." is none.
func (r resolver) write() []byte {
	var b strings.Builder
	if len(r.search) > 0 && !slices.Contains(r.search, ".") {
		b.WriteString("search " + strings.Join(r.search, " ") + "\n")
	}
	for _, s := range r.servers {
		b.WriteString("nameserver " + s + "\n")
	}
	if len(r.options) > 0 {
		b.WriteString("options " + strings.Join(r.options, " ") + "\n")
	}
	return []byte(b.String())
}
