package main

import "github.com/spf13/cobra"

func (p *program) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print the script that completes verbs and flags in your shell",
		Long: `Completion prints a script for your shell. Source it once to try it, or put it
where your shell looks for completions to have it always.`,
		Example: `  source <(bahi completion bash)
  bahi completion zsh > "${fpath[1]}/_bahi"
  bahi completion fish > ~/.config/fish/completions/bahi.fish`,
		ValidArgs: []string{"bash", "zsh", "fish"},
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		RunE: func(c *cobra.Command, args []string) error {
			switch args[0] {
			case "zsh":
				return c.Root().GenZshCompletion(p.stdout)
			case "fish":
				return c.Root().GenFishCompletion(p.stdout, true)
			}
			return c.Root().GenBashCompletionV2(p.stdout, true)
		},
	}
}
