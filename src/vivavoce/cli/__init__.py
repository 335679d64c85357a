"""The `vivavoce` command: one file per verb."""
