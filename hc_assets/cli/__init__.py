"""The command line: commands that belong to no domain, and how every command ends."""
