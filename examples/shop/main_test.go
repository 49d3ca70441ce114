package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every order has exactly one outcome, whatever crashes: so few that nothing happens, many, and so
// many that the shop closes.
func TestAccount(t *testing.T) {
	seeds := 6
	if testing.Short() {
		seeds = 1
	}
	closed := 0
	for crash, orders := range map[string]string{"0": "2000", "0.01": "2000", "0.1": "2000", "0.4": "5000", "1": "10000"} {
		for seed := 1; seed <= seeds; seed++ {
			args := []string{"-virtual", "-orders", orders, "-crash", crash, "-seed", fmt.Sprint(seed)}
			var out, errs bytes.Buffer
			require.Zero(t, run(args, nil, &out, &errs), "%v\n%s\n%s", args, out.String(), errs.String())
			if crash == "0" {
				require.Contains(t, out.String(), "done            2000", args)
				require.Contains(t, out.String(), "restarts: 0\n", args)
			}
			if strings.Contains(out.String(), "closed early: /trade/shop: supervisor: too many restarts") {
				closed++
			} else {
				require.Contains(t, out.String(), orders+" orders in ", args)
				require.Contains(t, out.String(), "left over          0 ", args)
			}
		}
	}
	require.GreaterOrEqual(t, closed, seeds, "with a crash at each order it closes")
}

// The same seed gives the same summary and the same log.
func TestSameAgain(t *testing.T) {
	args := []string{"-virtual", "-orders", "3000", "-crash", "0.05", "-seed", "7"}
	var first, log string
	for i := range 4 {
		var out, errs bytes.Buffer
		require.Zero(t, run(args, nil, &out, &errs))
		if i == 0 {
			first, log = out.String(), errs.String()
			require.Contains(t, log, "supervision tree  system=trade tasklets=")
			require.Contains(t, log, "  RESTARTED  receiver ")
			require.Contains(t, log, "last: panic: worker slipped")
			continue
		}
		require.Equal(t, first, out.String())
		require.Equal(t, log, errs.String())
	}
}

// Closed in the middle, the account is right too.
func TestInterrupt(t *testing.T) {
	for seed := range uint64(10) {
		ctx, cancel := context.WithCancel(context.Background())
		s, err := trade(ctx, options{
			seed: seed + 1, orders: 5_000, crash: 0.05, virtual: true,
			onSettled: func(n int) {
				if n == 500 {
					cancel()
				}
			},
		}, new(bytes.Buffer))
		cancel()
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
		}
		var out bytes.Buffer
		s.summary(&out)
		require.NoError(t, s.books.check(), out.String())
		require.GreaterOrEqual(t, s.books.settled, 500)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range []string{"-orders -1", "-seed 0", "-crash 2", "-crash NaN", "now", "-fast"} {
		var out, errs bytes.Buffer
		require.Equal(t, 2, run(strings.Fields(args), nil, &out, &errs), args)
		require.NotEmpty(t, errs.String())
		require.Empty(t, out.String())
	}
}
