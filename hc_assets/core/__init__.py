"""What knows no domain and no lake: execution, compiled code, verdicts, notes on columns."""
