//go:build linux

package real_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// op is an operation on a name. Call and Return are times by now; Return is 0 until it has ended.
type op struct {
	ID           string
	What         string // claim, release, truth
	Name         string
	Call, Return int64
	Result       string // ok, taken, free, unknown
	Token        uint64 // of a claim that was won, to be released, or was read
	Node         string // the owner's, of a claim that was taken
	Incarnation  string // of the owner that was read
	Who          string // the incarnation that has called
}

// history is what is known of all names.
type history struct {
	ops []op
	// alive has the time until which an incarnation has its names for certain. Before that nobody
	// else may get them.
	alive map[string]int64
	lives map[string]lived // by incarnation
}

// lived is what is known of an incarnation.
type lived struct{ node, name string }

// claim is the state of a name in the model.
type claim struct {
	who   string // the incarnation that owns it, or "" if there is none
	token uint64 // of the claim; 0 if it is not known, because the outcome of the call was not
	floor uint64 // the greatest token that was known before; each later one is greater
}

// is returns the states in which who has the claim with a token that was observed.
func (c claim) is(who string, token uint64) []any {
	if c.who == who && (c.token == token || c.token == 0 && token > c.floor) {
		return []any{claim{who, token, token}}
	}
	return nil
}

// step returns the states that may follow. The owner may lose a name only by its own release, or to
// another one once its lease may have ended: its node then removes it, or the sweep of another one.
func (h history) step(state, input any) []any {
	c, o := state.(claim), input.(op)
	free := c.who == "" || c.who != o.Who && o.Return >= h.alive[c.who]
	released := claim{floor: max(c.floor, o.Token)}
	switch o.What + " " + o.Result {
	case "claim ok":
		// A claim of the owner may get a new token.
		if (free || c.who == o.Who) && o.Token > max(c.floor, c.token) {
			return []any{claim{o.Who, o.Token, o.Token}}
		}
		return c.is(o.Who, o.Token) // it had the name
	case "claim taken":
		if c.who != "" && c.who != o.Who && h.lives[c.who].node == o.Node {
			return []any{c}
		}
	case "claim unknown":
		if free || c.who == o.Who {
			return []any{c, claim{o.Who, 0, max(c.floor, c.token)}}
		}
		return []any{c}
	case "release ok": // also if the name has another owner
		mine := c.is(o.Who, o.Token)
		switch {
		case mine == nil:
			return []any{c}
		case c.token == 0:
			return []any{c, released}
		}
		return []any{released}
	case "release unknown":
		if c.is(o.Who, o.Token) != nil {
			return []any{c, released}
		}
		return []any{c}
	case "truth ok":
		return c.is(o.Incarnation, o.Token)
	case "truth free":
		if c.who == "" || o.Return >= h.alive[c.who] {
			return []any{claim{floor: max(c.floor, c.token)}}
		}
	}
	return nil
}

// check returns the names whose history is not linearizable, and how many operations there were.
func (h history) check(limit time.Duration) (wrong []string, ops int) {
	model := (&porcupine.NondeterministicModel{
		Init: func() []any { return []any{claim{}} },
		Step: func(state, input, _ any) []any { return h.step(state, input) },
		DescribeOperation: func(input, _ any) string {
			o := input.(op)
			return fmt.Sprintf("%s %s: %s %d %s%s", h.lives[o.Who].name, o.What, o.Result, o.Token, o.Node, h.lives[o.Incarnation].name)
		},
	}).ToModel()
	names := map[string][]porcupine.Operation{}
	clients := map[string]int{}
	for _, o := range h.ops {
		ends := o.Result != "unknown"
		if !ends {
			if o.What == "truth" || o.What == "claim" && !h.seen(o) {
				continue // an effect that nobody has seen is none, and each doubles the search
			}
			o.Return = math.MaxInt64
		}
		if _, there := clients[o.Who]; !there {
			clients[o.Who] = len(clients)
		}
		names[o.Name] = append(names[o.Name], porcupine.Operation{
			ClientId: clients[o.Who], Input: o, Call: o.Call, Return: o.Return,
		})
		ops++
	}
	for name, all := range names {
		if result, info := porcupine.CheckOperationsVerbose(model, all, limit); result != porcupine.Ok {
			wrong = append(wrong, fmt.Sprintf("%s: %s\n%s", name, result, h.stuck(info, all)))
		}
	}
	slices.Sort(wrong)
	return wrong, ops
}

