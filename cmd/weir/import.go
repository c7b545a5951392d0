package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/configs/nginx"
)

func (sh *shell) importVerb() *cobra.Command {
	return sh.family("import", "Translate another server's configuration", sh.importNginxVerb())
}

// importOptions is what import nginx is called with.
type importOptions struct {
	out, prefix string
	strict      bool
}

func (sh *shell) importNginxVerb() *cobra.Command {
	var opts importOptions
	cmd := &cobra.Command{
		Use:   "nginx FILE",
		Short: "Translate a configuration of nginx, and say of every directive what became of it",
		Long: "Translate a configuration of nginx, with what it includes, and say of every directive what became of it: translated, translated with a note on what differs, or not\n" +
			"translated. The configuration goes to standard output or OUT, the report to standard error. Where a location asks for what weir cannot do, its requests are refused\n" +
			"(403) and not sent elsewhere. FILE may be nginx.conf or a single file of sites-available.",
		Example: "  weir import nginx /etc/nginx/nginx.conf -o weir.toml\n  weir check -c weir.toml",
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return sh.importNginx(args[0], opts) },
	}
	cmd.Flags().StringVarP(&opts.out, "output", "o", "", "write the configuration to `OUT`, which must not exist, instead of standard output")
	cmd.Flags().StringVarP(&opts.prefix, "prefix", "p", "", "`FOLDER` that relative paths of files and logs start at, as nginx -p (default: that of FILE)")
	cmd.Flags().BoolVar(&opts.strict, "strict", false, "exit 1, and write no configuration, if anything is not translated")
	return cmd
}

// importNginx prints the report before it fails, because the report says why.
func (sh *shell) importNginx(file string, opts importOptions) error {
	res, err := nginx.Import(file, nginx.Options{Prefix: opts.prefix})
	var bad *nginx.Error
	switch {
	case errors.As(err, &bad):
		return bad
	case err != nil && res == nil:
		return fmt.Errorf("import %s: %w", file, err)
	}
	if printing := res.Report.Print(sh.stderr); printing != nil {
		return fmt.Errorf("write report: %w", printing)
	}
	if err != nil {
		return fmt.Errorf("import %s: %w", file, err)
	}
	if n := res.Report.Count(nginx.NotTranslated); opts.strict && n > 0 {
		return fmt.Errorf("import %s: %d of %d directives are not translated, and --strict wants all", file, n, len(res.Report))
	}
	if err := sh.writeImport(res.TOML, opts.out); err != nil {
		return err
	}
	sh.missing(res.TOML, opts.out)
	return nil
}

// writeImport writes no file over another: the one that is there may have been mended by hand.
func (sh *shell) writeImport(text []byte, out string) error {
	if out == "" {
		_, err := sh.stdout.Write(text)
		return err
	}
	f, err := os.OpenFile(filepath.Clean(out), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// missing names what weir check would say here, which is about files that are on the server and not on this machine.
func (sh *shell) missing(text []byte, out string) {
	name := out
	if name == "" {
		name = "the result"
	}
	dir := filepath.Dir(out)
	if whole, err := filepath.Abs(dir); err == nil {
		dir = whole
	}
	if _, err := configs.Parse(name, text, configs.Options{Env: sh.env, Dir: dir}); err != nil {
		fmt.Fprintf(sh.stderr, "weir check would say, on this machine:\n%v\n", err)
	}
}
