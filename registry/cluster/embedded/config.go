package embedded

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/nats-io/nkeys"

	"github.com/gotasklet/tasklet/registry/cluster/internal/natsnet"
)

// Config configures a server. The zero value is a server for this process only, which forgets
// everything at its end.
type Config struct {
	// Dir is the folder where the directory of the cluster is kept. A server that is started again
	// with the same folder has it still. If it is empty a new folder is made, and removed at the
	// end.
	Dir string
	// Listen is the address, "host:port", where other processes connect. Port 0 chooses one, see
	// [Engine.URL]. If it is empty none can.
	Listen string
	// Seeds are the addresses, "host:port", where 3 or 5 servers connect with each other, in any
	// order. If it is empty this is the only server.
	Seeds []string
	// Self is the one of Seeds that this server is.
	Self string
	// Secret is what the servers of Seeds know each other by. It has at least 16 bytes.
	Secret string
	// Nodes has the public nkeys ("U...") of all nodes that may connect, by name. If it is nil
	// every process of this machine may.
	Nodes map[string]string
	// TLS is for connections of nodes and between seeds. It needs a certificate; between seeds it
	// is also the client's, so it needs RootCAs or certificates that the machine trusts.
	TLS *tls.Config
	// Insecure allows connections off the loopback without TLS and without credentials.
	Insecure bool
	// Prefix and Namespace begin the subjects of the cluster, as those of cluster.NATSConfig. The
	// defaults are "tasklet" and "default".
	Prefix, Namespace string
	// Log is called with what the server logs; on any goroutine. If it is nil that is dropped. Why
	// a server does not start is also in the error.
	Log func(level slog.Level, text string)
}

// checked returns the config with its defaults, or all that is wrong with it.
func (c Config) checked() (Config, error) {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("embedded: Config."+format, args...))
	}
	if c.Prefix == "" {
		c.Prefix = natsnet.DefaultPrefix
	}
	if c.Namespace == "" {
		c.Namespace = natsnet.DefaultNamespace
	}
	for name, text := range map[string]string{"Prefix": c.Prefix, "Namespace": c.Namespace} {
		if !natsnet.ValidToken(text) {
			wrong("%s is %q: letters, digits, '-' and '_' are allowed", name, text)
		}
	}
	outside := func(field, address string) {
		if local, err := loopback(address); err != nil {
			wrong("%s: %w", field, err)
		} else if !local && !c.Insecure {
			if c.TLS == nil {
				wrong("%s is %s, off the loopback, and there is no TLS", field, address)
			}
			if field == "Listen" && c.Nodes == nil {
				wrong("Listen is %s, off the loopback, and there are no Nodes with credentials", address)
			}
		}
	}
	if c.Listen != "" {
		outside("Listen", c.Listen)
	}
	switch len(c.Seeds) {
	case 0:
		if c.Self != "" {
			wrong("Self is %s, and there are no Seeds", c.Self)
		}
	case 3, 5:
		for i, seed := range c.Seeds {
			outside(fmt.Sprintf("Seeds[%d]", i), seed)
			if slices.Contains(c.Seeds[:i], seed) {
				wrong("Seeds has %s twice", seed)
			}
		}
		if !slices.Contains(c.Seeds, c.Self) {
			wrong("Self is %q, which is none of Seeds", c.Self)
		}
		if len(c.Secret) < 16 {
			wrong("Secret has %d bytes; servers need 16 or more to know each other by", len(c.Secret))
		}
		if c.Dir == "" {
			wrong("Dir is empty; a seed that forgets what it has acknowledged breaks the majority")
		}
	default:
		wrong("Seeds has %d addresses, not 3 or 5", len(c.Seeds))
	}
	if c.TLS != nil && len(c.TLS.Certificates) == 0 && c.TLS.GetCertificate == nil {
		wrong("TLS has no certificate")
	}
	if c.TLS != nil && c.TLS.InsecureSkipVerify && !c.Insecure {
		wrong("TLS does not verify certificates")
	}
	keys := map[string]string{}
	for name, key := range c.Nodes {
		if !natsnet.ValidToken(name) {
			wrong("Nodes has %q: letters, digits, '-' and '_' are allowed", name)
		}
		if !nkeys.IsValidPublicUserKey(key) {
			wrong("Nodes has %q for %s, which is no public key of a user", key, name)
		}
		if other, twice := keys[key]; twice {
			wrong("Nodes has one key for %s and %s", min(name, other), max(name, other))
		}
		keys[key] = name
	}
	return c, errors.Join(errs...)
}

// split splits "host:port".
func split(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("address %s: port %q is no number up to 65535", address, text)
	}
	return host, int(n), nil
}

// loopback reports whether an address can only be reached from this machine. A name other than
// localhost can be anything.
func loopback(address string) (bool, error) {
	host, _, err := split(address)
	if err != nil {
		return false, err
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || host == "localhost", nil
}
