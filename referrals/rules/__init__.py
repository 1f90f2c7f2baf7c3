"""Pure decisions of this package: no database, no clock, no settings."""