// old returns how many reads returned a claim although a later one was known before they began, and
// for how long it was known at most.
func (h history) old() (n int, age time.Duration) {
	for _, o := range h.ops {
		if o.What != "truth" || o.Result != "ok" {
			continue
		}
		known := int64(math.MaxInt64)
		for _, x := range h.ops {
			if x.Name == o.Name && x.Result == "ok" && x.What != "release" && x.Token > o.Token {
				known = min(known, x.Return)
			}
		}
		if known < o.Call {
			n++
			age = max(age, time.Duration(o.Call-known))
		}
	}
	return n, age
}

// seen reports whether anything after o may be an effect of that claim, whose outcome is unknown.
func (h history) seen(o op) bool {
	return slices.ContainsFunc(h.ops, func(x op) bool {
		if x.Name != o.Name || x.Return != 0 && x.Return < o.Call {
			return false
		}
		return x.Result == "taken" && x.Node == h.lives[o.Who].node || x.Result == "ok" && x.Incarnation == o.Who ||
			x.Who == o.Who && x.What != "truth" && x.ID != o.ID
	})
}

// stuck describes where the search ended: the last operations that have an order, and those that
// come next.
func (h history) stuck(info porcupine.LinearizationInfo, all []porcupine.Operation) string {
	var longest []porcupine.Operation
	for _, partition := range info.PartialLinearizationsOperations() {
		for _, ops := range partition {
			if len(ops) > len(longest) {
				longest = ops
			}
		}
	}
	in := map[string]bool{}
	for _, o := range longest {
		in[o.Input.(op).ID] = true
	}
	var b strings.Builder
	print := func(what string, o op) {
		fmt.Fprintf(&b, "  %s %.3f to %.3f %s %s: %s %d %s%s\n", what, float64(o.Call)/1e9, float64(o.Return)/1e9,
			h.lives[o.Who].name, o.What, o.Result, o.Token, o.Node, h.lives[o.Incarnation].name)
	}
	for _, o := range longest[max(0, len(longest)-8):] {
		print("after", o.Input.(op))
	}
	slices.SortFunc(all, func(a, b porcupine.Operation) int { return int(min(1, max(-1, a.Call-b.Call))) })
	left := 0
	for _, o := range all {
		if !in[o.Input.(op).ID] && left < 8 {
			print("left ", o.Input.(op))
			left++
		}
	}
	for who, until := range h.alive {
		fmt.Fprintf(&b, "  %s has its names until %.3f\n", h.lives[who].name, float64(until)/1e9)
	}
	return b.String()
}

