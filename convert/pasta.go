package convert

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Port is one -p: a range of the host's ports that leads to one of the
// sandbox's.
type Port struct {
	HostIP    string // "" is every address
	Host      uint16
	Container uint16
	Count     uint16 // how many in a row; 0 is one
	UDP       bool
}

// gateway is the host's, or that of the flag.
func (c *conversion) gateway() string {
	return c.pastaOption(c.host.Gateway, "-g", "--gateway")
}

// ownAddress is what pasta gives the sandbox: the host's.
func (c *conversion) ownAddress() string {
	return c.pastaOption(c.host.Address, "-a", "--address")
}

func (c *conversion) pastaOption(fallback string, names ...string) string {
	for i, o := range c.o.PastaOptions {
		if slices.Contains(names, o) && i+1 < len(c.o.PastaOptions) {
			return c.o.PastaOptions[i+1]
		}
		for _, name := range names {
			if v, ok := strings.CutPrefix(o, name+"="); ok {
				return v
			}
		}
	}
	return fallback
}

// mapsGateway says that the gateway's address leads to the host, its loopback
// included. It does only where it was asked for.
func (c *conversion) mapsGateway() bool {
	return slices.Contains(c.o.PastaOptions, mapGateway) ||
		slices.ContainsFunc(c.o.AddHosts, func(e HostEntry) bool { return e.IP == HostGateway })
}

// mapGateway is podman's word for the absence of --no-map-gw.
const mapGateway = "--map-gw"

// pastaArgs are pasta's options, but for those that name the namespace. What
// is not asked for is not forwarded, neither way.
func (c *conversion) pastaArgs(resolvConf []byte) []string {
	args := []string{"--config-net"}
	tcp, udp := c.forwards()
	for _, f := range []struct {
		flag   string
		values []string
	}{{"-t", tcp}, {"-u", udp}, {"-T", nil}, {"-U", nil}} {
		if len(f.values) == 0 && !c.hasPastaOption(f.flag) {
			f.values = []string{"none"}
		}
		for _, v := range f.values {
			args = append(args, f.flag, v)
		}
	}
	if !c.mapsGateway() {
		args = append(args, "--no-map-gw")
	}
	if slices.Contains(parseResolver(resolvConf).servers, dnsForward) {
		args = append(args, "--dns-forward", dnsForward)
	}
	for _, o := range c.o.PastaOptions {
		if o != mapGateway {
			args = append(args, o)
		}
	}
	return args
}

func (c *conversion) hasPastaOption(short string) bool {
	long := map[string]string{"-t": "--tcp-ports", "-u": "--udp-ports", "-T": "--tcp-ns", "-U": "--udp-ns"}[short]
	return slices.ContainsFunc(c.o.PastaOptions, func(o string) bool {
		return o == short || o == long || strings.HasPrefix(o, long+"=")
	})
}

// forwards writes the ports as pasta's -t and -u take them.
func (c *conversion) forwards() (tcp, udp []string) {
	for _, p := range c.o.Publish {
		n := max(p.Count, 1) - 1
		if p.Host == 0 || p.Container == 0 || int(p.Host)+int(n) > 65535 || int(p.Container)+int(n) > 65535 {
			c.fault("-p", "%d:%d is no port", p.Host, p.Container)
			continue
		}
		spec := ports(p.Host, n) + ":" + ports(p.Container, n)
		if p.HostIP != "" {
			if _, err := netip.ParseAddr(p.HostIP); err != nil {
				c.fault("-p", "%q is no IP address", p.HostIP)
				continue
			}
			spec = p.HostIP + "/" + spec
		}
		if p.UDP {
			udp = append(udp, spec)
		} else {
			tcp = append(tcp, spec)
		}
	}
	return tcp, udp
}

func ports(first, more uint16) string {
	if more == 0 {
		return strconv.Itoa(int(first))
	}
	return fmt.Sprintf("%d-%d", first, first+more)
}
