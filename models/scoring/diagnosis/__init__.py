"""What generators are known to fail by, looked for in their pictures."""