// The model itself: small histories that are possible, and such that are not.
func TestModel(t *testing.T) {
	const never = 1 << 40
	h := history{
		alive: map[string]int64{"A": 100, "B": never},
		lives: map[string]lived{"A": {"a", "a-1.1"}, "B": {"b", "b-1.1"}},
	}
	at := func(who, what, result string, call, ret int64, token uint64, owner string) op {
		o := op{What: what, Name: "x", Call: call, Return: ret, Result: result, Token: token, Who: who}
		o.ID = fmt.Sprint(who, what, call)
		if result == "taken" {
			o.Node = owner
		} else {
			o.Incarnation = owner
		}
		return o
	}
	for _, c := range []struct {
		what string
		good bool
		ops  []op
	}{
		{"one after the other", true, []op{
			at("A", "claim", "ok", 1, 2, 5, ""), at("B", "claim", "taken", 3, 4, 0, "a"), at("A", "claim", "ok", 5, 6, 5, ""),
			at("B", "truth", "ok", 7, 8, 5, "A"), at("A", "release", "ok", 9, 10, 5, ""), at("B", "truth", "free", 11, 12, 0, ""),
			at("B", "claim", "ok", 13, 14, 7, ""),
		}},
		{"two owners", false, []op{at("A", "claim", "ok", 1, 2, 5, ""), at("B", "claim", "ok", 3, 4, 6, "")}},
		{"taken over when the session may have ended", true, []op{
			at("A", "claim", "ok", 1, 2, 5, ""), at("B", "claim", "ok", 90, 100, 6, ""),
		}},
		{"taken over too early", false, []op{at("A", "claim", "ok", 1, 2, 5, ""), at("B", "claim", "ok", 90, 99, 6, "")}},
		{"a token that does not grow", false, []op{
			at("A", "claim", "ok", 1, 2, 5, ""), at("A", "release", "ok", 3, 4, 5, ""), at("B", "claim", "ok", 5, 6, 4, ""),
		}},
		{"an old read", false, []op{
			at("A", "claim", "ok", 1, 2, 5, ""), at("B", "truth", "free", 3, 4, 0, ""),
		}},
		{"an old read of a claim", false, []op{
			at("A", "claim", "ok", 1, 2, 5, ""), at("A", "claim", "ok", 3, 4, 7, ""), at("B", "truth", "ok", 5, 6, 5, "A"),
		}},
		{"an old read at the same time", true, []op{
			at("A", "claim", "ok", 1, 3, 5, ""), at("B", "truth", "free", 2, 4, 0, ""),
		}},
		{"an unknown claim that comes late", true, []op{
			at("A", "claim", "unknown", 1, 2, 0, ""), at("B", "truth", "free", 3, 4, 0, ""), at("B", "claim", "taken", 5, 6, 0, "a"),
			at("B", "truth", "ok", 7, 8, 9, "A"), at("A", "claim", "ok", 9, 10, 9, ""),
		}},
		{"an unknown claim that comes and goes", false, []op{
			at("A", "claim", "unknown", 1, 2, 0, ""), at("B", "claim", "taken", 5, 6, 0, "a"), at("B", "truth", "free", 7, 8, 0, ""),
		}},
		{"an unknown claim that has two tokens", false, []op{
			at("A", "claim", "unknown", 1, 2, 0, ""), at("B", "truth", "ok", 3, 4, 8, "A"), at("B", "truth", "ok", 5, 6, 9, "A"),
		}},
		{"an unknown release", true, []op{
			at("A", "claim", "ok", 1, 2, 5, ""), at("A", "release", "unknown", 3, 4, 5, ""), at("B", "truth", "ok", 5, 6, 5, "A"),
			at("B", "claim", "ok", 7, 8, 6, ""),
		}},
		{"swept when the session may have ended", true, []op{
			at("A", "claim", "ok", 1, 2, 5, ""), at("B", "truth", "free", 99, 101, 0, ""), at("B", "claim", "ok", 102, 103, 7, ""),
		}},
		{"swept too early", false, []op{at("A", "claim", "ok", 1, 2, 5, ""), at("B", "truth", "free", 98, 99, 0, "")}},
		{"a new token of the owner", true, []op{
			at("A", "claim", "ok", 1, 2, 5, ""), at("A", "claim", "ok", 3, 4, 7, ""), at("B", "truth", "ok", 5, 6, 7, "A"),
		}},
		{"a new token that is older", false, []op{at("A", "claim", "ok", 1, 2, 5, ""), at("A", "claim", "ok", 3, 4, 4, "")}},
		{"taken by nobody", false, []op{at("B", "claim", "taken", 1, 2, 0, "a")}},
	} {
		h.ops = c.ops
		if wrong, _ := h.check(time.Minute); (wrong == nil) != c.good {
			t.Errorf("%s: %v", c.what, wrong)
		}
		if n, _ := h.old(); (n > 0) != (c.what == "an old read of a claim") {
			t.Errorf("%s: %d old reads", c.what, n)
		}
	}
}
