"""The command line: one module a subcommand; `main` knows them all."""
