"""Order histories from other systems: reading files, checking rows, gathering orders."""
