package main

import (
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/convert"
)

// readAddresses tells where this machine is in its network. That it is in none
// is no error.
func readAddresses(h *convert.Host) {
	if addresses, err := net.InterfaceAddrs(); err == nil {
		for _, a := range addresses {
			ip, ok := a.(*net.IPNet)
			if ok && !ip.IP.IsLoopback() && ip.IP.To4() != nil {
				h.Address = ip.IP.String()
				break
			}
		}
	}
	h.Gateway = readGateway("/proc/net/route")
}

// readGateway finds the IPv4 default route. The kernel writes addresses there
// as numbers in its own byte order.
func readGateway(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line) // interface, destination, gateway, …
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			continue
		}
		raw, err := hex.DecodeString(f[2])
		if err != nil || len(raw) != 4 {
			continue
		}
		var ip [4]byte
		binary.NativeEndian.PutUint32(ip[:], binary.BigEndian.Uint32(raw))
		if a := netip.AddrFrom4(ip); !a.IsUnspecified() {
			return a.String()
		}
	}
	return ""
}
