package play

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func next(w *Window) (numbers []uint64) {
	for number, ok := w.Next(); ok; number, ok = w.Next() {
		numbers = append(numbers, number)
	}
	return numbers
}

func TestWindow(t *testing.T) {
	w := NewWindow(10, 4)
	assert.Equal(t, uint64(1), w.Every())
	assert.Equal(t, []uint64{0, 1, 2, 3}, next(w))
	w.Ack(3)
	assert.Equal(t, []uint64{4, 5, 6}, next(w))
	w.Ack(7)
	assert.Equal(t, []uint64{7, 8, 9}, next(w))
	w.Ack(10)
	assert.Empty(t, next(w))
}

func TestWindowWithoutBound(t *testing.T) {
	w := NewWindow(3, 0)
	assert.Equal(t, uint64(4), w.Every())
	assert.Equal(t, []uint64{0, 1, 2}, next(w))
}

func TestMessage(t *testing.T) {
	m := Message(1 << 40)
	assert.Len(t, m.Value, 128)
	assert.Equal(t, uint64(1<<40), Number(m))
}
