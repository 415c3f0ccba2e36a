package convert

import (
	"net/netip"
	"strings"
)

// HostEntry is one --add-host NAME:IP. An IP of HostGateway stands for the
// address at which the sandbox reaches the host.
type HostEntry struct {
	Name, IP string
}

// HostGateway is docker's word for the host, in HostEntry.IP.
const HostGateway = "host-gateway"

// hostLine is a line of a hosts file.
type hostLine struct {
	ip    string
	names []string
}

// hosts is what podman writes: the entries of the flags, the host's, and
// behind them those of the sandbox, without the names that are taken.
func (c *conversion) hosts() []byte {
	var lines []hostLine
	for _, e := range c.o.AddHosts {
		if ip, ok := c.hostIP(e); ok {
			lines = append(lines, hostLine{ip, []string{e.Name}})
		}
	}
	lines = append(lines, parseHosts(c.host.Files["/etc/hosts"])...)
	taken := map[string]bool{}
	var out strings.Builder
	for _, l := range lines {
		for _, name := range l.names {
			taken[name] = true
		}
		out.WriteString(l.ip + "\t" + strings.Join(l.names, " ") + "\n")
	}
	for _, l := range c.ownHosts() {
		if !taken[l.names[0]] {
			out.WriteString(l.ip + "\t" + l.names[0] + "\n")
		}
	}
	return []byte(out.String())
}

// ownHosts are the names that every sandbox knows, one a line. In the host's
// network podman leaves a name of --hostname unknown; here it is not.
func (c *conversion) ownHosts() []hostLine {
	lines := []hostLine{{"127.0.0.1", []string{"localhost"}}, {"::1", []string{"localhost"}}}
	own := c.res.Spec.Hostname
	host, self := c.host.Address, "127.0.0.1"
	switch c.o.Network {
	case NetworkHost:
		self = "127.0.1.1"
		if own == c.host.Hostname {
			self = ""
		}
	case NetworkPasta:
		host = ""
		if c.mapsGateway() {
			host = c.gateway()
		}
		if own := c.ownAddress(); own != "" {
			self = own
		}
	}
	if host != "" {
		lines = append(lines, hostLine{host, []string{"host.containers.internal"}})
	}
	if self != "" {
		lines = append(lines, hostLine{self, []string{own}})
	}
	return lines
}

// hostIP checks one --add-host.
func (c *conversion) hostIP(e HostEntry) (string, bool) {
	const flag = "--add-host"
	if e.Name == "" || strings.ContainsFunc(e.Name, func(r rune) bool { return r <= ' ' || r == '#' || r == 0x7f }) {
		c.fault(flag, "%q is no host name", e.Name)
		return "", false
	}
	if e.IP != HostGateway {
		if _, err := netip.ParseAddr(e.IP); err != nil {
			c.fault(flag, "%s: %q is neither an IP address nor %s", e.Name, e.IP, HostGateway)
			return "", false
		}
		return e.IP, true
	}
	switch {
	case c.o.Network == NetworkHost:
		return "127.0.0.1", true
	case c.o.Network != NetworkPasta:
		c.fault(flag, "%s: with --network %s nothing leads to the host", e.Name, c.o.Network)
	case c.gateway() == "":
		c.fault(flag, "%s: the host has no IPv4 gateway, whose address stands for the host", e.Name)
	default:
		return c.gateway(), true
	}
	return "", false
}

// parseHosts reads a hosts file, without its comments and what has no name.
func parseHosts(file []byte) []hostLine {
	var lines []hostLine
	for line := range strings.Lines(string(file)) {
		line, _, _ = strings.Cut(line, "#")
		if f := strings.Fields(line); len(f) > 1 {
			lines = append(lines, hostLine{f[0], f[1:]})
		}
	}
	return lines
}
