package embedded_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry/cluster"
)

// What is wrong with a NATSConfig is an error that names the field, before anything is connected.
func TestRefusedNATSConfigs(t *testing.T) {
	sys, err := actor.Start(actor.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, sys.Stop(context.Background())) })
	for says, c := range map[string]cluster.NATSConfig{
		"Replicas is -1, not 1, 3 or 5": {Replicas: -1},
		"Replicas is 2, not 1, 3 or 5":  {Replicas: 2},
		`Prefix is "a.b"`:               {Prefix: "a.b"},
		`Namespace is "*"`:              {Namespace: "*"},
	} {
		c.URL = "nats://127.0.0.1:1"
		_, err := cluster.Join(limit(t, 20*time.Second), sys, cluster.Config{Name: "a", Connect: c})
		assert.ErrorContains(t, err, says)
	}
}
