package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// exclusive are flags that cannot be given together.
var exclusive = [][2]string{{"server", "data"}, {"server", "nats"}, {"nats", "listen-nats"}, {"approve", "reject"}, {"commit", "from"}, {"signed", "by"}}

// strict makes a mistake in the arguments a usage error, everywhere and before
// anything is done: a wrong verb, a surplus argument, a flag that is missing or
// contradicts another.
func strict(c *cobra.Command) {
	c.SuggestionsMinimumDistance = 2
	if args := c.Args; c.Runnable() && c.Name() != "help" {
		if args == nil {
			args = cobra.NoArgs
		}
		c.Args = func(c *cobra.Command, given []string) error {
			if err := args(c, given); err != nil {
				return usage("%s; see `%s --help`", plainArgs(c, given, err), c.CommandPath())
			}
			return checkFlags(c)
		}
	} else {
		c.Args = cobra.ArbitraryArgs
		run := c.RunE
		if c.Run != nil { // cobra's own help verb
			help := c.Run
			run = func(c *cobra.Command, given []string) error { help(c, given); return nil }
			c.Run = nil
		}
		c.RunE = func(c *cobra.Command, given []string) error {
			parent := c
			if run != nil {
				parent = c.Root()
			}
			if wrong := unknownVerb(parent, given); wrong != nil {
				return wrong
			}
			if run != nil {
				return run(c, given)
			}
			return c.Help()
		}
	}
	for _, verb := range c.Commands() {
		strict(verb)
	}
}

// unknownVerb tells which of the words names no verb.
func unknownVerb(c *cobra.Command, words []string) error {
	for _, word := range words {
		found, _, err := c.Find([]string{word})
		if err != nil || found == c {
			message := fmt.Sprintf("%s has no verb %q", c.CommandPath(), word)
			if near := c.SuggestionsFor(word); len(near) > 0 {
				message += ", but " + strings.Join(near, " and ")
			}
			return usage("%s; see `%s --help`", message, c.CommandPath())
		}
		c = found
	}
	return nil
}

// plainArgs says in words what is wrong with the arguments.
func plainArgs(c *cobra.Command, given []string, err error) string {
	switch {
	case len(c.ValidArgs) > 0:
		return fmt.Sprintf("%s takes %s", c.CommandPath(), strings.Join(c.ValidArgs, ", "))
	case len(given) == 0:
		_, what, _ := strings.Cut(c.Use, " ")
		return fmt.Sprintf("%s needs an argument: %s", c.CommandPath(), what)
	}
	return fmt.Sprintf("%s: %v", c.CommandPath(), err)
}

func checkFlags(c *cobra.Command) error {
	for _, pair := range exclusive {
		if f := c.Flags(); f.Changed(pair[0]) && f.Changed(pair[1]) {
			return usage("--%s and --%s exclude each other; see `%s --help`", pair[0], pair[1], c.CommandPath())
		}
	}
	if err := c.ValidateRequiredFlags(); err != nil {
		// cobra: required flag(s) "a", "b" not set
		_, names, _ := strings.Cut(err.Error(), "required flag(s) ")
		names = "--" + strings.ReplaceAll(strings.ReplaceAll(strings.TrimSuffix(names, " not set"), `"`, ""), ", ", " and --")
		return usage("%s needs %s; see `%s --help`", c.CommandPath(), names, c.CommandPath())
	}
	if err := c.ValidateFlagGroups(); err != nil {
		// cobra: at least one of the flags in the group [a b] is required
		_, names, _ := strings.Cut(err.Error(), "[")
		names, _, _ = strings.Cut(names, "]")
		return usage("%s needs --%s; see `%s --help`", c.CommandPath(), strings.ReplaceAll(names, " ", " or --"), c.CommandPath())
	}
	return nil
}
