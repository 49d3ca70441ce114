// Package between has the processes whose messages and calls the commands between and peers
// measure: one that sends, one that receives, and one with a NATS server.
package between
