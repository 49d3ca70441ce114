// Package e2e opens the pages of package inspector in Chromium; see its tests.
package e2e
