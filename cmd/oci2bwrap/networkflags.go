package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/runner"
)

// networkFlags say which network the command sees and what names it knows.
type networkFlags struct {
	network    string
	hostname   string
	addHosts   []string
	noHosts    bool
	noHostname bool
	dns        []string
	dnsSearch  []string
	dnsOptions []string
	publish    []string
}

func (f *networkFlags) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&f.network, "network", "host", "`host`, none, or pasta[:OPTION,...]: one of its own that pasta connects to the host's")
	fs.Bool("help", false, "help for this command") // -h is podman's --hostname
	fs.StringVarP(&f.hostname, "hostname", "h", "", "host `name` in the sandbox")
	fs.StringArrayVar(&f.addHosts, "add-host", nil, "a line of /etc/hosts: `NAME:IP`; the IP host-gateway is the host's")
	fs.BoolVar(&f.noHosts, "no-hosts", false, "leave the image its own /etc/hosts")
	fs.BoolVar(&f.noHostname, "no-hostname", false, "leave the image its own /etc/hostname")
	fs.StringArrayVar(&f.dns, "dns", nil, "name server `IP` instead of the host's; none leaves the image its own /etc/resolv.conf")
	fs.StringArrayVar(&f.dnsSearch, "dns-search", nil, "search `domain` instead of the host's; . is none")
	fs.StringArrayVar(&f.dnsOptions, "dns-option", nil, "resolver `option` instead of the host's")
	fs.StringArray("expose", nil, "accepted: a `port` that the command listens on; nothing is opened by it")
	fs.StringArrayVarP(&f.publish, "publish", "p", nil, "with pasta, lead ports of the host's to the sandbox's: `[IP:]HOST:CONTAINER[/udp]`, ranges too")
}

// check refuses what flags alone show to be wrong.
func (f *networkFlags) check() error {
	kind, _, _ := strings.Cut(f.network, ":")
	switch {
	case f.network == "host", f.network == "none", kind == "pasta":
	case kind == "slirp4netns", f.network == "bridge", f.network == "private":
		return &hinted{fmt.Errorf("--network: %q is not supported (has: host, none, pasta)", f.network), "--network pasta gives the sandbox a network of its own, with a way out"}
	default:
		return fmt.Errorf("--network: %q is not supported (has: host, none, pasta)", f.network)
	}
	if len(f.publish) > 0 && kind != "pasta" {
		if f.network == "host" {
			return &hinted{errors.New("-p: the sandbox has the host's network, and its ports are the host's"), "leave it out, or add --network pasta"}
		}
		return &hinted{errors.New("-p: the sandbox has no network that a port could lead to"), "--network pasta has one"}
	}
	return nil
}

// options fills in what convert takes.
func (f *networkFlags) options(o *convert.Options) error {
	o.Hostname, o.NoHosts, o.NoHostname = f.hostname, f.noHosts, f.noHostname
	o.DNS, o.DNSSearch, o.DNSOptions = f.dns, f.dnsSearch, f.dnsOptions
	kind, options, given := strings.Cut(f.network, ":")
	switch kind {
	case "none":
		o.Network = convert.NetworkNone
	case "pasta":
		o.Network = convert.NetworkPasta
		if given && options != "" {
			o.PastaOptions = strings.Split(options, ",")
		}
	}
	for _, h := range f.addHosts {
		name, ip, ok := strings.Cut(h, ":")
		if !ok {
			return fmt.Errorf("--add-host: %q is not NAME:IP", h)
		}
		o.AddHosts = append(o.AddHosts, convert.HostEntry{Name: name, IP: strings.Trim(ip, "[]")})
	}
	for _, p := range f.publish {
		port, err := parsePort(p)
		if err != nil {
			return err
		}
		o.Publish = append(o.Publish, port)
	}
	return nil
}

// parsePort reads [IP:]HOST:CONTAINER[/PROTOCOL], where HOST and CONTAINER are
// ports or ranges of the same length, and an IPv6 address is in brackets.
func parsePort(s string) (convert.Port, error) {
	var p convert.Port
	rest, protocol, _ := strings.Cut(s, "/")
	switch protocol {
	case "", "tcp":
	case "udp":
		p.UDP = true
	default:
		return p, fmt.Errorf("-p: %q: protocol %q is neither tcp nor udp", s, protocol)
	}
	i := strings.LastIndexByte(rest, ':')
	if i < 0 {
		return p, &hinted{fmt.Errorf("-p: %q names no port of the host's", s), fmt.Sprintf("-p %s:%s", rest, s)}
	}
	host, container := rest[:i], rest[i+1:]
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		p.HostIP, host = strings.Trim(host[:i], "[]"), host[i+1:]
		if _, err := netip.ParseAddr(p.HostIP); err != nil {
			return p, fmt.Errorf("-p: %q: %q is no IP address", s, p.HostIP)
		}
	}
	from, n, err := parsePorts(host)
	to, m, err2 := parsePorts(container)
	if err := errors.Join(err, err2); err != nil {
		return p, fmt.Errorf("-p: %q is not [IP:]HOST:CONTAINER[/udp]", s)
	}
	if n != m {
		return p, fmt.Errorf("-p: %q: the ranges differ in length", s)
	}
	p.Host, p.Container, p.Count = from, to, n
	return p, nil
}

// parsePorts reads FIRST or FIRST-LAST, and tells how many there are.
func parsePorts(s string) (first, count uint16, err error) {
	from, to, ok := strings.Cut(s, "-")
	if !ok {
		to = from
	}
	a, err := strconv.ParseUint(from, 10, 16)
	b, err2 := strconv.ParseUint(to, 10, 16)
	if err != nil || err2 != nil || a == 0 || b < a {
		return 0, 0, errors.New("no port")
	}
	return uint16(a), uint16(b - a + 1), nil
}

// pasta is what connects the sandbox's network; nil where nothing does.
func (f *networkFlags) pasta(options []string) (*runner.Pasta, error) {
	if options == nil {
		return nil, nil
	}
	path, err := runner.FindPasta(os.Getenv("PATH"))
	if err != nil {
		return nil, err
	}
	p := &runner.Pasta{Path: path, Args: options}
	for _, s := range f.publish {
		port, err := parsePort(s)
		if err != nil {
			return nil, err
		}
		if port.HostIP != "" {
			continue // which pasta takes or fails
		}
		for i := range port.Count {
			p.Ports = append(p.Ports, runner.HostPort{Number: port.Host + i, UDP: port.UDP})
		}
	}
	return p, nil
}

// elsewhere are the notes of a Spec that is to be run by somebody else.
func elsewhere(r *convert.Result) []convert.Note {
	notes := append(slices.Clip(r.Notes), chownNotes(r)...)
	if r.Pasta != nil {
		notes = append(notes, convert.Note{
			Field: "linux.namespaces", Text: "the network namespace has loopback only: run connects it with pasta " + strings.Join(r.Pasta, " "),
		})
	}
	for _, m := range r.Spec.Mounts {
		if o, err := convert.ParseOverlaid(m); m.Type == "overlay" && err == nil && o.Upper == "" {
			notes = append(notes, convert.Note{
				Field: "mounts[" + m.Destination + "]", Text: "run keeps the writes in memory: another runtime needs upperdir and workdir among the options",
			})
		}
	}
	return notes
}
