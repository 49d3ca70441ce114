package main

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/registry/cluster"
)

// TestMain makes the test binary a node if the test has started it as one.
func TestMain(m *testing.M) {
	if text := os.Getenv("CLUSTER_CHILD"); text != "" {
		var c nodeConfig
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			fail(err)
		}
		if err := runNode(c, os.Stdin, os.Stdout); err != nil {
			fail(err)
		}
		return
	}
	os.Exit(m.Run())
}

// No money is lost and none is made, although a process is killed under load.
func TestCluster(t *testing.T) {
	var out bytes.Buffer
	err := run(&out, 3, 30, 8*time.Second, true)
	t.Log("\n" + out.String())
	require.NoError(t, err)
	require.Contains(t, out.String(), "kill -9 of shop-3")
	require.Contains(t, out.String(), "as it was: true")
}

// An owner of the past changes nothing, and what comes twice is done once.
func TestLedger(t *testing.T) {
	l := newLedger()
	token := func(n uint64) cluster.Token { return cluster.Token{Era: 1, Revision: n} }
	x := transfer{"1", "b", 30}
	_, err := l.do(entry{"debit", "a", token(5), x})
	require.NoError(t, err)
	r, err := l.do(entry{"debit", "a", token(5), x})
	require.NoError(t, err)
	require.Equal(t, int64(70), r.Balance, "once")
	_, err = l.do(entry{"debit", "a", token(4), transfer{"2", "b", 1}})
	require.ErrorIs(t, err, errOldToken)
	_, err = l.do(entry{"debit", "a", token(5), transfer{"3", "b", 71}})
	require.ErrorIs(t, err, errOverdrawn)
	require.Equal(t, summary{accounts: 1, transfers: 1, pending: 1, refused: 1, sum: 100}, l.summary())
	for range 2 {
		r, err = l.do(entry{"credit", "b", token(1), transfer{ID: "1", Amount: 30}})
		require.NoError(t, err)
		require.Equal(t, int64(130), r.Balance)
	}
	r, err = l.do(entry{"open", "a", token(6), transfer{}})
	require.NoError(t, err)
	require.Equal(t, []transfer{x}, r.Out)
	_, err = l.do(entry{"settle", "a", token(6), x})
	require.NoError(t, err)
	require.Equal(t, summary{accounts: 2, transfers: 1, refused: 1, sum: 200}, l.summary())
	l.close()
	_, err = l.do(entry{"debit", "a", token(6), transfer{"4", "b", 1}})
	require.ErrorIs(t, err, errClosed)
	_, err = l.do(entry{What: "steal", Account: "a", Token: token(6)})
	require.Error(t, err)
}
